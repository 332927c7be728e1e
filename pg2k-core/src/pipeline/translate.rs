//! One payload in, its records out.
//!
//! Payloads come from a committed transaction, records go to a [`lane`](crate::kinesis::lane). Pure but for the formatter that
//! it calls. The invariant: the same payloads of the same transaction get the same positions, whatever is filtered out.

use pg2k_abi::{Change, ChangeParts, Column, Operation, Position, RecordBuffer, Value};

use crate::decode::{DecodeError, Decoder, Event, Relation, RowChange, Truncate, Tuple};
use crate::relations::{Fate, KeyColumn, Relations, TableName};
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

/// The operations that are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operations {
    /// Inserts.
    pub(crate) insert: bool,
    /// Updates.
    pub(crate) update: bool,
    /// Deletes.
    pub(crate) delete: bool,
    /// Truncates.
    pub(crate) truncate: bool,
}

impl Operations {
    /// All of them.
    pub(crate) const ALL: Self = Self { insert: true, update: true, delete: true, truncate: true };
    /// None of them.
    pub(crate) const NONE: Self = Self { insert: false, update: false, delete: false, truncate: false };

    fn contains(self, operation: Operation) -> bool {
        match operation {
            Operation::Insert => self.insert,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
            Operation::Truncate => self.truncate,
            _ => false,
        }
    }
}

/// Why a payload cannot be turned into records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TranslateError {
    /// It is not in test_decoding's language.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// BEGIN or COMMIT inside a transaction.
    #[error("expected a change, found BEGIN or COMMIT")]
    NoChange,
    /// The row has no column of a name that the catalogs give for the key.
    #[error(
        "{table}: expected the key column {column}, which the catalogs have now, found none in the row: the key was changed after \
         this change was made; to give up the whole transaction, advance the slot to its end with pg_replication_slot_advance"
    )]
    KeyColumn {
        /// The table.
        table: TableName,
        /// The column of the key.
        column: String,
    },
    /// The formatter failed.
    #[error("the formatter failed on {operation} of {table}: {message}")]
    Formatter {
        /// What happened to the row.
        operation: Operation,
        /// The table.
        table: TableName,
        /// What the formatter says.
        message: String,
    },
    /// The formatter wrote more than it may.
    #[error(
        "the formatter failed on {operation} of {table}: expected at most {limit} bytes of records for a change, found more"
    )]
    Overflow {
        /// What happened to the row.
        operation: Operation,
        /// The table.
        table: TableName,
        /// What it may write.
        limit: usize,
    },
}

/// What became of a payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Translated {
    /// Its records, if it has any, are in the buffer.
    Done,
    /// Nothing was done; the catalogs have to be asked about this table first.
    Unknown(TableName),
}

/// What one change may become, in bytes of records and partition keys. Records above what a stream takes (10 MiB at most)
/// could not be sent anyway.
const OUTPUT_LIMIT: usize = 64 << 20;

/// Turns payloads into records.
#[derive(Debug)]
pub(crate) struct Translator<F> {
    formatter: F,
    operations: Operations,
    relations: Relations,
    decoder: Decoder,
    columns: Buffers<'static>,
    /// The records of the payload translated last.
    pub(crate) records: RecordBuffer,
    /// Tables of which a warning about rows without a key was given.
    warned: Vec<TableName>,
    /// The change for which the catalogs were asked again, since its row did not fit to the key.
    asked_again: Option<Position>,
}

impl<F: Format> Translator<F> {
    /// Publishes these operations on these tables with this formatter.
    pub(crate) fn new(formatter: F, operations: Operations, relations: Relations) -> Self {
        Self {
            formatter,
            operations,
            relations,
            decoder: Decoder::default(),
            columns: Buffers::default(),
            records: RecordBuffer::new(OUTPUT_LIMIT),
            warned: Vec::new(),
            asked_again: None,
        }
    }

