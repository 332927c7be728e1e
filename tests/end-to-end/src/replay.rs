//! What a consumer makes of the records.
//!
//! Records come from the endpoint. Consumers tell duplicates by their position, and know rows by their key.

use std::collections::{BTreeMap, BTreeSet};

use pg2k_test_kinesis::{StoredRecord, user_records};

use crate::lsn::Lsn;
use crate::server::Server;
use crate::witness::Keys;

/// Gives the text of every record, aggregates taken apart, in the stream's order.
///
/// # Panics
///
/// If an aggregate is damaged, a record is no text, or the Kinesis records are not one ordered sequence: a lane.
pub fn lines(records: &[StoredRecord]) -> Vec<String> {
    let hash_keys: BTreeSet<_> = records.iter().map(|record| &record.explicit_hash_key).collect();
    assert!(hash_keys.len() <= 1, "expected one lane, found {hash_keys:?}");
    let user_records = user_records(records).expect("aggregates that can be taken apart");
    user_records.iter().map(|record| String::from_utf8(record.data.to_vec()).expect("text")).collect()
}

/// Holds where a change stands among all: the end of its transaction's commit record, and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub Lsn, pub u64);

/// Reads the position at the beginning of a record of `examples/minimal-formatter`.
pub fn position(line: &str) -> Position {
    let parse = || {
        let (lsn, index) = line.split_once(' ')?.0.rsplit_once('/')?;
        Some(Position(lsn.parse().ok()?, index.parse().ok()?))
    };
    parse().unwrap_or_else(|| panic!("expected a position at the beginning of `{line}`"))
}

/// Holds what is left when a consumer drops every record that is not above its highest position.
#[derive(Debug)]
pub struct Deduplicated {
    /// The first occurrences, in the stream's order.
    pub first: Vec<String>,
    /// How many records were dropped.
    pub duplicates: usize,
}

/// Drops the duplicates as a consumer does.
///
/// # Panics
///
/// If a record that is dropped was not there before, byte for byte: it would be lost.
pub fn deduplicate(lines: Vec<String>) -> Deduplicated {
    let mut first: Vec<String> = Vec::new();
    let mut duplicates = 0;
    for line in lines {
        let here = position(&line);
        if first.last().is_none_or(|last| here > position(last)) {
            first.push(line);
            continue;
        }
        duplicates += 1;
        let known = first.binary_search_by_key(&here, |line| position(line));
        let known = known.unwrap_or_else(|_| panic!("`{line}` comes after a higher position, and for the first time"));
        assert_eq!(first[known], line, "a duplicate differs from the first occurrence");
    }
    Deduplicated { first, duplicates }
}

/// Compares two lists of records, and shows no more than where they part.
///
/// # Panics
///
/// If they differ.
pub fn assert_same(found: &[String], expected: &[String]) {
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let lengths = (found.len(), expected.len());
    if lengths != (same, same) {
        let around = |lines: &[String]| lines.iter().skip(same.saturating_sub(2)).take(5).cloned().collect::<Vec<_>>();
        let (found, expected) = (around(found), around(expected));
        panic!("{lengths:?} records found and expected part at {same}:\nfound {found:#?}\nexpected {expected:#?}");
    }
}

/// Holds the keys of the rows of every table.
pub type Rows = BTreeMap<String, BTreeSet<Vec<String>>>;

/// Does what the records of the formatter `csv` say, one after another; the last one about a key wins.
///
/// # Panics
///
/// If a record is none of `csv`, or has quotes, which no table of `load` needs.
pub fn replay(lines: &[String]) -> Rows {
    let mut rows = Rows::new();
    for line in lines {
        let fields: Vec<_> = line.split(',').collect();
        let ["0", "CDC", _, table, operation, key @ ..] = &fields[..] else { panic!("`{line}` is no record of csv") };
        let table = rows.entry((*table).to_owned()).or_default();
        let key: Vec<_> = key.iter().map(|&field| field.to_owned()).collect();
        match *operation {
            "INSERT" | "UPDATE" => drop(table.insert(key)),
            "DELETE" => drop(table.remove(&key)),
            "TRUNCATE" => table.clear(),
            _ => panic!("`{line}` is no record of csv"),
        }
    }
    rows
}

/// Reads the keys of the rows of every table from the server.
pub async fn rows(server: &Server, keys: &Keys) -> Rows {
    let client = server.client().await;
    let mut rows = Rows::new();
    for (table, names) in keys {
        let columns: Vec<_> = names.iter().map(|name| format!("{name}::text")).collect();
        let sql = format!("SELECT ARRAY[{}] FROM {table}", columns.join(", "));
        let found = client.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.insert(table.clone(), found.iter().map(|row| row.get(0)).collect());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn duplicates_are_dropped() {
        let found = deduplicate(owned(&["0/1/0 a", "0/1/1 b", "0/1/0 a", "0/1/1 b", "0/A/0 c"]));
        assert_eq!(found.first, ["0/1/0 a", "0/1/1 b", "0/A/0 c"]);
        assert_eq!(found.duplicates, 2);
    }

    #[test]
    #[should_panic(expected = "for the first time")]
    fn a_first_occurrence_out_of_order_is_a_loss() {
        deduplicate(owned(&["0/1/0 a", "0/A/0 c", "0/1/1 b"]));
    }

    #[test]
    #[should_panic(expected = "a duplicate differs")]
    fn duplicates_are_the_same_bytes() {
        deduplicate(owned(&["0/1/0 a", "0/1/0 b"]));
    }

    #[test]
    fn the_last_record_about_a_key_wins() {
        let rows = replay(&owned(&[
            "0,CDC,1,s.t,INSERT,1",
            "0,CDC,1,s.u,INSERT,1,x",
            "0,CDC,2,s.t,TRUNCATE,",
            "0,CDC,3,s.t,INSERT,2",
            "0,CDC,3,s.t,INSERT,3",
            "0,CDC,4,s.t,DELETE,2",
            "0,CDC,4,s.t,UPDATE,3",
        ]));
        assert_eq!(rows["s.t"], BTreeSet::from([vec!["3".to_owned()]]));
        assert_eq!(rows["s.u"], BTreeSet::from([vec!["1".to_owned(), "x".to_owned()]]));
    }
}
