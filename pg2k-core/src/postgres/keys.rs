//! The primary keys of the tables, from the catalogs.
//!
//! A connection comes in and the keys as they are *now* leave; a payload may be older. Names are raw, without quotes, as the decoder
//! gives them. What is kept of this, and until when, others decide.

use std::collections::HashMap;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::connect::ConnectError;
use super::failure::{Class, QueryError};
use super::settings::Settings;
use super::sql;
use crate::decode::{DecodeError, Decoder, Encoding, InvalidText};
use crate::relations::{Catalogued, Definition, TableName};

/// The catalogs, asked over a connection of its own that is closed again: beside the walsender none stays open.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    settings: Settings,
    dialect: Dialect,
}

/// What the catalogs and their names are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// The server's `server_version_num`.
    pub(crate) version: i32,
    /// The encoding of the database.
    pub(crate) encoding: Encoding,
}

impl Dialect {
    /// The server's major version.
    pub(crate) fn major(self) -> u32 {
        u32::try_from(self.version / 10_000).unwrap_or_default()
    }
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
    pub(crate) fn new(settings: Settings, dialect: Dialect) -> Self {
        Self { settings, dialect }
    }

    /// Reads the definitions of these tables.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or the query fails.
    pub(crate) async fn of(&self, tables: &[TableName]) -> Result<Vec<(TableName, Catalogued)>, CatalogError> {
        let client = sql::open(&self.settings).await?;
        Ok(of(&client, self.dialect, tables).await?)
    }
}

/// One row per table: the columns of its primary key, or else of the index that is the replica identity, and its virtual generated
/// columns, which PostgreSQL has from 18 on.
///
/// INCLUDE columns, which are no part of the key, come after the first `indnkeyatts`; before PostgreSQL 11, which has neither, `indnatts` are all.
/// Names come as bytes in the server's encoding, as payloads have them: those of an SQL_ASCII database need not be UTF-8 and would
/// make the whole query fail.
fn query(version: i32, condition: &str) -> String {
    let key_columns = if version >= 11_00_00 { "indnkeyatts" } else { "indnatts" };
    let is_virtual = if version >= 18_00_00 { "a.attgenerated = 'v'" } else { "false" };
    format!(
        "SELECT convert_to(n.nspname::text, 'SQL_ASCII') AS schema, convert_to(c.relname::text, 'SQL_ASCII') AS name, \
            ARRAY(SELECT convert_to(a.attname::text, 'SQL_ASCII') \
                FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, position) \
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
                WHERE k.position <= i.columns ORDER BY k.position) AS key, \
            ARRAY(SELECT convert_to(a.attname::text, 'SQL_ASCII') FROM pg_catalog.pg_attribute a \
                WHERE a.attrelid = c.oid AND {is_virtual} AND NOT a.attisdropped ORDER BY a.attnum) AS virtual_columns \
        FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN LATERAL (SELECT x.indkey, x.{key_columns} AS columns FROM pg_catalog.pg_index x \
            WHERE x.indrelid = c.oid AND (x.indisprimary OR x.indisreplident) \
            ORDER BY x.indisprimary DESC LIMIT 1) i ON true \
        WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND {condition} \
        ORDER BY c.oid"
    )
}

/// Reads the definitions of all tables, partitioned ones and their leaves included, system catalogs not.
///
/// # Errors
///
/// Fails where the query does.
pub(crate) async fn all(client: &Client, dialect: Dialect) -> Result<HashMap<TableName, Catalogued>, QueryError> {
    read(client, dialect, "n.nspname NOT IN ('pg_catalog', 'information_schema')", &[]).await
}

/// Reads the definitions of these tables.
///
/// # Errors
///
/// Fails where the query does.
async fn of(
    client: &Client,
    dialect: Dialect,
    tables: &[TableName],
) -> Result<Vec<(TableName, Catalogued)>, QueryError> {
    const AMONG: &str = "(n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))";
    let schemas = tables.iter().map(|name| &name.schema).collect::<Vec<_>>();
    let names = tables.iter().map(|name| &name.table).collect::<Vec<_>>();
    let mut found = read(client, dialect, AMONG, &[&schemas, &names]).await?;
    let answer = |name: &TableName| (name.clone(), found.remove(name).unwrap_or(Catalogued::Missing));
    Ok(tables.iter().map(answer).collect())
}

async fn read(
    client: &Client,
    dialect: Dialect,
    condition: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<HashMap<TableName, Catalogued>, QueryError> {
    let failed = QueryError::doing("reading the primary keys");
    let rows = client.query(&query(dialect.version, condition), parameters).await.map_err(&failed)?;
    // As a name that is no text comes in a payload, unless the payload is refused.
    let mut decoder = Decoder::new(dialect.encoding, InvalidText::Base64);
    let mut tables = HashMap::new();
    for row in &rows {
        let [schema, table] = [row.try_get("schema").map_err(&failed)?, row.try_get("name").map_err(&failed)?];
        let key: Vec<&[u8]> = row.try_get("key").map_err(&failed)?;
        let virtual_columns: Vec<&[u8]> = row.try_get("virtual_columns").map_err(&failed)?;
        let read = || -> Result<(TableName, Definition), DecodeError> {
            let mut text = |bytes: &[u8]| decoder.name(bytes).map(str::to_owned);
            let name = TableName { schema: text(schema)?, table: text(table)? };
            let mut names = |names: Vec<&[u8]>| names.into_iter().map(&mut text).collect::<Result<_, _>>();
            Ok((name, Definition { key: names(key)?, virtual_columns: names(virtual_columns)? }))
        };
        match read() {
            Ok((name, definition)) => _ = tables.insert(name, Catalogued::Present(definition)),
            Err(error) => tracing::warn!(%error, "a table of the catalogs is left out"),
        }
    }
    Ok(tables)
}
