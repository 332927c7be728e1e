//! One payload in, its records out.
//!
//! Payloads come from a committed transaction, records go to a [`lane`](crate::kinesis::lane). Pure but for the formatter that
//! it calls. The invariant: the same payloads of the same transaction get the same positions, whatever is filtered out.

use std::collections::HashSet;

use pg2k_abi::{Change, ChangeParts, Column, Message, Operation, Position, RecordBuffer, Value};

use crate::decode::{self, DecodeError, Decoder, Event, Relation, RowChange, Truncate, Tuple};
use crate::relations::{Catalogued, Fate, KeyColumn, Published, Relations, TableName};
use crate::selection::Unkeyed;
use crate::transaction::Header;

/// Makes records of changes: a loaded formatter, or a test's own.
pub(crate) trait Format {
    /// Appends the records of one change to the buffer.
    ///
    /// # Errors
    ///
    /// What the formatter says.
    fn format(&mut self, change: Change<'_>, records: &mut RecordBuffer) -> Result<(), pg2k_abi::Error>;
}

/// Why a payload cannot be turned into records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TranslateError {
    /// It is not in test_decoding's language.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A payload that begins, ends or prepares a transaction, or is outside of transactions, where a change should be.
    #[error("expected a change, found {found}")]
    NoChange {
        /// What is there.
        found: &'static str,
    },
    /// The row has no column of a name that is known for the key.
    #[error(
        "{table}: expected the key column {column}, found none in the row: the key is not the one that the row was made with"
    )]
    KeyColumn {
        /// The table.
        table: TableName,
        /// The column of the key.
        column: String,
    },
    /// There is no key, and the user wants that to be an error.
    #[error("{operation} of {table}: expected a primary key, found none; --unkeyed publish or skip goes on without")]
    NoKey {
        /// What happened to the row.
        operation: Operation,
        /// The table.
        table: TableName,
    },
    /// The formatter failed.
    #[error("the formatter failed on {operation}{}: {message}", Of(table))]
    Formatter {
        /// What happened to the row.
        operation: Operation,
        /// The table, unless it is a message.
        table: Option<TableName>,
        /// What the formatter says.
        message: String,
    },
    /// The formatter wrote more than it may.
    #[error(
        "the formatter failed on {operation}{}: expected at most {limit} bytes of records for a change, found more",
        Of(table)
    )]
    Overflow {
        /// What happened to the row.
        operation: Operation,
        /// The table, unless it is a message.
        table: Option<TableName>,
        /// What it may write.
        limit: usize,
    },
}

struct Of<'a>(&'a Option<TableName>);

impl std::fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |table| write!(f, " of {table}"))
    }
}

/// What became of a payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Translated {
    /// Its records, if it has any, are in the buffer.
    Done,
    /// Nothing was done; the catalogs have to be asked about these tables first.
    Unknown(Vec<TableName>),
}

/// What one change may become, in bytes of records and partition keys. Records above what a stream takes (10 MiB at most)
/// could not be sent anyway.
const OUTPUT_LIMIT: usize = 64 << 20;

/// Turns payloads into records.
#[derive(Debug)]
pub(crate) struct Translator<F> {
    formatter: F,
    relations: Relations,
    rewrites: Rewrites,
    decoder: Decoder,
    columns: Buffers<'static>,
    /// The records of the payload translated last.
    pub(crate) records: RecordBuffer,
    /// Tables of which it is settled, and was said, that deletes do not tell the key or that they are being rewritten.
    settled: HashSet<TableName>,
    /// The change for which the catalogs were asked again, since its row did not fit to the key.
    asked_again: Option<Position>,
}

/// Whether the server prints the rows of a table that is being rewritten, as inserts into a table called `pg_temp_` and a number. Up to
/// PostgreSQL 10 it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rewrites {
    Printed,
    Hidden,
    /// The server's version is not known. They are taken for what they are likely to be.
    Unknown,
}

impl Rewrites {
    /// The first major version that hides them.
    const HIDDEN_FROM: u32 = 11;

    fn of(server_major: Option<u32>) -> Self {
        match server_major {
            None => Self::Unknown,
            Some(major) if major < Self::HIDDEN_FROM => Self::Printed,
            Some(_) => Self::Hidden,
        }
    }
}

