//! What is known of each table that changes were seen of: whether it is published, and its primary key.
//!
//! Names come from [`decode`], keys from the [catalogs](crate::postgres::keys), answers go to
//! [`translate`](crate::pipeline::translate). A table is judged once, when it is first seen.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use regex::Regex;

use crate::decode;

/// A table's name as the catalogs have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TableName {
    /// The schema's name, without quotes.
    pub(crate) schema: String,
    /// The table's name, without quotes.
    pub(crate) table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names can hold anything; in a log they stay on their line.
        for character in self.schema.chars().chain(['.']).chain(self.table.chars()) {
            if character.is_control() { write!(f, "{}", character.escape_default())? } else { f.write_char(character)? }
        }
        Ok(())
    }
}

/// What the catalogs say of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Catalogued {
    /// It has a primary key, of these columns in this order.
    Keyed(Vec<String>),
    /// It has none.
    Unkeyed,
    /// There is no such table, now.
    Missing,
}

/// What becomes of a table's changes.
#[derive(Debug)]
pub(crate) enum Fate {
    /// They are published, with these columns as the key.
    Published(Vec<KeyColumn>),
    /// They are not published: the user's pattern leaves the table out, or it has no key.
    LeftOut,
}

/// A column of a primary key.
#[derive(Debug)]
pub(crate) struct KeyColumn {
    /// Its name.
    pub(crate) name: String,
    /// Where it stood in the last row that was looked at.
    pub(crate) hint: usize,
}

#[derive(Debug)]
struct Known {
    qualified: Box<str>,
    name: TableName,
    /// `None` until the table is judged, for the first time or again.
    fate: Option<Fate>,
}

/// The tables.
#[derive(Debug)]
pub(crate) struct Relations {
    pattern: Option<Regex>,
    catalog: HashMap<TableName, Catalogued>,
    known: Vec<Known>,
    /// Where in `known` a table is, by the name that payloads have for it.
    by_name: HashMap<Box<str>, usize>,
    /// The table asked for last; the next change is often one of it too.
    last: usize,
    /// Tables that were reported as left out: once is enough.
    reported: HashSet<TableName>,
}

impl Relations {
    /// Begins with what the catalogs say. `pattern` is searched for in `schema.table`, names without quotes.
    #[must_use]
    pub(crate) fn new(pattern: Option<Regex>, catalog: HashMap<TableName, Catalogued>) -> Self {
        Self { pattern, catalog, known: Vec::new(), by_name: HashMap::new(), last: 0, reported: HashSet::new() }
    }

    /// Notes what the catalogs say of a table. A key that was known stays until they have another: that the table has none, or
    /// is gone, by now is no news of the rows that it had.
    pub(crate) fn learn(&mut self, name: TableName, catalogued: Catalogued) {
        let had_key = matches!(self.catalog.get(&name), Some(Catalogued::Keyed(_)));
        if had_key && !matches!(catalogued, Catalogued::Keyed(_)) {
            return;
        }
        for known in self.known.iter_mut().filter(|known| known.name == name) {
            known.fate = None;
        }
        self.catalog.insert(name, catalogued);
    }

    /// Doubts that tables without a key still have none: something other than rows was changed, perhaps by DDL.
    pub(crate) fn doubt(&mut self) {
        let doubted = |catalogued: &Catalogued| !matches!(catalogued, Catalogued::Keyed(_));
        for known in &mut self.known {
            if self.catalog.get(&known.name).is_some_and(doubted) {
                known.fate = None;
            }
        }
        self.catalog.retain(|_, catalogued| !doubted(catalogued));
    }

    /// What becomes of a table's changes.
    ///
    /// # Errors
    ///
    /// The name of the table, where the catalogs have to be asked about it first.
    pub(crate) fn fate(&mut self, relation: decode::Relation<'_>) -> Result<&mut Fate, TableName> {
        let place = self.place(relation);
        if self.known.get(place).is_none_or(|known| known.fate.is_none()) {
            let fate = self.judge(relation)?;
            if let Some(known) = self.known.get_mut(place) {
                known.fate = Some(fate);
            }
        }
        let fate = self.known.get_mut(place).and_then(|known| known.fate.as_mut());
        fate.ok_or_else(|| name(relation))
    }

    /// Where the table is in `known`; it is put there if it was never seen.
    fn place(&mut self, relation: decode::Relation<'_>) -> usize {
        let is_it = |known: &Known| *known.qualified == *relation.qualified;
        if self.known.get(self.last).is_some_and(is_it) {
            return self.last;
        }
        self.last = self.by_name.get(relation.qualified).copied().unwrap_or_else(|| {
            self.known.push(Known { qualified: relation.qualified.into(), name: name(relation), fate: None });
            self.by_name.insert(relation.qualified.into(), self.known.len() - 1);
            self.known.len() - 1
        });
        self.last
    }

