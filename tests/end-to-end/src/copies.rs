//! A database that becomes what the records say, to be compared with the one that they tell of.
//!
//! It has plain tables of the same columns, without keys, defaults and expressions: everything in it comes from records.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::history::{Change, Columns, Event, Operation, Value};
use crate::workload::{quoted, quoted_name};

/// How many statements are sent at a time.
const BATCH: usize = 200;

/// Tables that are not copied: their definition changes, or nobody watched when they were filled.
const LEFT_OUT: &str = "'pg_catalog', 'information_schema', 'pg_toast', 'prepared', 'changing'";

/// A table's schema and its name.
type Name = (String, String);

/// Holds what has to be known of a table.
#[derive(Debug)]
struct Table {
    /// The names and types.
    columns: Vec<(String, String)>,
    identity: Identity,
}

/// Says how an old row is told.
#[derive(Debug)]
enum Identity {
    Key(Vec<String>),
    Entire,
    Nothing,
}

/// Holds the database that records are applied to.
#[derive(Debug)]
pub struct Copy {
    client: Client,
    tables: BTreeMap<Name, Table>,
    /// The tables of which the records do not tell which rows were changed.
    untold: BTreeSet<Name>,
}

impl Copy {
    /// Makes the tables that `source` has, empty. The types have to be there already.
    pub async fn new(source: &Client, client: Client, major: u32) -> Self {
        // Since 18 there are columns that are computed when they are read, and not told.
        let stored = if major >= 18 { "attgenerated <> 'v'" } else { "true" };
        let sql = format!(
            "SELECT nspname::text, relname::text, relreplident::text,
                ARRAY(SELECT attname::text FROM pg_attribute
                    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND {stored} ORDER BY attnum),
                ARRAY(SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND {stored} ORDER BY attnum),
                ARRAY(SELECT attname::text FROM pg_index, unnest(indkey) key JOIN pg_attribute ON attnum = key
                    WHERE indrelid = c.oid AND attrelid = c.oid
                        AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident END)
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'm', 'p') AND relpersistence = 'p' AND nspname NOT IN ({LEFT_OUT})"
        );
        let mut tables = BTreeMap::new();
        let mut definitions = String::new();
        for row in source.query(&sql, &[]).await.expect("the tables") {
            let name: Name = (row.get(0), row.get(1));
            let (identity, key): (String, Vec<String>) = (row.get(2), row.get(5));
            let identity = match &*identity {
                "f" => Identity::Entire,
                _ if key.is_empty() => Identity::Nothing,
                _ => Identity::Key(key),
            };
            let (columns, types): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
            let columns: Vec<_> = columns.into_iter().zip(types).collect();
            let list: Vec<_> = columns.iter().map(|(name, of)| format!("{} {of}", quoted_name(name))).collect();
            definitions += &format!(
                "CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE {} ({});",
                quoted_name(&name.0),
                full_name(&name),
                list.join(", ")
            );
            tables.insert(name, Table { columns, identity });
        }
        client.batch_execute(&definitions).await.expect("the same tables");
        Self { client, tables, untold: BTreeSet::new() }
    }

    /// Does what the records say, one after another.
    ///
    /// # Panics
    ///
    /// If a record tells of a row that is not there.
    pub async fn apply(&mut self, history: &[Event]) {
        let mut statements = Vec::new();
        for change in history.iter().flat_map(Event::changes) {
            statements.extend(self.statement(change));
            if statements.len() >= BATCH {
                self.execute(&statements).await;
                statements.clear();
            }
        }
        self.execute(&statements).await;
    }

    async fn execute(&self, statements: &[String]) {
        let sql = statements.join(";\n");
        let results = self.client.simple_query(&sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        let counts = results.iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(*count),
            _ => None,
        });
        for (statement, count) in statements.iter().zip(counts) {
            let expected = u64::from(!statement.starts_with("TRUNCATE"));
            assert_eq!(count, expected, "rows of {statement}");
        }
    }

    /// Gives the statement that does what a change says.
    fn statement(&mut self, change: &Change) -> Option<String> {
        let name = (change.schema.clone(), change.table.clone());
        let table = self.tables.get(&name)?;
        let target = full_name(&name);
        let new = change.new.as_ref().map(|new| table.settings(new));
        let row = match change.operation {
            Operation::Insert => {
                let (columns, values): (Vec<_>, Vec<_>) = new?.into_iter().unzip();
                return Some(match columns.len() {
                    0 => format!("INSERT INTO {target} DEFAULT VALUES"),
                    _ => format!("INSERT INTO {target} ({}) VALUES ({})", columns.join(", "), values.join(", ")),
                });
            }
            Operation::Truncate { .. } => return Some(format!("TRUNCATE {target}")),
            Operation::Message { .. } => return None,
            Operation::Update | Operation::Delete => table.condition(change),
        };
        let Some(row) = row else {
            self.untold.insert(name);
            return None;
        };
        let row = format!("ctid = (SELECT ctid FROM {target} WHERE {row} LIMIT 1)");
        Some(match new {
            None => format!("DELETE FROM {target} WHERE {row}"),
            Some(new) => {
                let settings: Vec<_> = new.iter().map(|(column, value)| format!("{column} = {value}")).collect();
                format!("UPDATE {target} SET {} WHERE {row}", settings.join(", "))
            }
        })
    }

    /// Compares all rows with those of the tables that they were copied from, and gives the tables that were not told.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub async fn assert_same(self, source: &Client) -> BTreeSet<String> {
        for (name, table) in &self.tables {
            if self.untold.contains(name) {
                continue;
            }
            // The output function's text, which a cast to text is not for every type.
            let texts: Vec<_> =
                table.columns.iter().map(|(name, _)| format!("format('%L', {})", quoted_name(name))).collect();
            let sql = format!("SELECT ARRAY[{}]::text[] FROM ONLY {}", texts.join(", "), full_name(name));
            let rows = async |client: &Client| -> Vec<Vec<String>> {
                let rows = client.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let mut rows: Vec<_> = rows.iter().map(|row| row.get(0)).collect();
                rows.sort();
                rows
            };
            let (found, expected) = (rows(&self.client).await, rows(source).await);
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "{name:?}: a row of the copy, and of the table");
            }
            assert_eq!(found.len(), expected.len(), "{name:?}: rows of the copy, and of the table");
        }
        self.untold.into_iter().map(|(schema, table)| format!("{schema}.{table}")).collect()
    }
}

