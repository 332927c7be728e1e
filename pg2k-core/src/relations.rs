//! What is known of each table that changes were seen of: whether it is published, and its primary key.
//!
//! Names come from [`decode`], keys from the [catalogs](crate::postgres::keys), answers go to
//! [`translate`](crate::pipeline::translate). A table is judged when it is first
//! seen, and again when there is reason to doubt what is known of it.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use regex::Regex;

use crate::decode;
use crate::selection::{Selection, Unkeyed};

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
    /// It is there.
    Present(Definition),
    /// There is no such table, now.
    Missing,
}

/// What has to be known of a table beyond its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The columns of its primary key, in the key's order; none where it has no key.
    pub(crate) key: Vec<String>,
    /// Its virtual generated columns: they have no value in the WAL, and test_decoding prints null for them, which is false.
    pub(crate) virtual_columns: Vec<String>,
}

#[cfg(test)]
impl Catalogued {
    pub(crate) fn keyed(columns: &[&str]) -> Self {
        let key = columns.iter().map(|&column| column.to_owned()).collect();
        Self::Present(Definition { key, virtual_columns: Vec::new() })
    }

    pub(crate) fn unkeyed() -> Self {
        Self::Present(Definition::default())
    }
}

impl Catalogued {
    fn has_key(&self) -> bool {
        matches!(self, Self::Present(definition) if !definition.key.is_empty())
    }
}

/// What becomes of a table's changes.
#[derive(Debug)]
pub(crate) enum Fate {
    /// They are published.
    Published(Published),
    /// They are not published: the user's pattern leaves the table out.
    Filtered,
    /// They are not published: no key is known.
    Skipped,
    /// They cannot be published: no key is known, and the user wants that to be an error.
    Refused,
}

/// How a table is published.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The columns of the key; empty for a table without one.
    pub(crate) key: Vec<KeyColumn>,
    /// Columns that have no value, sorted.
    pub(crate) virtual_columns: Vec<String>,
    /// Whether the key is one that the table had, and the catalogs know of none any more.
    pub(crate) has_lost_key: bool,
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
    /// Its list of columns when a row was last seen.
    layout: Option<u64>,
}

/// The tables.
#[derive(Debug)]
pub(crate) struct Relations {
    selection: Selection,
    catalog: HashMap<TableName, Catalogued>,
    /// Tables that had a key, and have none any more by what the catalogs said last.
    without_key: HashSet<TableName>,
    known: Vec<Known>,
    /// Where in `known` a table is, by the name that payloads have for it.
    by_name: HashMap<Box<str>, usize>,
    /// The same, by its name without quotes.
    by_table: HashMap<TableName, usize>,
    /// The table asked for last; the next change is often one of it too.
    last: usize,
    /// Tables that were reported as left out: once is enough.
    reported: HashSet<TableName>,
}

impl Relations {
    /// Begins with what the catalogs say.
    #[must_use]
    pub(crate) fn new(selection: Selection, catalog: HashMap<TableName, Catalogued>) -> Self {
        Self {
            selection,
            catalog,
            without_key: HashSet::new(),
            known: Vec::new(),
            by_name: HashMap::new(),
            by_table: HashMap::new(),
            last: 0,
            reported: HashSet::new(),
        }
    }

    /// What the user wants published.
    pub(crate) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Notes what the catalogs say of a table. A key that was known stays until they have another: that the table has none, or
    /// is gone, by now is no news of the rows that it had.
    pub(crate) fn learn(&mut self, name: TableName, catalogued: Catalogued) {
        if let Some(known) = self.by_table.get(&name).and_then(|place| self.known.get_mut(*place)) {
            known.fate = None;
        }
        let has_key = catalogued.has_key();
        match (self.catalog.get_mut(&name), catalogued) {
            (Some(Catalogued::Present(had)), Catalogued::Present(has)) if !had.key.is_empty() && !has_key => {
                had.virtual_columns = has.virtual_columns;
                self.without_key.insert(name);
            }
            (Some(Catalogued::Present(had)), Catalogued::Missing) if !had.key.is_empty() => {
                self.without_key.insert(name);
            }
            (_, catalogued) => {
                self.without_key.remove(&name);
                self.catalog.insert(name, catalogued);
            }
        }
    }

