//! What happened in a database, whoever tells it: transactions in commit order, and in them the changes.
//!
//! `pgoutput` tells it as the server's own binary protocol does, `records` as the records of pg2k's formatter `json` do. Two
//! histories that differ are shown with no more than where they part.

use std::collections::BTreeMap;

use crate::lsn::Lsn;

/// The names and values of columns.
pub type Columns<V> = BTreeMap<String, V>;

/// Says what there is to know of a column of a new row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A large value that the change left as it was, and which the WAL therefore does not have.
    Unchanged,
    /// The value as the server prints it.
    Text(String),
}

/// Says what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new row.
    Insert,
    /// Another version of a row.
    Update,
    /// The end of a row.
    Delete,
    /// The end of all rows of a table.
    Truncate {
        /// With the tables that refer to it.
        cascade: bool,
        /// With the sequences that it owns.
        restart_identity: bool,
    },
    /// What `pg_logical_emit_message` was given. It has no table.
    Message {
        /// The kind of message.
        prefix: String,
        /// The message.
        content: Vec<u8>,
    },
}

/// Holds one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table's schema, empty for a message.
    pub schema: String,
    /// The table, or the partition.
    pub table: String,
    /// What was done to it.
    pub operation: Operation,
    /// The columns of the new row, where there is one.
    pub new: Option<Columns<Value>>,
    /// The columns of the old row, or of its key, that are not NULL, where the WAL has any of it.
    pub old: Option<Columns<String>>,
}

impl Change {
    /// Starts with a table and what was done to it.
    pub fn of(schema: &str, table: &str, operation: Operation) -> Self {
        Self { schema: schema.to_owned(), table: table.to_owned(), operation, new: None, old: None }
    }

    /// Makes a message.
    pub fn message(prefix: String, content: Vec<u8>) -> Self {
        Self::of("", "", Operation::Message { prefix, content })
    }
}

/// Stands for a moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub i64);

/// Stands for something that was decoded at a point of the commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction that has changes.
    Transaction {
        /// The end of its commit record.
        end_lsn: Lsn,
        /// Its number.
        xid: u32,
        /// When it was committed.
        committed_at: Moment,
        /// What it did.
        changes: Vec<Change>,
    },
    /// A message that belongs to no transaction.
    Message {
        /// The end of its WAL record.
        lsn: Lsn,
        /// The message.
        message: Change,
    },
}

impl Event {
    /// Gives the changes of a transaction, or the message.
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Transaction { changes, .. } => changes,
            Self::Message { message, .. } => std::slice::from_ref(message),
        }
    }
}

/// Drops the changes for which this holds, and with them the transactions that have no others.
pub fn without(history: Vec<Event>, dropped: impl Fn(&Change) -> bool) -> Vec<Event> {
    let kept = |event| match event {
        Event::Transaction { end_lsn, xid, committed_at, mut changes } => {
            changes.retain(|change| !dropped(change));
            (!changes.is_empty()).then_some(Event::Transaction { end_lsn, xid, committed_at, changes })
        }
        Event::Message { ref message, .. } => (!dropped(message)).then_some(event),
    };
    history.into_iter().filter_map(kept).collect()
}

/// Compares what was found with what was expected.
///
/// # Panics
///
/// If they differ. Shows the first change that does.
pub fn assert_same_history(what: &str, found: &[Event], expected: &[Event]) {
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        if found == expected {
            continue;
        }
        let changes = found.changes().iter().zip(expected.changes());
        for (index, (found, expected)) in changes.enumerate() {
            assert_eq!(found, expected, "{what}: change {index} of transaction {number} differs, found and expected");
        }
        let summary = |event: &Event| match event {
            Event::Transaction { end_lsn, xid, committed_at, changes } => {
                let Moment(micros) = committed_at;
                format!("transaction {xid} to {end_lsn}, committed at {micros} µs, {} changes", changes.len())
            }
            Event::Message { lsn, .. } => format!("message at {lsn}"),
        };
        let last = |event: &Event| format!("{}, the last of them {:?}", summary(event), event.changes().last());
        panic!("{what}: transaction {number} differs\nfound    {}\nexpected {}", last(found), last(expected));
    }
    assert_eq!(found.len(), expected.len(), "{what}: the numbers of transactions differ, found and expected");
}
