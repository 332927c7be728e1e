//! One change, as a formatter sees it.

use std::fmt;
use std::marker::PhantomData;

use abi_stable::StableAbi;
use abi_stable::prefix_type::{PrefixRef, WithMetadata};
use abi_stable::std_types::{RSlice, RStr};

use crate::{Lsn, Timestamp};

/// Where a change stands among all changes: the same in every reading of the slot, and strictly increasing.
///
/// It prints as `16/B3748D8/3`. A consumer that drops every change that is not above the highest position it has seen
/// has each change exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The byte after the commit record of the change's transaction.
    pub end_lsn: Lsn,
    /// The number of changes before this one in the transaction, published or not.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.end_lsn, self.index)
    }
}

/// What a change does to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A row was inserted.
    Insert,
    /// A row was updated.
    Update,
    /// A row was deleted.
    Delete,
    /// All rows of the table were removed at once.
    Truncate,
    /// No table was changed: `pg_logical_emit_message` was called.
    Message,
    /// An operation that came into the contract after the version this formatter was built with.
    Unknown,
}

impl Operation {
    const CODES: [(u8, Self); 5] = [
        (b'I', Self::Insert),
        (b'U', Self::Update),
        (b'D', Self::Delete),
        (b'T', Self::Truncate),
        (b'M', Self::Message),
    ];

    fn code(self) -> u8 {
        Self::CODES.iter().find(|(_, operation)| *operation == self).map_or(0, |(code, _)| *code)
    }

    fn from_code(code: u8) -> Self {
        Self::CODES.iter().find(|(known, _)| *known == code).map_or(Self::Unknown, |(_, operation)| *operation)
    }

    /// `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE`, `MESSAGE`, or `UNKNOWN`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Message => "MESSAGE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The value of a column in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// The text that PostgreSQL prints for it, without quotes.
    Text(&'a str),
    /// SQL's null.
    Null,
    /// A large value that the update did not touch: PostgreSQL does not send it. Not null, not empty: unknown here.
    Unchanged,
}

/// A column of a row: its name, its type, its value.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Column<'a> {
    name: RStr<'a>,
    type_name: RStr<'a>,
    text: RStr<'a>,
    state: u8,
}

const TEXT: u8 = 0;
const NULL: u8 = 1;
const UNCHANGED: u8 = 2;

impl<'a> Column<'a> {
    /// A column of this name, type and value.
    #[must_use]
    pub fn new(name: &'a str, type_name: &'a str, value: Value<'a>) -> Self {
        let (text, state) = match value {
            Value::Text(text) => (text, TEXT),
            Value::Null => ("", NULL),
            Value::Unchanged => ("", UNCHANGED),
        };
        Self { name: name.into(), type_name: type_name.into(), text: text.into(), state }
    }

    /// The name as the catalogs have it, without SQL's quotes.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name.as_str()
    }

    /// The type as PostgreSQL prints it: `integer`, `character varying`, `public."My Type"`, `text[]`.
    #[must_use]
    pub fn type_name(&self) -> &'a str {
        self.type_name.as_str()
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        match self.state {
            TEXT => Value::Text(self.text.as_str()),
            NULL => Value::Null,
            _ => Value::Unchanged,
        }
    }
}

/// What `pg_logical_emit_message` was called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Whether it belongs to the transaction around it. One that does not was there at once, even if its transaction was
    /// rolled back, and has a position of its own.
    pub transactional: bool,
    /// What tells its readers whether it is for them.
    pub prefix: &'a str,
    /// Any bytes, as the server has them: text is in the database's encoding.
    pub content: &'a [u8],
}

/// All that a change consists of: what the host fills in, and what [`Change`] reads.
#[derive(Clone, Copy, Debug)]
pub struct ChangeParts<'a> {
    /// See [`Change::position`].
    pub position: Position,
    /// See [`Change::xid`].
    pub xid: Option<u32>,
    /// See [`Change::committed_at`].
    pub committed_at: Option<Timestamp>,
    /// See [`Change::operation`].
    pub operation: Operation,
    /// See [`Change::schema`].
    pub schema: &'a str,
    /// See [`Change::table`].
    pub table: &'a str,
    /// See [`Change::key`].
    pub key: &'a [Column<'a>],
    /// See [`Change::old_key`].
    pub old_key: Option<&'a [Column<'a>]>,
    /// See [`Change::columns`].
    pub columns: &'a [Column<'a>],
    /// See [`Change::old_columns`].
    pub old_columns: Option<&'a [Column<'a>]>,
    /// See [`Change::restarts_identity`].
    pub restarts_identity: bool,
    /// See [`Change::cascades`].
    pub cascades: bool,
    /// See [`Change::message`].
    pub message: Option<Message<'a>>,
}