    /// What is known of the tables.
    pub(crate) fn relations(&mut self) -> &mut Relations {
        &mut self.relations
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
        let Self { formatter, operations, relations, decoder, columns, records, warned, asked_again } = self;
        records.clear();
        let mut publish = Publish { formatter, header, records, warned };
        match decoder.decode(payload)? {
            Event::Row(row) => {
                if *index >= skip && operations.contains(row.operation) {
                    match relations.fate(row.relation) {
                        Err(unknown) => return Ok(Translated::Unknown(unknown)),
                        Ok(Fate::LeftOut) => {}
                        Ok(Fate::Published(key)) => {
                            let mut buffers = std::mem::take(columns);
                            let position = Position { end_lsn: header.end_lsn, index: *index };
                            let final_answer = *asked_again == Some(position);
                            let published = publish.row(&row, key, *index, final_answer, &mut buffers);
                            *columns = buffers.recycle();
                            if published? == Fit::Stale {
                                *asked_again = Some(position);
                                return Ok(Translated::Unknown(table(row.relation)));
                            }
                        }
                    }
                }
                *index += 1;
            }
            Event::Truncate(truncate) => {
                for relation in truncate.relations() {
                    if let (true, Err(unknown)) = (operations.truncate, relations.fate(relation)) {
                        return Ok(Translated::Unknown(unknown));
                    }
                }
                for relation in truncate.relations() {
                    let published = operations.truncate && matches!(relations.fate(relation), Ok(Fate::Published(_)));
                    if *index >= skip && published {
                        publish.truncate(&truncate, relation, *index)?;
                    }
                    *index += 1;
                }
            }
            // Counted, so that positions are the same when messages are published too.
            Event::Message(message) => *index += u64::from(message.transactional),
            _ => return Err(TranslateError::NoChange),
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

struct Publish<'f, F> {
    formatter: &'f mut F,
    header: &'f Header,
    records: &'f mut RecordBuffer,
    warned: &'f mut Vec<TableName>,
}

impl<F: Format> Publish<'_, F> {
    /// Formats a change of a row. `final_answer` says that the catalogs were just asked for the key.
    fn row<'a>(
        &mut self,
        row: &RowChange<'a>,
        key: &mut [KeyColumn],
        index: u64,
        final_answer: bool,
        buffers: &mut Buffers<'a>,
    ) -> Result<Fit, TranslateError> {
        let Buffers { new, old, key: key_values, old_key } = buffers;
        new.extend(row.new.columns());
        old.extend(row.old.iter().flat_map(Tuple::columns));
        let missing = match row.operation {
            Operation::Delete => pick(key, key_values, |column| find(column, old)),
            // A key value that is large and unchanged is in the old key, if anywhere.
            _ => pick(key, key_values, |column| find(column, new).or_else(|| find(column, old))),
        };
        if let Some(missing) = missing {
            return self.without_key(row, missing, final_answer);
        }
        let changes_key = row.operation == Operation::Update
            && pick(key, old_key, |column| find(column, old)).is_none()
            && old_key.iter().map(Column::value).ne(key_values.iter().map(Column::value));
        let parts = ChangeParts {
            key: key_values,
            old_key: changes_key.then_some(old_key.as_slice()),
            columns: new,
            old_columns: (!old.is_empty() || row.operation == Operation::Delete).then_some(old.as_slice()),
            ..self.parts(row.operation, row.relation, index)
        };
        self.format(&parts).map(|()| Fit::Fits)
    }

    /// Decides about a row that lacks this column of the key.
    fn without_key(&mut self, row: &RowChange<'_>, column: String, final_answer: bool) -> Result<Fit, TranslateError> {
        let table = table(row.relation);
        let is_delete = row.operation == Operation::Delete;
        if is_delete && self.warned.contains(&table) {
            return Ok(Fit::Fits);
        }
        if !final_answer {
            return Ok(Fit::Stale);
        }
        if !is_delete {
            return Err(TranslateError::KeyColumn { table, column });
        }
        tracing::warn!(
            %table,
            "deletes do not tell the primary key, because of the table's replica identity; they are not published"
        );
        self.warned.push(table);
        Ok(Fit::Fits)
    }

    fn truncate(&mut self, truncate: &Truncate<'_>, relation: Relation<'_>, index: u64) -> Result<(), TranslateError> {
        let parts = ChangeParts {
            restarts_identity: truncate.restarts_identity,
            cascades: truncate.cascades,
            ..self.parts(Operation::Truncate, relation, index)
        };
        self.format(&parts)
    }

    fn parts<'a>(&self, operation: Operation, relation: Relation<'a>, index: u64) -> ChangeParts<'a> {
        let position = Position { end_lsn: self.header.end_lsn, index };
        ChangeParts {
            xid: Some(self.header.xid),
            committed_at: Some(self.header.committed_at),
            ..ChangeParts::new(position, operation, relation.schema, relation.table)
        }
    }

    fn format(&mut self, parts: &ChangeParts<'_>) -> Result<(), TranslateError> {
        let result = Change::with(parts, |change| self.formatter.format(change, self.records));
        let operation = parts.operation;
        let table = || TableName { schema: parts.schema.to_owned(), table: parts.table.to_owned() };
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
