//! The output plugin `pgoutput`, as an independent witness of what happened.
//!
//! It reads the same WAL as `test_decoding` and prints values with the same functions of the server, but as binary messages in
//! which every length is told: nothing has to be found by quotes and brackets. [`history`] reads all that a slot has, over SQL,
//! and leaves the slot where it is.
//!
//! See "Logical Replication Message Formats" in the manual, for protocol version 1.

mod cursor;
mod message;

use std::collections::BTreeMap;
use std::mem::take;

use tokio_postgres::Client;

use self::message::{Message, Old, Relation, TupleColumn};
use crate::history::{Change, Columns, Event, Moment, Operation, Value};
use crate::lsn::Lsn;

/// The publication that slots are read with. It has to be there before what is read.
pub const PUBLICATION: &str = "everything";

/// The microseconds from 1970 to 2000, which is where PostgreSQL's time begins.
const EPOCH: i64 = 946_684_800_000_000;

/// The number of the type `boolean`, of which `test_decoding` prints the words and not the letters.
const BOOLEAN: u32 = 16;

/// Makes strings of text as the server sends it: of names, and of all else.
#[derive(Clone, Copy, Debug)]
pub struct ReadText {
    /// Reads a name.
    pub name: fn(&[u8]) -> String,
    /// Reads a value, or a message's prefix.
    pub text: fn(&[u8]) -> String,
}

impl ReadText {
    /// Reads UTF-8.
    pub const UTF8: Self = Self { name: utf8, text: utf8 };
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Reads all that was committed since the slot was made.
///
/// The server converts text to the session's encoding, from which `text` makes a string.
///
/// # Panics
///
/// If a message is not as the manual says.
pub async fn history(client: &Client, major: u32, slot: &str, text: ReadText) -> Vec<Event> {
    // Since 14 messages are told.
    let options = if major >= 14 { ", 'messages', 'true'" } else { "" };
    let sql = format!(
        "SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL, 'proto_version', '1', \
         'publication_names', '{PUBLICATION}'{options})"
    );
    let rows = client.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut told = Told::default();
    for row in rows {
        let (lsn, data): (String, Vec<u8>) = (row.get(0), row.get(1));
        let message =
            Message::parse(&data, text).unwrap_or_else(|error| panic!("pgoutput at {lsn}: {error}: {data:?}"));
        told.take(message, lsn.parse().expect("an LSN"));
    }
    assert!(told.transaction.is_none(), "pgoutput ended inside a transaction");
    told.events
}

/// Holds what was told so far.
#[derive(Default)]
struct Told {
    relations: BTreeMap<u32, Relation>,
    transaction: Option<(u32, Moment, Vec<Change>)>,
    events: Vec<Event>,
}

impl Told {
    fn take(&mut self, message: Message, lsn: Lsn) {
        match message {
            Message::Begin { committed_at, xid } => {
                let begun = self.transaction.replace((xid, Moment(committed_at + EPOCH), Vec::new()));
                assert!(begun.is_none(), "a transaction begins inside another at {lsn}");
            }
            Message::Commit { end_lsn, committed_at } => {
                let (xid, moment, changes) = self.transaction.take().expect("the beginning of a transaction");
                assert_eq!((Moment(committed_at + EPOCH), end_lsn), (moment, lsn), "BEGIN, COMMIT and the row agree");
                if !changes.is_empty() {
                    self.events.push(Event::Transaction { end_lsn, xid, committed_at: moment, changes });
                }
            }
            Message::Relation(relation) => drop(self.relations.insert(relation.id, relation)),
            Message::Type | Message::Origin => {}
            Message::Insert { relation, new } => {
                let relation = &self.relations[&relation];
                let change = Change { new: Some(relation.new_row(new)), ..relation.change(Operation::Insert) };
                self.push(change);
            }
            Message::Update { relation, old, new } => {
                let relation = &self.relations[&relation];
                let (new, old) = (Some(relation.new_row(new)), old.map(|old| relation.old_row(old)));
                let change = Change { new, old, ..relation.change(Operation::Update) };
                self.push(change);
            }
            Message::Delete { relation, old } => {
                let relation = &self.relations[&relation];
                let change = Change { old: Some(relation.old_row(old)), ..relation.change(Operation::Delete) };
                self.push(change);
            }
            Message::Truncate { relations, cascade, restart_identity } => {
                for relation in relations {
                    let operation = Operation::Truncate { cascade, restart_identity };
                    let change = self.relations[&relation].change(operation);
                    self.push(change);
                }
            }
            Message::Emitted { transactional: true, prefix, content, .. } => {
                self.push(Change::message(prefix, content));
            }
            Message::Emitted { transactional: false, lsn: own, prefix, content } => {
                assert_eq!(own, lsn, "a message and its row agree");
                self.events.push(Event::Message { lsn, message: Change::message(prefix, content) });
            }
        }
    }

    fn push(&mut self, change: Change) {
        let (_, _, changes) = self.transaction.as_mut().expect("the beginning of a transaction");
        changes.push(change);
    }
}

impl Relation {
    fn change(&self, operation: Operation) -> Change {
        Change::of(&self.schema, &self.table, operation)
    }

    fn new_row(&self, tuple: Vec<TupleColumn>) -> Columns<Value> {
        self.columns(tuple, |column| match column {
            TupleColumn::Null => Value::Null,
            TupleColumn::Unchanged => Value::Unchanged,
            TupleColumn::Text(text) => Value::Text(text),
        })
    }

    /// Gives the columns of an old row that are not NULL. Those that are not in the key are NULL here.
    fn old_row(&self, mut old: Old) -> Columns<String> {
        let columns = self.columns(take(&mut old.tuple), |column| match column {
            TupleColumn::Null => None,
            TupleColumn::Unchanged => panic!("{}.{}: an old row holds all that it has", self.schema, self.table),
            TupleColumn::Text(text) => Some(text),
        });
        let outside =
            |name: &String| old.is_key && !self.columns.iter().any(|column| column.is_key && column.name == *name);
        let columns: Columns<String> = columns.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
        assert!(!columns.keys().any(outside), "{}.{}: {columns:?} is more than the key", self.schema, self.table);
        columns
    }

    fn columns<T>(&self, tuple: Vec<TupleColumn>, value: impl Fn(TupleColumn) -> T) -> Columns<T> {
        assert_eq!(tuple.len(), self.columns.len(), "{}.{}: columns of the tuple", self.schema, self.table);
        let columns = self.columns.iter().zip(tuple).map(|(column, found)| {
            let found = match found {
                TupleColumn::Text(text) if column.kind == BOOLEAN => TupleColumn::Text(match &*text {
                    "t" => "true".to_owned(),
                    "f" => "false".to_owned(),
                    _ => panic!("{}.{}: expected t or f, found {text}", self.schema, self.table),
                }),
                found => found,
            };
            (column.name.clone(), value(found))
        });
        columns.collect()
    }
}