    /// Adds to tables that the catalogs are to be asked about all others that are in doubt: one question costs the server hardly
    /// more for hundreds of them than for one.
    pub(crate) fn with_doubted(&self, mut tables: Vec<TableName>) -> Vec<TableName> {
        let is_open = |known: &&Known| known.fate.is_none() && !self.catalog.contains_key(&known.name);
        tables.extend(self.known.iter().filter(is_open).map(|known| known.name.clone()));
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Doubts that tables without a key still have none: something other than rows was changed, perhaps by DDL.
    pub(crate) fn doubt(&mut self) {
        for known in &mut self.known {
            if self.catalog.get(&known.name).is_some_and(|catalogued| !catalogued.has_key()) {
                known.fate = None;
            }
        }
        self.catalog.retain(|_, catalogued| catalogued.has_key());
    }

    /// What becomes of a table's changes. `layout` is the row's list of columns, where a row tells all of them.
    ///
    /// # Errors
    ///
    /// The name of the table, where the catalogs have to be asked about it first: when it is first seen, and when its list of
    /// columns has changed.
    pub(crate) fn fate(&mut self, relation: decode::Relation<'_>, layout: Option<u64>) -> Result<&mut Fate, TableName> {
        let place = self.place(relation);
        if let (Some(known), Some(_)) = (self.known.get_mut(place), layout)
            && known.layout != layout
        {
            let is_news = known.layout.is_some() && !matches!(known.fate, Some(Fate::Filtered));
            known.layout = layout;
            if is_news {
                return Err(name(relation));
            }
        }
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
            let name = name(relation);
            self.known.push(Known { qualified: relation.qualified.into(), name, fate: None, layout: None });
            self.by_name.insert(relation.qualified.into(), self.known.len() - 1);
            self.by_table.insert(self::name(relation), self.known.len() - 1);
            self.known.len() - 1
        });
        self.last
    }

    /// Decides about a table that was not seen before.
    fn judge(&mut self, relation: decode::Relation<'_>) -> Result<Fate, TableName> {
        let name = name(relation);
        let is_filtered = |pattern: &Regex| !pattern.is_match(&format!("{}.{}", name.schema, name.table));
        if self.selection.tables.as_ref().is_some_and(is_filtered) {
            return Ok(Fate::Filtered);
        }
        let Some(catalogued) = self.catalog.get(&name) else { return Err(name) };
        let definition = match catalogued {
            Catalogued::Present(definition) => definition.clone(),
            Catalogued::Missing => Definition::default(),
        };
        if !definition.key.is_empty() || self.selection.unkeyed == Unkeyed::Publish {
            let column = |name| KeyColumn { name, hint: 0 };
            let key = definition.key.into_iter().map(column).collect();
            let mut virtual_columns = definition.virtual_columns;
            virtual_columns.sort_unstable();
            let has_lost_key = self.without_key.contains(&name);
            return Ok(Fate::Published(Published { key, virtual_columns, has_lost_key }));
        }
        if self.selection.unkeyed == Unkeyed::Fail {
            return Ok(Fate::Refused);
        }
        let is_missing = *catalogued == Catalogued::Missing;
        if self.reported.insert(name.clone()) {
            if is_missing {
                tracing::error!(
                    table = %name,
                    "the table is no longer in the catalogs, so its key cannot be known; its changes are not published"
                );
            } else {
                tracing::warn!(table = %name, "the table has no primary key; its changes are not published");
            }
        }
        Ok(Fate::Skipped)
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
            Fate::Published(published) => Some(published.key.iter().map(|column| column.name.as_str()).collect()),
            Fate::Filtered | Fate::Skipped | Fate::Refused => None,
        }
    }

    fn selection(unkeyed: Unkeyed) -> Selection {
        Selection { unkeyed, ..Selection::rows() }
    }

    fn relations(catalog: &[(&str, Catalogued)]) -> Relations {
        let catalog = catalog.iter().map(|(name, catalogued)| (table(name), catalogued.clone())).collect();
        Relations::new(selection(Unkeyed::Skip), catalog)
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(table("a\n2026 ERROR é").to_string(), "s.a\\n2026 ERROR é");
    }

    #[test]
    fn a_table_is_asked_for_once() {
        let mut relations = relations(&[]);
        assert_eq!(relations.fate(relation("s.a", "a"), None).expect_err("nothing is known"), table("a"));
        relations.learn(table("a"), Catalogued::keyed(&["x", "y"]));
        relations.learn(table("b"), Catalogued::unkeyed());
        relations.learn(table("c"), Catalogued::Missing);
        for _ in 0..2 {
            assert_eq!(key(relations.fate(relation("s.a", "a"), None).expect("known")), Some(vec!["x", "y"]));
            assert_eq!(key(relations.fate(relation("s.b", "b"), None).expect("known")), None);
            assert_eq!(key(relations.fate(relation("s.c", "c"), None).expect("known")), None);
        }
    }

    #[test]
    fn a_key_stays_until_there_is_another() {
        let mut relations = relations(&[("a", Catalogued::keyed(&["x"]))]);
        for news in [Catalogued::Missing, Catalogued::unkeyed()] {
            relations.learn(table("a"), news);
            assert_eq!(key(relations.fate(relation("s.a", "a"), None).expect("known")), Some(vec!["x"]));
        }
        assert!(relations.without_key.contains(&table("a")));
        relations.learn(table("a"), Catalogued::keyed(&["y"]));
        assert_eq!(key(relations.fate(relation("s.a", "a"), None).expect("known")), Some(vec!["y"]));
        assert!(!relations.without_key.contains(&table("a")));
    }

    #[test]
    fn virtual_columns_are_news_also_where_the_key_stays() {
        let mut relations = relations(&[("a", Catalogued::keyed(&["x"]))]);
        let virtual_columns = vec!["v".to_owned()];
        relations.learn(table("a"), Catalogued::Present(Definition { key: Vec::new(), virtual_columns }));
        match relations.fate(relation("s.a", "a"), None) {
            Ok(Fate::Published(published)) => assert_eq!(published.virtual_columns, ["v"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_tables_in_doubt_are_asked_for_together() {
        let none = Catalogued::unkeyed();
        let mut relations = relations(&[("a", none.clone()), ("b", none), ("c", Catalogued::keyed(&["x"]))]);
        for name in ["a", "b", "c"] {
            assert!(relations.fate(relation(&format!("s.{name}"), name), None).is_ok());
        }
        assert_eq!(relations.with_doubted(vec![table("z")]), [table("z")]);
        relations.doubt();
        assert_eq!(relations.with_doubted(vec![table("b")]), [table("a"), table("b")]);
    }

    #[test]
    fn in_doubt_tables_without_a_key_are_asked_for_again() {
        for said in [Catalogued::keyed(&["x"]), Catalogued::unkeyed(), Catalogued::Missing] {
            let mut relations = relations(&[("a", said.clone())]);
            assert!(relations.fate(relation("s.a", "a"), None).is_ok());
            relations.doubt();
            assert_eq!(relations.fate(relation("s.a", "a"), None).is_ok(), said.has_key());
            relations.learn(table("a"), Catalogued::keyed(&["z"]));
            assert_eq!(key(relations.fate(relation("s.a", "a"), None).expect("known")), Some(vec!["z"]));
        }
    }

    #[test]
    fn other_columns_are_a_reason_to_ask_again_once() {
        let mut relations = relations(&[("a", Catalogued::keyed(&["x"]))]);
        let mut key_at = |layout| {
            let fate = relations.fate(relation("s.a", "a"), layout);
            let key = fate.map(|fate| key(fate).map(|key| key.join(",")));
            if key.is_err() {
                relations.learn(table("a"), Catalogued::keyed(&["y"]));
            }
            key
        };
        assert_eq!(key_at(Some(1)), Ok(Some("x".to_owned())), "first seen");
        assert_eq!(key_at(None), Ok(Some("x".to_owned())), "a delete");
        assert_eq!(key_at(Some(2)), Err(table("a")));
        assert_eq!(key_at(Some(2)), Ok(Some("y".to_owned())));
    }

    #[test]
    fn a_table_without_a_key_is_what_the_user_wants_it_to_be() {
        for said in [Catalogued::unkeyed(), Catalogued::Missing] {
            let fate_of = |unkeyed| {
                let mut relations = Relations::new(selection(unkeyed), HashMap::from([(table("a"), said.clone())]));
                format!("{:?}", relations.fate(relation("s.a", "a"), None).expect("known"))
            };
            assert_eq!(fate_of(Unkeyed::Skip), "Skipped");
            assert_eq!(fate_of(Unkeyed::Fail), "Refused");
            assert_eq!(
                fate_of(Unkeyed::Publish),
                "Published(Published { key: [], virtual_columns: [], has_lost_key: false })"
            );
        }
    }

    #[test]
    fn a_table_outside_the_pattern_is_never_asked_for() {
        let pattern = Regex::new("accounts").expect("a pattern");
        let mut relations =
            Relations::new(Selection { tables: Some(pattern), ..selection(Unkeyed::Fail) }, HashMap::new());
        for layout in [None, Some(1), Some(2)] {
            let fate = relations.fate(relation("s.tellers", "tellers"), layout).expect("left out");
            assert!(matches!(fate, Fate::Filtered));
        }
        assert!(relations.fate(relation("s.pgbench_accounts", "pgbench_accounts"), None).is_err());
    }
}