impl<F: Format> Translator<F> {
    /// Publishes with this formatter what is to be published of these tables. `server_major` is the major version of the server
    /// that prints the payloads, if it is known.
    pub(crate) fn new(formatter: F, relations: Relations, decoder: Decoder, server_major: Option<u32>) -> Self {
        Self {
            formatter,
            relations,
            rewrites: Rewrites::of(server_major),
            decoder,
            columns: Buffers::default(),
            records: RecordBuffer::new(OUTPUT_LIMIT),
            settled: HashSet::new(),
            asked_again: None,
        }
    }

    /// Goes on with payloads of another server.
    pub(crate) fn read_from(&mut self, relations: Relations, decoder: Decoder, server_major: Option<u32>) {
        self.relations = relations;
        self.decoder = decoder;
        self.rewrites = Rewrites::of(server_major);
        self.settled.clear();
        self.asked_again = None;
    }

    /// What is known of the tables.
    pub(crate) fn relations(&mut self) -> &mut Relations {
        &mut self.relations
    }

    /// Notes what the catalogs say of a table. What was settled about it is open again.
    pub(crate) fn learn(&mut self, name: TableName, catalogued: Catalogued) {
        self.settled.remove(&name);
        self.relations.learn(name, catalogued);
    }

    /// Doubts what is known of tables whose changes are published without a key, or not at all, because they have none.
    pub(crate) fn doubt(&mut self) {
        self.settled.clear();
        self.relations.doubt();
    }

    /// Translates one payload of this transaction. `index` counts the transaction's changes and is moved on; changes before
    /// `skip` are counted and make no records.
    ///
    /// # Errors
    ///
    /// See [`TranslateError`]. The records are of no use then.
    pub(crate) fn translate(
        &mut self,
        header: &Header,
        payload: &[u8],
        index: &mut u64,
        skip: u64,
    ) -> Result<Translated, TranslateError> {
        let Self { formatter, relations, rewrites, decoder, columns, records, settled, asked_again } = self;
        records.clear();
        let mut publish = Publish { formatter, header, records, settled, unkeyed: relations.selection().unkeyed };
        match decoder.decode(payload)? {
            Event::Row(row) => {
                let is_selected = relations.selection().operations.contains(row.operation);
                if *index >= skip && is_selected && !publish.is_of_rewrite(row.relation, *rewrites) {
                    match relations.fate(row.relation, row.layout) {
                        Err(unknown) => return Ok(Translated::Unknown(vec![unknown])),
                        Ok(Fate::Filtered | Fate::Skipped) => {}
                        Ok(Fate::Refused) => {
                            return Err(TranslateError::NoKey { operation: row.operation, table: table(row.relation) });
                        }
                        Ok(Fate::Published(published)) => {
                            let mut buffers = std::mem::take(columns);
                            let position = Position { end_lsn: header.end_lsn, index: *index };
                            let final_answer = *asked_again == Some(position);
                            let fit = publish.row(&row, published, *index, final_answer, &mut buffers);
                            *columns = buffers.recycle();
                            if fit? == Fit::Stale {
                                *asked_again = Some(position);
                                return Ok(Translated::Unknown(vec![table(row.relation)]));
                            }
                        }
                    }
                }
                *index += 1;
            }
            Event::Truncate(truncate) => {
                let is_selected = relations.selection().operations.truncate;
                if is_selected {
                    let unknown = truncate.relations().filter_map(|relation| relations.fate(relation, None).err());
                    let unknown = unknown.collect::<Vec<_>>();
                    if !unknown.is_empty() {
                        return Ok(Translated::Unknown(unknown));
                    }
                }
                for relation in truncate.relations() {
                    if *index >= skip && is_selected {
                        match relations.fate(relation, None) {
                            Ok(Fate::Published(_)) => publish.truncate(&truncate, relation, *index)?,
                            Ok(Fate::Refused) => {
                                let operation = Operation::Truncate;
                                return Err(TranslateError::NoKey { operation, table: table(relation) });
                            }
                            Ok(Fate::Filtered | Fate::Skipped) | Err(_) => {}
                        }
                    }
                    *index += 1;
                }
            }
            Event::Message(decode::Message { transactional, prefix, content }) => {
                let message = Message { transactional, prefix, content };
                if !message.transactional && header.xid.is_some() {
                    return Err(TranslateError::NoChange { found: "a message that is not transactional" });
                }
                if *index >= skip && relations.selection().contains_message(&message) {
                    publish.message(message, *index)?;
                }
                *index += 1;
            }
            Event::Begin { .. } => return Err(TranslateError::NoChange { found: "BEGIN" }),
            Event::Commit { .. } => return Err(TranslateError::NoChange { found: "COMMIT" }),
            Event::Prepare { .. } | Event::CommitPrepared { .. } | Event::RollbackPrepared { .. } => {
                return Err(TranslateError::NoChange { found: "a step of a two-phase commit" });
            }
        }
        Ok(Translated::Done)
    }
}

