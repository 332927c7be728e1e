//! Changes of rows, and truncates: all payloads that begin with `table`.

use pg2k_abi::{Column, Operation};

use super::cursor::Cursor;
use super::error::DecodeError;
use super::event::{Event, RowChange, Truncate};
use super::layout::{self, Layouts, Search};
use super::source::{Part, RelationParts, Source};
use super::tuple::{self, ColumnParts, Tuple};
use super::value::ValueParts;

/// Unquoted text and columns that are kept for the next payload, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// What can follow in an old key.
const OLD_KEY: &str = "a column, or the words new-tuple:";

/// Memory that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) layouts: Layouts,
    /// Whether columns are read without layouts.
    is_forgetful: bool,
    values: Vec<ValueParts>,
    new: Vec<ColumnParts>,
    old: Vec<ColumnParts>,
    relations: Vec<RelationParts>,
    /// Texts that differ from what the payload has: names and values without their doubled quotes.
    pub(super) unquoted: String,
}

/// What the general path found a payload to be of.
enum Found {
    Row(Operation),
    Truncate { restarts_identity: bool, cascades: bool },
}

impl Rows {
    /// Remembers nothing from one payload to the next.
    pub(super) fn forgetful() -> Self {
        Self { is_forgetful: true, ..Self::default() }
    }

    /// Makes room for the next payload; what one huge value took is not held for ever.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.new.clear();
        self.old.clear();
        self.relations.clear();
        self.unquoted.clear();
        if self.unquoted.capacity() > MAX_KEPT {
            self.unquoted.shrink_to(MAX_KEPT);
        }
        if self.values.capacity() > MAX_KEPT / size_of::<ValueParts>() {
            self.values.shrink_to(0);
        }
        if self.new.capacity() > MAX_KEPT / size_of::<ColumnParts>() {
            self.new.shrink_to(0);
        }
        if self.old.capacity() > MAX_KEPT / size_of::<ColumnParts>() {
            self.old.shrink_to(0);
        }
        if self.relations.capacity() > MAX_KEPT / size_of::<RelationParts>() {
            self.relations.shrink_to(0);
        }
        self.layouts.bound();
    }

    /// Decodes a change of a row, or a truncate.
    #[inline]
    pub(super) fn decode<'a>(&'a mut self, text: &'a str) -> Result<Event<'a>, DecodeError> {
        self.clear();
        let mut cursor = Cursor::new(text);
        if let Some(place) = self.layouts.predict(&mut cursor)
            && let Some(operation) = operation(&mut cursor)
        {
            return self.row(cursor, operation, place);
        }
        self.general(Cursor::new(text))
    }

    /// Decodes a payload of relations that were not expected.
    #[inline(never)]
    fn general<'a>(&'a mut self, mut cursor: Cursor<'a>) -> Result<Event<'a>, DecodeError> {
        let found = self.heading(&mut cursor)?;
        let operation = match found {
            Found::Row(operation) => operation,
            Found::Truncate { restarts_identity, cascades } => {
                let source = Source { payload: cursor.text(), unquoted: &self.unquoted };
                let relations = &self.relations;
                return Ok(Event::Truncate(Truncate { source, relations, restarts_identity, cascades }));
            }
        };
        let source = Source { payload: cursor.text(), unquoted: &self.unquoted };
        let [parts] = self.relations.as_slice() else { return Err(cursor.unexpected("one table")) };
        if self.is_forgetful {
            return self.forgetful_row(cursor, operation);
        }
        let place = self.layouts.place(source.relation(parts));
        self.row(cursor, operation, place)
    }

    /// Reads the names of the relations, and what was done to them.
    fn heading(&mut self, cursor: &mut Cursor<'_>) -> Result<Found, DecodeError> {
        cursor.expect("table ")?;
        self.relations.push(relation(cursor, &mut self.unquoted)?);
        while cursor.eat(", ") {
            self.relations.push(relation(cursor, &mut self.unquoted)?);
        }
        cursor.expect(": ")?;
        if cursor.eat("TRUNCATE:") {
            let (restarts_identity, cascades) = truncate_flags(cursor)?;
            return Ok(Found::Truncate { restarts_identity, cascades });
        }
        if self.relations.len() > 1 {
            return Err(cursor.unexpected("TRUNCATE: behind several tables"));
        }
        let operation = operation(cursor);
        operation.map(Found::Row).ok_or_else(|| cursor.unexpected("INSERT:, UPDATE:, DELETE: or TRUNCATE:"))
    }

    /// Reads the tuples of a row with the help of its relation's layout.
    #[inline]
    fn row<'a>(
        &'a mut self,
        mut cursor: Cursor<'a>,
        operation: Operation,
        place: usize,
    ) -> Result<Event<'a>, DecodeError> {
        let Self { layouts, values, old, unquoted, .. } = self;
        let mut has_old = false;
        let mut has_new = false;
        if operation == Operation::Delete {
            has_old = !no_tuple(&mut cursor)?;
            if has_old && layouts.get(place).is_some_and(|layout| layout.columns().is_empty()) {
                // The columns of a key are better than nothing, until there is a row.
                let begin = cursor;
                layouts.read(place, &mut cursor, values, unquoted)?;
                cursor = begin;
                values.clear();
                unquoted.clear();
            }
            if let (true, Some(layout)) = (has_old, layouts.get(place)) {
                old_columns(&mut cursor, Search::new(layout), operation, old, unquoted)?;
            }
        } else {
            if operation == Operation::Update && cursor.eat(" old-key:") {
                has_old = true;
                if let Some(layout) = layouts.get(place) {
                    old_columns(&mut cursor, Search::new(layout), operation, old, unquoted)?;
                }
            }
            has_new = !no_tuple(&mut cursor)?;
            if has_new {
                layouts.read(place, &mut cursor, values, unquoted)?;
            }
        }
        let source = Source { payload: cursor.text(), unquoted };
        let Some(layout) = layouts.get(place) else { return Err(cursor.unexpected("a known relation")) };
        Ok(Event::Row(RowChange {
            relation: layout.relation(),
            operation,
            new: Tuple::known(source, layout.columns(), values),
            old: has_old.then(|| Tuple::printed(source, old)),
            layout: has_new.then(|| layout.fingerprint()),
        }))
    }

    /// Reads the tuples of a row without any help.
    fn forgetful_row<'a>(&'a mut self, mut cursor: Cursor<'a>, operation: Operation) -> Result<Event<'a>, DecodeError> {
        let Self { new, old, relations, unquoted, .. } = self;
        let mut has_old = false;
        let mut has_new = false;
        if operation == Operation::Delete {
            has_old = !no_tuple(&mut cursor)?;
            if has_old {
                tuple::columns(&mut cursor, old, unquoted)?;
            }
        } else {
            if operation == Operation::Update && cursor.eat(" old-key:") {
                has_old = true;
                while !cursor.eat(" new-tuple:") {
                    if !cursor.eat(" ") {
                        return Err(cursor.unexpected(OLD_KEY));
                    }
                    old.push(tuple::column(&mut cursor, unquoted)?);
                }
            }
            has_new = !no_tuple(&mut cursor)?;
            if has_new {
                tuple::columns(&mut cursor, new, unquoted)?;
            }
        }
        let source = Source { payload: cursor.text(), unquoted };
        let [parts] = relations.as_slice() else { return Err(cursor.unexpected("one table")) };
        let new = Tuple::printed(source, new);
        let fingerprint =
            |columns: u64, column: Column<'_>| layout::fingerprint(columns, column.name(), column.type_name());
        Ok(Event::Row(RowChange {
            relation: source.relation(parts),
            operation,
            new,
            old: has_old.then(|| Tuple::printed(source, old)),
            layout: has_new.then(|| new.columns().fold(layout::NO_COLUMNS, fingerprint)),
        }))
    }
}

