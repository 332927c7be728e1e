//! The primary keys of the tables, from the catalogs.
//!
//! A connection comes in and the keys as they are *now* leave; a payload may be older. Names are raw, without quotes, as the decoder
//! gives them. What is kept of this, and until when, others decide.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::connect::ConnectError;
use super::failure::{Class, QueryError};
use super::settings::Settings;
use super::sql;
use crate::relations::{Catalogued, TableName};

/// The catalogs, asked over a connection of its own that is closed again: beside the walsender none stays open.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    settings: Settings,
    /// The server's `server_version_num`.
    version: i32,
}

/// Why the catalogs gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl CatalogError {
    /// Says whether trying again may mend it.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Connect(error) => error.class(),
            Self::Query(error) => error.class(),
        }
    }
}

impl Catalog {
    pub(crate) fn new(settings: Settings, version: i32) -> Self {
        Self { settings, version }
    }

    /// Reads the key of one table.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or the query fails.
    pub(crate) async fn of(&self, table: &TableName) -> Result<Catalogued, CatalogError> {
        let client = sql::open(&self.settings).await?;
        Ok(of(&client, self.version, table).await?)
    }
}

/// One row per column of a table's key, and one for a table without; the primary key, or else the index that is the replica identity.
///
/// INCLUDE columns, which are no part of the key, come after the first `indnkeyatts`; before PostgreSQL 11, which has neither, `indnatts` are all.
/// Names come as bytes in the server's encoding, since those of an SQL_ASCII database need not be UTF-8 and would make the whole
/// query fail.
fn query(version: i32, condition: &str) -> String {
    let key_columns = if version >= 11_00_00 { "indnkeyatts" } else { "indnatts" };
    format!(
        "SELECT convert_to(n.nspname::text, 'SQL_ASCII') AS schema, convert_to(c.relname::text, 'SQL_ASCII') AS name, \
            convert_to(a.attname::text, 'SQL_ASCII') AS column \
        FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN LATERAL (SELECT x.indkey, x.{key_columns} AS columns FROM pg_catalog.pg_index x \
            WHERE x.indrelid = c.oid AND (x.indisprimary OR x.indisreplident) \
            ORDER BY x.indisprimary DESC LIMIT 1) i ON true \
        LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position) ON k.position <= i.columns \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
        WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND {condition} \
        ORDER BY c.oid, k.position"
    )
}

/// Reads the keys of all tables, partitioned ones and their leaves included, system catalogs not.
///
/// `version` is the server's `server_version_num`. Tables whose names are not UTF-8 are left out.
///
/// # Errors
///
/// Fails where the query does.
pub(crate) async fn all(client: &Client, version: i32) -> Result<HashMap<TableName, Catalogued>, QueryError> {
    read(client, &query(version, "n.nspname NOT IN ('pg_catalog', 'information_schema')"), &[]).await
}

/// Reads the key of one table.
///
/// `version` is the server's `server_version_num`.
///
/// # Errors
///
/// Fails where the query does.
async fn of(client: &Client, version: i32, name: &TableName) -> Result<Catalogued, QueryError> {
    let query = query(version, "n.nspname = $1 AND c.relname = $2");
    let found = read(client, &query, &[&name.schema, &name.table]).await?;
    Ok(found.into_values().next().unwrap_or(Catalogued::Missing))
}

async fn read(
    client: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<HashMap<TableName, Catalogued>, QueryError> {
    let failed = QueryError::doing("reading the primary keys");
    let rows = client.query(query, parameters).await.map_err(&failed)?;
    let mut keys: HashMap<TableName, Catalogued> = HashMap::new();
    let mut unreadable = Vec::new();
    for row in &rows {
        let (Some(schema), Some(table)) = (text(row, "schema").map_err(&failed)?, text(row, "name").map_err(&failed)?)
        else {
            tracing::warn!("table left out: its name is not UTF-8");
            continue;
        };
        let name = TableName { schema, table };
        let column: Option<&[u8]> = row.try_get("column").map_err(&failed)?;
        match column.map(utf8) {
            None => _ = keys.insert(name, Catalogued::Unkeyed),
            Some(Some(column)) => {
                if let Catalogued::Keyed(columns) = keys.entry(name).or_insert_with(|| Catalogued::Keyed(Vec::new())) {
                    columns.push(column);
                }
            }
            Some(None) => unreadable.push(name),
        }
    }
    // The rest of such a key is no key.
    for name in unreadable {
        tracing::warn!("table left out: a column of its key has a name that is not UTF-8");
        keys.remove(&name);
    }
    Ok(keys)
}

fn text(row: &Row, column: &str) -> Result<Option<String>, tokio_postgres::Error> {
    row.try_get(column).map(utf8)
}

fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