impl Table {
    /// Gives the columns and literals to set, without those that a copy does not have.
    fn settings(&self, new: &Columns<Value>) -> Vec<(String, String)> {
        let known = new.iter().filter(|(name, _)| self.columns.iter().any(|(known, _)| known == *name));
        let setting = |(name, value): (&String, &Value)| match value {
            Value::Unchanged => None,
            Value::Null => Some((quoted_name(name), "NULL".to_owned())),
            Value::Text(text) => Some((quoted_name(name), quoted(text))),
        };
        known.filter_map(setting).collect()
    }

    /// Gives what is true of the old row alone, if the record tells which it was.
    fn condition(&self, change: &Change) -> Option<String> {
        let new = |name: &String| match change.new.as_ref()?.get(name)? {
            Value::Text(text) => Some(text),
            Value::Null | Value::Unchanged => None,
        };
        let conditions: Vec<_> = match (&self.identity, &change.old) {
            (Identity::Nothing, _) => None,
            (Identity::Key(key), old) => key
                .iter()
                .map(|name| {
                    let value = old.as_ref().map_or_else(|| new(name), |old| old.get(name))?;
                    Some(format!("{} = {}", quoted_name(name), quoted(value)))
                })
                .collect(),
            (Identity::Entire, None) => None,
            (Identity::Entire, Some(old)) => {
                let same = |(name, of): &(String, String)| {
                    // Not every type can be compared, and a cast to text is not what is printed for all of them.
                    let value = old.get(name).map_or("NULL".to_owned(), |text| quoted(text));
                    format!("format('%L', {}) = format('%L', CAST({value} AS {of}))", quoted_name(name))
                };
                Some(self.columns.iter().map(same).collect())
            }
        }?;
        Some(if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") })
    }
}

fn full_name((schema, table): &Name) -> String {
    format!("{}.{}", quoted_name(schema), quoted_name(table))
}