impl<'a> ChangeParts<'a> {
    /// A change of this table without any columns; the other parts are as if they were not there.
    #[must_use]
    pub fn new(position: Position, operation: Operation, schema: &'a str, table: &'a str) -> Self {
        Self {
            position,
            xid: None,
            committed_at: None,
            operation,
            schema,
            table,
            key: &[],
            old_key: None,
            columns: &[],
            old_columns: None,
            restarts_identity: false,
            cascades: false,
            message: None,
        }
    }

    fn flags(&self) -> u16 {
        [
            (self.xid.is_some(), flag::HAS_XID),
            (self.committed_at.is_some(), flag::HAS_COMMIT_TIME),
            (self.old_key.is_some(), flag::HAS_OLD_KEY),
            (self.old_columns.is_some(), flag::HAS_OLD_COLUMNS),
            (self.restarts_identity, flag::RESTARTS_IDENTITY),
            (self.cascades, flag::CASCADES),
            (self.message.is_some(), flag::HAS_MESSAGE),
            (self.message.is_some_and(|message| message.transactional), flag::IS_TRANSACTIONAL),
        ]
        .into_iter()
        .fold(0, |flags, (holds, flag)| if holds { flags | flag } else { flags })
    }
}

/// A change as it crosses the boundary: a prefix type, so that later versions can add fields at its end.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RawChangeRef, prefix_fields = RawChangePrefix)))]
pub struct RawChange<'a> {
    end_lsn: u64,
    index: u64,
    committed_at: i64,
    schema: RStr<'a>,
    table: RStr<'a>,
    key: RSlice<'a, Column<'a>>,
    old_key: RSlice<'a, Column<'a>>,
    columns: RSlice<'a, Column<'a>>,
    old_columns: RSlice<'a, Column<'a>>,
    message_prefix: RStr<'a>,
    message_content: RSlice<'a, u8>,
    xid: u32,
    /// Of `flag`.
    flags: u16,
    #[sabi(last_prefix_field)]
    operation: u8,
}

/// What is true of a change, and which of its parts are there.
mod flag {
    pub(super) const HAS_XID: u16 = 1;
    pub(super) const HAS_COMMIT_TIME: u16 = 1 << 1;
    pub(super) const HAS_OLD_KEY: u16 = 1 << 2;
    pub(super) const HAS_OLD_COLUMNS: u16 = 1 << 3;
    pub(super) const RESTARTS_IDENTITY: u16 = 1 << 4;
    pub(super) const CASCADES: u16 = 1 << 5;
    pub(super) const HAS_MESSAGE: u16 = 1 << 6;
    pub(super) const IS_TRANSACTIONAL: u16 = 1 << 7;
}

/// One change: a row inserted, updated or deleted, a table truncated, or a message.
///
/// All that it hands out is borrowed from the host and lives until `format` returns.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    raw: RawChangeRef<'a>,
    // A `RawChangeRef` by itself would let its borrow live as long as anyone likes.
    borrow: PhantomData<&'a ()>,
}

impl<'a> Change<'a> {
    pub(crate) fn from_raw(raw: RawChangeRef<'a>) -> Self {
        Self { raw, borrow: PhantomData }
    }