    /// Decides about a table that was not seen before.
    fn judge(&mut self, relation: decode::Relation<'_>) -> Result<Fate, TableName> {
        let name = name(relation);
        if self
            .pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.is_match(&format!("{}.{}", relation.schema, relation.table)))
        {
            return Ok(Fate::LeftOut);
        }
        match self.catalog.get(&name) {
            Some(Catalogued::Keyed(columns)) => {
                let column = |name: &String| KeyColumn { name: name.clone(), hint: 0 };
                Ok(Fate::Published(columns.iter().map(column).collect()))
            }
            Some(Catalogued::Unkeyed) => {
                if self.reported.insert(name.clone()) {
                    tracing::warn!(table = %name, "the table has no primary key; its changes are not published");
                }
                Ok(Fate::LeftOut)
            }
            Some(Catalogued::Missing) => {
                if self.reported.insert(name.clone()) {
                    tracing::error!(
                        table = %name,
                        "the table is no longer in the catalogs, so its key cannot be known; its changes are not published"
                    );
                }
                Ok(Fate::LeftOut)
            }
            None => Err(name),
        }
    }
}

fn name(relation: decode::Relation<'_>) -> TableName {
    TableName { schema: relation.schema.to_owned(), table: relation.table.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation<'a>(qualified: &'a str, table: &'a str) -> decode::Relation<'a> {
        decode::Relation { qualified, schema: "s", table }
    }

    fn table(name: &str) -> TableName {
        TableName { schema: "s".to_owned(), table: name.to_owned() }
    }

    fn key(fate: &Fate) -> Option<Vec<&str>> {
        match fate {
            Fate::Published(key) => Some(key.iter().map(|column| column.name.as_str()).collect()),
            Fate::LeftOut => None,
        }
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(table("a\n2026 ERROR é").to_string(), "s.a\\n2026 ERROR é");
    }

    #[test]
    fn a_table_is_asked_for_once() {
        let mut relations = Relations::new(None, HashMap::new());
        assert_eq!(relations.fate(relation("s.a", "a")).expect_err("nothing is known"), table("a"));
        relations.learn(table("a"), Catalogued::Keyed(vec!["x".into(), "y".into()]));
        relations.learn(table("b"), Catalogued::Unkeyed);
        relations.learn(table("c"), Catalogued::Missing);
        for _ in 0..2 {
            assert_eq!(key(relations.fate(relation("s.a", "a")).expect("known")), Some(vec!["x", "y"]));
            assert_eq!(key(relations.fate(relation("s.b", "b")).expect("known")), None);
            assert_eq!(key(relations.fate(relation("s.c", "c")).expect("known")), None);
        }
    }

    #[test]
    fn a_key_stays_until_there_is_another() {
        let mut relations = Relations::new(None, HashMap::from([(table("a"), Catalogued::Keyed(vec!["x".into()]))]));
        for news in [Catalogued::Missing, Catalogued::Unkeyed] {
            relations.learn(table("a"), news);
            assert_eq!(key(relations.fate(relation("s.a", "a")).expect("known")), Some(vec!["x"]));
        }
        relations.learn(table("a"), Catalogued::Keyed(vec!["y".into()]));
        assert_eq!(key(relations.fate(relation("s.a", "a")).expect("known")), Some(vec!["y"]));
    }

    #[test]
    fn in_doubt_tables_without_a_key_are_asked_for_again() {
        for said in [Catalogued::Keyed(vec!["x".into()]), Catalogued::Unkeyed, Catalogued::Missing] {
            let mut relations = Relations::new(None, HashMap::from([(table("a"), said.clone())]));
            assert!(relations.fate(relation("s.a", "a")).is_ok());
            relations.doubt();
            assert_eq!(relations.fate(relation("s.a", "a")).is_ok(), matches!(said, Catalogued::Keyed(_)));
            relations.learn(table("a"), Catalogued::Keyed(vec!["z".into()]));
            assert_eq!(key(relations.fate(relation("s.a", "a")).expect("known")), Some(vec!["z"]));
        }
    }

    #[test]
    fn a_table_outside_the_pattern_is_never_asked_for() {
        let pattern = Regex::new("accounts").expect("a pattern");
        let mut relations = Relations::new(Some(pattern), HashMap::new());
        assert_eq!(key(relations.fate(relation("s.tellers", "tellers")).expect("left out")), None);
        assert!(relations.fate(relation("s.pgbench_accounts", "pgbench_accounts")).is_err());
    }
}