#[inline]
fn operation(cursor: &mut Cursor<'_>) -> Option<Operation> {
    if cursor.eat("INSERT:") {
        Some(Operation::Insert)
    } else if cursor.eat("UPDATE:") {
        Some(Operation::Update)
    } else if cursor.eat("DELETE:") {
        Some(Operation::Delete)
    } else {
        None
    }
}

/// Whether the payload ends with saying that it does not tell the row.
#[inline]
fn no_tuple(cursor: &mut Cursor<'_>) -> Result<bool, DecodeError> {
    let is_missing = cursor.eat(" (no-tuple-data)");
    if is_missing {
        cursor.expect_end()?;
    }
    Ok(is_missing)
}

/// Reads the columns of a row before the change: of a delete to the payload's end, of an update to the words that end them.
fn old_columns(
    cursor: &mut Cursor<'_>,
    mut search: Search<'_>,
    operation: Operation,
    columns: &mut Vec<ColumnParts>,
    unquoted: &mut String,
) -> Result<(), DecodeError> {
    // A copy, so that it can stay in registers.
    let mut here = *cursor;
    loop {
        if let Some(column) = search.read(&mut here, unquoted)? {
            columns.push(column);
            continue;
        }
        if operation == Operation::Delete {
            return tuple::columns(&mut here, columns, unquoted);
        }
        if here.eat(" new-tuple:") {
            *cursor = here;
            return Ok(());
        }
        if !here.eat(" ") {
            return Err(here.unexpected(OLD_KEY));
        }
        columns.push(tuple::column(&mut here, unquoted)?);
    }
}

fn relation(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<RelationParts, DecodeError> {
    let begin = cursor.offset();
    let schema = cursor.identifier(unquoted)?;
    cursor.expect(".")?;
    let table = cursor.identifier(unquoted)?;
    Ok(RelationParts { qualified: Part::printed(begin, cursor.offset()), schema, table })
}

fn truncate_flags(cursor: &mut Cursor<'_>) -> Result<(bool, bool), DecodeError> {
    if cursor.eat(" (no-flags)") {
        cursor.expect_end()?;
        return Ok((false, false));
    }
    let restarts_identity = cursor.eat(" restart_seqs");
    let cascades = cursor.eat(" cascade");
    if !restarts_identity && !cascades {
        return Err(cursor.unexpected("(no-flags), restart_seqs or cascade"));
    }
    cursor.expect_end()?;
    Ok((restarts_identity, cascades))
}