/// Columns of one change, in the form in which a formatter sees them.
#[derive(Debug, Default)]
struct Buffers<'a> {
    new: Vec<Column<'a>>,
    old: Vec<Column<'a>>,
    key: Vec<Column<'a>>,
    old_key: Vec<Column<'a>>,
}

impl Buffers<'_> {
    /// Empty buffers of the same memory, for columns that live elsewhere.
    fn recycle<'b>(self) -> Buffers<'b> {
        // An empty vector's elements can be of any lifetime; the standard library keeps the allocation when it collects
        // elements of the same layout in place.
        fn empty<'b>(mut columns: Vec<Column<'_>>) -> Vec<Column<'b>> {
            columns.clear();
            columns.into_iter().map(|_| Column::new("", "", Value::Null)).collect()
        }
        Buffers { new: empty(self.new), old: empty(self.old), key: empty(self.key), old_key: empty(self.old_key) }
    }
}

/// Whether a row fits to the key that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    /// It lacks a column of the key. The catalogs may know better by now.
    Stale,
}

/// What to do about a row of which the key is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutKey {
    AskAgain,
    LeaveOut,
    Publish,
}

struct Publish<'f, F> {
    formatter: &'f mut F,
    header: &'f Header,
    records: &'f mut RecordBuffer,
    settled: &'f mut HashSet<TableName>,
    unkeyed: Unkeyed,
}