    pub(crate) fn into_raw(self) -> RawChangeRef<'a> {
        self.raw
    }

    /// Makes a change of its parts and lends it to `use_it`: what a host does, and what a formatter's own tests do.
    ///
    /// ```
    /// use pg2k_abi::{Change, ChangeParts, Column, Lsn, Operation, Position, Value};
    ///
    /// let key = [Column::new("id", "integer", Value::Text("7"))];
    /// let position = Position { end_lsn: Lsn::new(0x16_B374), index: 0 };
    /// let parts = ChangeParts { key: &key, ..ChangeParts::new(position, Operation::Insert, "public", "users") };
    /// assert_eq!(Change::with(&parts, |change| change.key().len()), 1);
    /// ```
    pub fn with<T>(parts: &ChangeParts<'_>, use_it: impl FnOnce(Change<'_>) -> T) -> T {
        let raw = WithMetadata::new(RawChange {
            end_lsn: parts.position.end_lsn.as_u64(),
            index: parts.position.index,
            committed_at: parts.committed_at.unwrap_or_default().unix_micros(),
            schema: parts.schema.into(),
            table: parts.table.into(),
            key: parts.key.into(),
            old_key: parts.old_key.unwrap_or_default().into(),
            columns: parts.columns.into(),
            old_columns: parts.old_columns.unwrap_or_default().into(),
            message_prefix: parts.message.map_or("", |message| message.prefix).into(),
            message_content: parts.message.map_or(&[][..], |message| message.content).into(),
            xid: parts.xid.unwrap_or_default(),
            flags: parts.flags(),
            operation: parts.operation.code(),
        });
        // SAFETY: `raw` is owned by this frame and outlives the call. The reference made of it cannot: `use_it` has to
        // take a `Change` of any lifetime, so it cannot keep the one it gets. Only this thread sees it.
        let raw = RawChangeRef(unsafe { PrefixRef::from_raw(&raw) });
        use_it(Change::from_raw(raw))
    }

    /// Where the change stands among all changes.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { end_lsn: Lsn::new(self.raw.end_lsn()), index: self.raw.index() }
    }

    fn is(&self, flag: u16) -> bool {
        self.raw.flags() & flag != 0
    }

    /// The number of the transaction. `None` for a message outside of transactions, and where a captured payload does not
    /// tell it.
    #[must_use]
    pub fn xid(&self) -> Option<u32> {
        self.is(flag::HAS_XID).then(|| self.raw.xid())
    }

    /// When the transaction was committed, by the server's clock. `None` for a message outside of transactions, and where a
    /// captured payload does not tell it.
    #[must_use]
    pub fn committed_at(&self) -> Option<Timestamp> {
        self.is(flag::HAS_COMMIT_TIME).then(|| Timestamp::from_unix_micros(self.raw.committed_at()))
    }

    /// What happened.
    #[must_use]
    pub fn operation(&self) -> Operation {
        Operation::from_code(self.raw.operation())
    }

    /// The schema of the table, as the catalogs have it, without SQL's quotes. Empty for a message.
    #[must_use]
    pub fn schema(&self) -> &'a str {
        self.raw.schema().as_str()
    }

    /// The table, as the catalogs have it, without SQL's quotes. Of a partitioned table: the partition. Empty for a
    /// message.
    #[must_use]
    pub fn table(&self) -> &'a str {
        self.raw.table().as_str()
    }

    /// The columns of the primary key, in the key's order, with the values that identify the row after the change; for
    /// a delete those that identified it before. Every value is a [`Value::Text`]. Empty for a truncate, for a message, and
    /// for a table without a key, whose changes are published with `--unkeyed publish` alone.
    #[must_use]
    pub fn key(&self) -> &'a [Column<'a>] {
        self.raw.key().as_slice()
    }

    /// The primary key that the row had before, where an update changed it.
    #[must_use]
    pub fn old_key(&self) -> Option<&'a [Column<'a>]> {
        self.is(flag::HAS_OLD_KEY).then(|| self.raw.old_key().as_slice())
    }

    /// What the change means to readers who know a row by its key alone: the operation and the key it applies to.
    ///
    /// One pair, but for an update that changed the key: to those readers, one row is deleted and another inserted.
    pub fn by_key(&self) -> impl Iterator<Item = (Operation, &'a [Column<'a>])> + use<'a> {
        let deleted = self.old_key().map(|old_key| (Operation::Delete, old_key));
        let operation = if deleted.is_some() { Operation::Insert } else { self.operation() };
        deleted.into_iter().chain([(operation, self.key())])
    }

    /// The row after the change. Empty for a delete, a truncate and a message.
    #[must_use]
    pub fn columns(&self) -> &'a [Column<'a>] {
        self.raw.columns().as_slice()
    }

    /// What the table's replica identity tells of the row before the change: by default the primary key, for a delete
    /// and for an update that changed it. PostgreSQL leaves out a column that is null. `None` where it tells nothing.
    #[must_use]
    pub fn old_columns(&self) -> Option<&'a [Column<'a>]> {
        self.is(flag::HAS_OLD_COLUMNS).then(|| self.raw.old_columns().as_slice())
    }

    /// Whether a truncate also restarted the table's sequences.
    #[must_use]
    pub fn restarts_identity(&self) -> bool {
        self.is(flag::RESTARTS_IDENTITY)
    }

    /// Whether a truncate was given CASCADE.
    #[must_use]
    pub fn cascades(&self) -> bool {
        self.is(flag::CASCADES)
    }

    /// What was said, if the change is a message.
    #[must_use]
    pub fn message(&self) -> Option<Message<'a>> {
        self.is(flag::HAS_MESSAGE).then(|| Message {
            transactional: self.is(flag::IS_TRANSACTIONAL),
            prefix: self.raw.message_prefix().as_str(),
            content: self.raw.message_content().as_slice(),
        })
    }
}

// Without the columns: a change must not end up in a log with its row.
impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("position", &self.position())
            .field("operation", &self.operation())
            .field("schema", &self.schema())
            .field("table", &self.table())
            .finish_non_exhaustive()
    }
}
