//! The commit order as a second slot tells it, read over SQL and taken apart by a parser of its own.
//!
//! The parser is far simpler than the program's: it knows the tables of `load`, whose names and keys are plain.

use std::collections::BTreeMap;

use crate::lsn::Lsn;
use crate::server::Server;

/// Says which columns are a table's primary key, in the key's order. Tables without one are left out.
pub type Keys = BTreeMap<String, Vec<String>>;

/// Holds one change that ought to be in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The end of its transaction's commit record.
    pub end_lsn: Lsn,
    /// The number of changes before it in the transaction, published or not.
    pub index: u64,
    /// The number of the transaction.
    pub xid: u32,
    /// The schema and the table, a point between them.
    pub table: String,
    /// `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`.
    pub operation: String,
    /// The names and values of the key's columns.
    pub key: Vec<(String, String)>,
    /// The values of the key before an update that changed it.
    pub old_key: Option<Vec<(String, String)>>,
}

impl Expected {
    /// Gives the records that the formatter `csv` makes of the change.
    pub fn csv(&self) -> Vec<String> {
        let line = |operation: &str, key: &[(String, String)]| {
            let mut line = format!("0,CDC,{},{},{operation}", self.xid, self.table);
            if key.is_empty() {
                line.push(',');
            }
            for (_, value) in key {
                line.push(',');
                line.push_str(value);
            }
            line
        };
        match &self.old_key {
            Some(old_key) => vec![line("DELETE", old_key), line("INSERT", &self.key)],
            None => vec![line(&self.operation, &self.key)],
        }
    }

    /// Gives the record that the formatter of `examples/minimal-formatter` makes of the change.
    pub fn minimal(&self) -> String {
        let mut line = format!("{}/{} {} {}", self.end_lsn, self.index, self.operation, self.table);
        for (name, value) in &self.key {
            line.push_str(&format!(" {name}={value}"));
        }
        line
    }
}

/// Reads all that was committed since the slot was made, in commit order, and leaves the slot where it is.
pub async fn expected(server: &Server, slot: &str, keys: &Keys) -> Vec<Expected> {
    let client = server.client().await;
    // The settings that the text depends on are the defaults, apart from the time zone, and no key of `load` has any.
    let sql = "SELECT lsn::text, xid::text, data FROM pg_logical_slot_peek_changes($1, NULL, NULL)";
    let rows = client.query(sql, &[&slot]).await.expect("the changes of the second slot");
    let mut all = Vec::new();
    let mut transaction: Vec<Expected> = Vec::new();
    let mut index = 0;
    for row in rows {
        let (lsn, xid, payload): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        if payload.starts_with("BEGIN ") {
            index = 0;
        } else if payload.starts_with("COMMIT ") {
            let end_lsn = lsn.parse().expect("an LSN");
            all.extend(transaction.drain(..).map(|change| Expected { end_lsn, ..change }));
        } else if let Some(change) = payload.strip_prefix("table ") {
            let change = parse(change, keys).unwrap_or_else(|| panic!("a payload beyond this parser: {payload}"));
            let xid = xid.parse().expect("a transaction's number");
            transaction.extend(change.map(|change| Expected { index, xid, ..change }));
            index += 1;
        } else {
            panic!("a payload beyond this parser: {payload}");
        }
    }
    all
}

/// Gives the end of the last commit.
///
/// # Panics
///
/// If there is none.
pub fn last_commit(expected: &[Expected]) -> Lsn {
    expected.last().expect("at least one change").end_lsn
}

/// Takes apart what follows the word `table`. Gives no change if the table has no key.
fn parse(payload: &str, keys: &Keys) -> Option<Option<Expected>> {
    let (table, rest) = payload.split_once(": ")?;
    let (operation, rest) = rest.split_once(':')?;
    let Some(names) = keys.get(table) else { return Some(None) };
    let (old, new) = match rest.strip_prefix(" old-key:") {
        Some(rest) => rest.split_once(" new-tuple:").map(|(old, new)| (Some(old), new))?,
        None => (None, rest),
    };
    let key = |tuple| -> Option<Vec<(String, String)>> {
        let values: BTreeMap<_, _> = columns(tuple)?.into_iter().collect();
        names.iter().map(|name| Some((name.clone(), values.get(name)?.clone()))).collect()
    };
    let (key, old_key) = match (operation, old) {
        ("TRUNCATE", _) => (Vec::new(), None),
        (_, Some(old)) => (key(new)?, Some(key(old)?)),
        (_, None) => (key(new)?, None),
    };
    let old_key = old_key.filter(|old_key| *old_key != key);
    let (table, operation) = (table.to_owned(), operation.to_owned());
    Some(Some(Expected { end_lsn: Lsn(0), index: 0, xid: 0, table, operation, key, old_key }))
}

/// Takes apart ` name[type]:value …`, where names and types are plain, and values are bare or quoted.
fn columns(mut tuple: &str) -> Option<Vec<(String, String)>> {
    let mut columns = Vec::new();
    while let Some(column) = tuple.strip_prefix(' ') {
        let (name, rest) = column.split_once('[')?;
        let (_, rest) = rest.split_once("]:")?;
        let (value, rest) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        columns.push((name.to_owned(), value.to_owned()));
        tuple = rest;
    }
    tuple.is_empty().then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(payload: &str) -> Option<Expected> {
        let keys = [("public.pair", vec!["b", "a"]), ("public.ledger", vec!["id"])];
        let keys = keys.map(|(table, names)| (table.to_owned(), names.into_iter().map(str::to_owned).collect()));
        parse(payload, &keys.into()).expect("a payload that can be taken apart")
    }

    #[test]
    fn changes_become_records() {
        let inserted = change("public.pair: INSERT: a[integer]:1 b[integer]:2 note[text]:'x y'").unwrap();
        assert_eq!(inserted.csv(), ["0,CDC,0,public.pair,INSERT,2,1"]);
        assert_eq!(inserted.minimal(), "0/0/0 INSERT public.pair b=2 a=1");
        let moved = change("public.ledger: UPDATE: old-key: id[bigint]:7 new-tuple: id[bigint]:8 note[text]:null");
        assert_eq!(moved.unwrap().csv(), ["0,CDC,0,public.ledger,DELETE,7", "0,CDC,0,public.ledger,INSERT,8"]);
        let truncated = change("public.ledger: TRUNCATE: (no-flags)").unwrap();
        assert_eq!(truncated.csv(), ["0,CDC,0,public.ledger,TRUNCATE,"]);
        assert_eq!(change("public.unkeyed: INSERT: n[integer]:1"), None);
    }
}