impl<F: Format> Publish<'_, F> {
    /// Whether the row is of a table that is being rewritten: no row of the user's has changed.
    fn is_of_rewrite(&mut self, relation: Relation<'_>, rewrites: Rewrites) -> bool {
        let oid = relation.table.strip_prefix("pg_temp_").unwrap_or_default();
        let is_called_so = !oid.is_empty() && oid.bytes().all(|byte| byte.is_ascii_digit());
        if is_called_so && rewrites == Rewrites::Unknown {
            let table = table(relation);
            if !self.settled.contains(&table) {
                tracing::warn!(
                    %table,
                    "taken for a table that is being rewritten, as PostgreSQL up to 10 shows it, and left out; --server-version settles it"
                );
                self.settled.insert(table);
            }
        }
        is_called_so && rewrites != Rewrites::Hidden
    }

    /// Formats a change of a row. `final_answer` says that the catalogs were just asked for the key.
    fn row<'a>(
        &mut self,
        row: &RowChange<'a>,
        published: &mut Published,
        index: u64,
        final_answer: bool,
        buffers: &mut Buffers<'a>,
    ) -> Result<Fit, TranslateError> {
        let Buffers { new, old, key: key_values, old_key } = buffers;
        let Published { key, virtual_columns, has_lost_key } = published;
        new.extend(row.new.columns());
        old.extend(row.old.iter().flat_map(Tuple::columns));
        if !virtual_columns.is_empty() {
            let is_virtual = |name: &str| virtual_columns.binary_search_by(|column| column.as_str().cmp(name)).is_ok();
            let is_false = |column: &Column<'_>| column.value() == Value::Null && is_virtual(column.name());
            new.retain(|column| !is_false(column));
        }
        let missing = match row.operation {
            Operation::Delete => pick(key, key_values, |column| find(column, old)),
            // A key value that is large and unchanged is in the old key, if anywhere.
            _ => pick(key, key_values, |column| find(column, new).or_else(|| find(column, old))),
        };
        if let Some(missing) = missing {
            match self.without_key(row, missing, *has_lost_key, final_answer)? {
                WithoutKey::AskAgain => return Ok(Fit::Stale),
                WithoutKey::LeaveOut => return Ok(Fit::Fits),
                WithoutKey::Publish => key_values.clear(),
            }
        }
        let changes_key = row.operation == Operation::Update
            && !key_values.is_empty()
            && pick(key, old_key, |column| find(column, old)).is_none()
            && old_key.iter().map(Column::value).ne(key_values.iter().map(Column::value));
        let parts = ChangeParts {
            key: key_values,
            old_key: changes_key.then_some(old_key.as_slice()),
            columns: new,
            old_columns: row.old.as_ref().map(|_| old.as_slice()),
            ..self.parts(row.operation, row.relation, index)
        };
        self.format(&parts).map(|()| Fit::Fits)
    }

    /// Decides about a row that lacks this column of the key.
    fn without_key(
        &mut self,
        row: &RowChange<'_>,
        column: String,
        has_lost_key: bool,
        final_answer: bool,
    ) -> Result<WithoutKey, TranslateError> {
        let table = table(row.relation);
        // Such a row may well be without the key. Any other was made with a key that is not known.
        let is_plausible = has_lost_key || row.operation == Operation::Delete;
        let is_settled = is_plausible && self.settled.contains(&table);
        if !is_settled && !final_answer {
            return Ok(WithoutKey::AskAgain);
        }
        if !is_plausible {
            return Err(TranslateError::KeyColumn { table, column });
        }
        let decision = match self.unkeyed {
            Unkeyed::Skip => WithoutKey::LeaveOut,
            Unkeyed::Publish => WithoutKey::Publish,
            Unkeyed::Fail => return Err(TranslateError::NoKey { operation: row.operation, table }),
        };
        if !is_settled {
            if decision == WithoutKey::LeaveOut && has_lost_key {
                tracing::warn!(%table, "rows have no primary key any more; they are not published");
            } else if decision == WithoutKey::LeaveOut {
                tracing::warn!(
                    %table,
                    "deletes do not tell the primary key, because of the table's replica identity; they are not published"
                );
            }
            self.settled.insert(table);
        }
        Ok(decision)
    }

    fn truncate(&mut self, truncate: &Truncate<'_>, relation: Relation<'_>, index: u64) -> Result<(), TranslateError> {
        let parts = ChangeParts {
            restarts_identity: truncate.restarts_identity,
            cascades: truncate.cascades,
            ..self.parts(Operation::Truncate, relation, index)
        };
        self.format(&parts)
    }

    fn message(&mut self, message: Message<'_>, index: u64) -> Result<(), TranslateError> {
        let nowhere = Relation { qualified: "", schema: "", table: "" };
        let parts = ChangeParts { message: Some(message), ..self.parts(Operation::Message, nowhere, index) };
        self.format(&parts)
    }

    fn parts<'a>(&self, operation: Operation, relation: Relation<'a>, index: u64) -> ChangeParts<'a> {
        let position = Position { end_lsn: self.header.end_lsn, index };
        ChangeParts {
            xid: self.header.xid,
            committed_at: self.header.committed_at,
            ..ChangeParts::new(position, operation, relation.schema, relation.table)
        }
    }

    fn format(&mut self, parts: &ChangeParts<'_>) -> Result<(), TranslateError> {
        let result = Change::with(parts, |change| self.formatter.format(change, self.records));
        let operation = parts.operation;
        let name = || TableName { schema: parts.schema.to_owned(), table: parts.table.to_owned() };
        let table = || parts.message.is_none().then(name);
        if self.records.overflowed() {
            return Err(TranslateError::Overflow { operation, table: table(), limit: self.records.limit() });
        }
        result.map_err(|error| TranslateError::Formatter { operation, table: table(), message: error.to_string() })
    }
}

fn table(relation: Relation<'_>) -> TableName {
    TableName { schema: relation.schema.to_owned(), table: relation.table.to_owned() }
}

/// Collects the values of the key's columns; returns the name of one that has none.
fn pick<'a>(
    key: &mut [KeyColumn],
    picked: &mut Vec<Column<'a>>,
    mut find: impl FnMut(&mut KeyColumn) -> Option<Column<'a>>,
) -> Option<String> {
    picked.clear();
    for column in key {
        match find(column) {
            Some(found) => picked.push(found),
            None => return Some(column.name.clone()),
        }
    }
    None
}

/// Finds a column of the key that has a value in this row.
fn find<'a>(column: &mut KeyColumn, row: &[Column<'a>]) -> Option<Column<'a>> {
    let is_it = |candidate: &Column<'a>| candidate.name() == column.name;
    let place = match row.get(column.hint) {
        Some(candidate) if is_it(candidate) => column.hint,
        _ => row.iter().position(is_it)?,
    };
    column.hint = place;
    row.get(place).copied().filter(|found| matches!(found.value(), Value::Text(_)))
}
