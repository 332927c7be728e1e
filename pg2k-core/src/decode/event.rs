//! What payloads say.

use pg2k_abi::{Operation, Timestamp};

use super::source::{RelationParts, Source};
use super::tuple::Tuple;

/// What one payload says. It borrows from the payload and from the decoder.
#[derive(Debug)]
pub enum Event<'a> {
    /// A transaction begins: `BEGIN 739`.
    Begin {
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
    },
    /// The transaction that began last is complete: `COMMIT 739 (at 2026-11-21 08:43:23.012345+00)`.
    Commit {
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
        /// When it was committed; there if the option `include-timestamp` is on.
        at: Option<Timestamp>,
    },
    /// The transaction that began last is complete and prepared: `PREPARE TRANSACTION 'gid', txid 739`. A slot with
    /// `two_phase` alone sends it, and the two that decide about the transaction.
    Prepare {
        /// What the user called the transaction.
        gid: &'a str,
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
        /// When it was prepared; there if the option `include-timestamp` is on.
        at: Option<Timestamp>,
    },
    /// A prepared transaction was committed: `COMMIT PREPARED 'gid', txid 739`.
    CommitPrepared {
        /// What the user called the transaction.
        gid: &'a str,
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
        /// When it was committed; there if the option `include-timestamp` is on.
        at: Option<Timestamp>,
    },
    /// A prepared transaction was rolled back: `ROLLBACK PREPARED 'gid', txid 739`.
    RollbackPrepared {
        /// What the user called the transaction.
        gid: &'a str,
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
        /// When it was rolled back; there if the option `include-timestamp` is on.
        at: Option<Timestamp>,
    },
    /// A row was inserted, updated or deleted.
    Row(RowChange<'a>),
    /// Tables were truncated.
    Truncate(Truncate<'a>),
    /// `pg_logical_emit_message` was called.
    Message(Message<'a>),
}

/// A table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// `schema.table` as the payload has it, in SQL's quotes where they are needed: a name for the table that needs no
    /// memory of its own.
    pub qualified: &'a str,
    /// The schema's name without quotes.
    pub schema: &'a str,
    /// The table's name without quotes.
    pub table: &'a str,
}

/// A row inserted, updated or deleted.
///
/// | payload | `old` | `new` | `layout` |
/// |---|---|---|---|
/// | `INSERT: a[integer]:1` | `None` | the row | its columns' |
/// | `INSERT:`, a table without columns | `None` | empty | that of no columns |
/// | `INSERT: (no-tuple-data)` | `None` | empty | `None` |
/// | `UPDATE: a[integer]:1` | `None` | the row | its columns' |
/// | `UPDATE: old-key: … new-tuple: …` | what is told, perhaps nothing | the row | its columns' |
/// | `UPDATE: (no-tuple-data)`, also behind an old key | as above | empty | `None` |
/// | `DELETE: a[integer]:1` | what is told | empty | `None` |
/// | `DELETE:`, all that would be told is null | empty | empty | `None` |
/// | `DELETE: (no-tuple-data)`, the table has no replica identity | `None` | empty | `None` |
#[derive(Debug)]
pub struct RowChange<'a> {
    /// The table.
    pub relation: Relation<'a>,
    /// Insert, update or delete.
    pub operation: Operation,
    /// The row after the change; empty for a delete.
    pub new: Tuple<'a>,
    /// What the replica identity tells of the row before, if the payload tells anything; columns that were null are not
    /// there.
    pub old: Option<Tuple<'a>>,
    /// A number for the names and types of the new row's columns, in their order: where it differs from the last one of
    /// the table, its list of columns was changed in between. The same for the same list in every process.
    pub layout: Option<u64>,
}

/// Tables truncated by one statement.
#[derive(Debug)]
pub struct Truncate<'a> {
    pub(super) source: Source<'a>,
    pub(super) relations: &'a [RelationParts],
    /// `RESTART IDENTITY`
    pub restarts_identity: bool,
    /// `CASCADE`
    pub cascades: bool,
}

impl<'a> Truncate<'a> {
    /// The tables, in the payload's order.
    pub fn relations(&self) -> impl ExactSizeIterator<Item = Relation<'a>> + use<'a> {
        let source = self.source;
        self.relations.iter().map(move |parts| source.relation(parts))
    }
}

/// What `pg_logical_emit_message` was called with.
///
/// A prefix that itself holds `, sz: N content:` and fits to the length of what follows it makes a payload that two
/// messages share; it is then read as the one of the shorter prefix.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Whether it belongs to the transaction around it, or stands by itself.
    pub transactional: bool,
    /// Its prefix.
    pub prefix: &'a str,
    /// Its content: any bytes, as the server has them.
    pub content: &'a [u8],
}
