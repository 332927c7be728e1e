//! The columns of a row.

use pg2k_abi::{Column, Value};

use super::cursor::Cursor;
use super::error::DecodeError;
use super::source::{Part, Source};

/// A column as parts of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnParts {
    name: Part,
    type_name: Part,
    value: ValueParts,
}

#[derive(Clone, Copy, Debug)]
enum ValueParts {
    Text(Part),
    Null,
    Unchanged,
}

/// The columns of a row, in the table's order.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    source: Source<'a>,
    columns: &'a [ColumnParts],
}

impl<'a> Tuple<'a> {
    pub(super) fn new(source: Source<'a>, columns: &'a [ColumnParts]) -> Self {
        Self { source, columns }
    }

    /// The columns: names without quotes, types as PostgreSQL prints them, values without quotes.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Column<'a>> + use<'a> {
        let source = self.source;
        self.columns.iter().map(move |parts| {
            let value = match parts.value {
                ValueParts::Text(part) => Value::Text(source.text(part)),
                ValueParts::Null => Value::Null,
                ValueParts::Unchanged => Value::Unchanged,
            };
            Column::new(source.text(parts.name), source.text(parts.type_name), value)
        })
    }

    /// A number for the names and types of the columns: FNV-1a of 64 bits.
    pub(super) fn layout(&self) -> u64 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        // The byte 0xff is in no name.
        let text = |hash, text: &str| mix(text.bytes().fold(hash, mix), 0xff);
        let column = |hash, column: Column<'_>| text(text(hash, column.name()), column.type_name());
        self.columns().fold(0xcbf2_9ce4_8422_2325, column)
    }
}

/// Reads the columns up to the end of the payload, and tells whether there is a tuple.
pub(super) fn columns(
    cursor: &mut Cursor<'_>,
    columns: &mut Vec<ColumnParts>,
    unquoted: &mut String,
) -> Result<bool, DecodeError> {
    if cursor.eat(" (no-tuple-data)") {
        return cursor.expect_end().map(|()| false);
    }
    while cursor.eat(" ") {
        columns.push(column(cursor, unquoted)?);
    }
    cursor.expect_end().map(|()| true)
}

/// Reads the columns of an old key, and the words that end it.
pub(super) fn old_key(
    cursor: &mut Cursor<'_>,
    columns: &mut Vec<ColumnParts>,
    unquoted: &mut String,
) -> Result<(), DecodeError> {
    while !cursor.eat(" new-tuple:") {
        cursor.expect(" ")?;
        columns.push(column(cursor, unquoted)?);
    }
    Ok(())
}

#[inline]
fn column(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<ColumnParts, DecodeError> {
    let name = cursor.identifier(unquoted)?;
    cursor.expect("[")?;
    let type_name = type_name(cursor)?;
    cursor.expect(":")?;
    Ok(ColumnParts { name, type_name, value: value(cursor, unquoted)? })
}

/// Reads a type's name and the bracket that ends it: the first `]` outside quotes that does not close a `[]`.
#[inline]
fn type_name(cursor: &mut Cursor<'_>) -> Result<Part, DecodeError> {
    let begin = cursor.offset();
    loop {
        cursor.skip_while(|byte| !matches!(byte, b']' | b'[' | b'"'));
        if cursor.eat("]") {
            return Ok(Part { begin, end: cursor.offset() - 1, is_unquoted: false });
        }
        if cursor.eat("\"") {
            // The type stays as it is printed; only the end of the quoted name is looked for.
            cursor.quoted(b'"', "the quote that ends the type", &mut String::new())?;
        } else if !cursor.eat("[]") {
            return Err(cursor.unexpected("the ] that ends the type"));
        }
    }
}

#[inline]
fn value(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<ValueParts, DecodeError> {
    const QUOTE: &str = "the quote that ends the value";
    if cursor.eat("'") {
        return Ok(ValueParts::Text(cursor.quoted(b'\'', QUOTE, unquoted)?));
    }
    if cursor.eat("B'") {
        let begin = cursor.offset();
        cursor.skip_while(|byte| matches!(byte, b'0' | b'1'));
        let end = cursor.offset();
        cursor.expect("'")?;
        return Ok(ValueParts::Text(Part { begin, end, is_unquoted: false }));
    }
    let bare = *cursor;
    let length = cursor.skip_while(|byte| byte != b' ');
    match bare.rest().get(..length).unwrap_or_default() {
        b"null" => Ok(ValueParts::Null),
        b"unchanged-toast-datum" => Ok(ValueParts::Unchanged),
        word if is_literal(word) => {
            Ok(ValueParts::Text(Part { begin: bare.offset(), end: cursor.offset(), is_unquoted: false }))
        }
        _ => Err(bare.unexpected("a value")),
    }
}

/// Whether PostgreSQL prints this without quotes: numbers of all kinds and booleans.
#[inline]
fn is_literal(word: &[u8]) -> bool {
    match digits(word.strip_prefix(b"-").unwrap_or(word)) {
        Some([]) => true,
        Some([b'.', fraction @ ..]) => digits(fraction).is_some_and(|rest| rest.is_empty() || is_exponent(rest)),
        Some(rest) => is_exponent(rest),
        None => matches!(word, b"true" | b"false" | b"NaN" | b"Infinity" | b"-Infinity"),
    }
}

fn is_exponent(text: &[u8]) -> bool {
    matches!(text, [b'e', b'+' | b'-', exponent @ ..] | [b'e', exponent @ ..] if digits(exponent) == Some(&[]))
}

/// What follows the digits that the text begins with; `None` if it begins with none.
#[inline]
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(count..).filter(|_| count > 0)
}
