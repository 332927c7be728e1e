//! The columns of a row, read without knowing the relation.

use std::iter::Zip;
use std::slice;

use pg2k_abi::Column;

use super::cursor::Cursor;
use super::error::DecodeError;
use super::layout::LayoutColumn;
use super::source::{Part, Source};
use super::value::{Form, ValueParts, value};

/// A column as parts of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnParts {
    pub(super) name: Part,
    pub(super) type_name: Part,
    pub(super) value: ValueParts,
}

/// The columns of a row, in the table's order.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    source: Source<'a>,
    parts: Parts<'a>,
}

// Of vectors, not of slices: an event is moved several times, and should be small.
#[derive(Clone, Copy, Debug)]
enum Parts<'a> {
    /// Names and types are those of the relation's layout.
    Known(&'a Vec<LayoutColumn>, &'a Vec<ValueParts>),
    /// Names and types come from the payload.
    Printed(&'a Vec<ColumnParts>),
}

impl<'a> Tuple<'a> {
    /// Columns whose names and types are parts as well.
    pub(super) fn printed(source: Source<'a>, columns: &'a Vec<ColumnParts>) -> Self {
        Self { source, parts: Parts::Printed(columns) }
    }

    /// Columns of a layout.
    pub(super) fn known(source: Source<'a>, columns: &'a Vec<LayoutColumn>, values: &'a Vec<ValueParts>) -> Self {
        Self { source, parts: Parts::Known(columns, values) }
    }

    /// The columns: names without quotes, types as PostgreSQL prints them, values without quotes.
    #[inline]
    pub fn columns(&self) -> Columns<'a> {
        let (known, values, printed): (&[_], &[_], &[_]) = match self.parts {
            Parts::Known(columns, values) => (columns, values, &[]),
            Parts::Printed(columns) => (&[], &[], columns),
        };
        Columns { source: self.source, printed: printed.iter(), known: known.iter().zip(values) }
    }
}

/// The columns of a row, one after another. See [`Tuple::columns`].
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    source: Source<'a>,
    /// One of these two is empty from the beginning.
    printed: slice::Iter<'a, ColumnParts>,
    known: Zip<slice::Iter<'a, LayoutColumn>, slice::Iter<'a, ValueParts>>,
}

impl<'a> Iterator for Columns<'a> {
    type Item = Column<'a>;

    #[inline]
    fn next(&mut self) -> Option<Column<'a>> {
        let source = self.source;
        if let Some((column, value)) = self.known.next() {
            return Some(Column::new(&column.name, &column.type_name, value.of(source)));
        }
        let parts = self.printed.next()?;
        Some(Column::new(source.text(parts.name), source.text(parts.type_name), parts.value.of(source)))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = self.known.len() + self.printed.len();
        (length, Some(length))
    }
}

impl ExactSizeIterator for Columns<'_> {}

/// Reads columns up to the end of the payload.
pub(super) fn columns(
    cursor: &mut Cursor<'_>,
    columns: &mut Vec<ColumnParts>,
    unquoted: &mut String,
) -> Result<(), DecodeError> {
    while cursor.eat(" ") {
        columns.push(column(cursor, unquoted)?);
    }
    cursor.expect_end()
}

/// Reads a column behind its space.
#[inline]
pub(super) fn column(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<ColumnParts, DecodeError> {
    let (name, type_name, form) = heading(cursor, unquoted)?;
    Ok(ColumnParts { name, type_name, value: value(cursor, form, unquoted)? })
}

/// Reads `name[type]:`.
#[inline]
pub(super) fn heading(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<(Part, Part, Form), DecodeError> {
    let name = cursor.identifier(unquoted)?;
    cursor.expect("[")?;
    let begin = cursor.offset();
    let form = type_name(cursor)?;
    let type_name = Part::printed(begin, cursor.offset() - 1);
    cursor.expect(":")?;
    Ok((name, type_name, form))
}

/// Reads a type's name and the bracket that ends it: the first `]` outside quotes that does not close a `[]`.
#[inline]
fn type_name(cursor: &mut Cursor<'_>) -> Result<Form, DecodeError> {
    const END: &str = "the ] that ends the type";
    let begin = cursor.offset();
    loop {
        // What else is beyond ASCII, or no text, is printed in quotes.
        cursor.skip_while(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b']' | b'[' | b'"' | b'\''));
        match cursor.peek() {
            Some(b']') => break,
            Some(b'"') => {
                cursor.skip(1);
                cursor.skip_quoted(b'"', "the quote that ends the type")?;
            }
            _ if cursor.eat("[]") => {}
            _ => return Err(cursor.unexpected(END)),
        }
    }
    let name = cursor.text().get(begin..cursor.offset()).unwrap_or_default();
    if name.is_empty() {
        return Err(cursor.unexpected("a type"));
    }
    cursor.skip(1);
    Ok(Form::of(name))
}
