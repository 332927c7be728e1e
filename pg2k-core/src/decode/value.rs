//! The values of a row, in the forms that `print_literal()` of test_decoding gives them.

use pg2k_abi::Value;

use super::cursor::Cursor;
use super::error::DecodeError;
use super::scan;
use super::source::{Part, Source};

/// A value as a part of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueParts(Part);

impl ValueParts {
    const NULL: Self = Self(Part::NOWHERE);
    const UNCHANGED: Self = Self(Part::ELSEWHERE);

    #[inline]
    pub(super) fn of(self, source: Source<'_>) -> Value<'_> {
        match self {
            Self(Part::NOWHERE) => Value::Null,
            Self(Part::ELSEWHERE) => Value::Unchanged,
            Self(part) => Value::Text(source.text(part)),
        }
    }
}

/// How the values of a type are printed. `print_literal()` goes by the type's OID; only built-in types have these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `'…'`: all types but those below.
    Quoted,
    /// `-12`: int2, int4, int8.
    Integer,
    /// `12`, and `'…'` too: oid, whose name a user's own type may have.
    Oid,
    /// `1.5e-07`: float4, float8.
    Float,
    /// `12.50`: numeric.
    Numeric,
    /// `true`
    Boolean,
    /// `B'01'`: bit, varbit.
    Bits,
}

impl Form {
    /// The form of a type's values, by the name that `format_type_be()` of PostgreSQL gives it.
    pub(super) fn of(type_name: &str) -> Self {
        match type_name {
            "smallint" | "integer" | "bigint" => Self::Integer,
            "real" | "double precision" => Self::Float,
            "numeric" => Self::Numeric,
            "boolean" => Self::Boolean,
            "bit" | "bit varying" => Self::Bits,
            "oid" | "\"oid\"" | "pg_catalog.oid" | "pg_catalog.\"oid\"" | "\"pg_catalog\".\"oid\"" => Self::Oid,
            _ => Self::Quoted,
        }
    }

    /// Whether values can be so long that they are stored outside of their row.
    fn is_of_variable_length(self) -> bool {
        matches!(self, Self::Quoted | Self::Oid | Self::Numeric | Self::Bits)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Quoted => "null, unchanged-toast-datum or a text in quotes",
            Self::Integer => "null or an integer",
            Self::Oid => "null, an integer without sign, or a text in quotes",
            Self::Float => "null or a floating-point number",
            Self::Numeric => "null, unchanged-toast-datum or a number without exponent",
            Self::Boolean => "null, true or false",
            Self::Bits => "null, unchanged-toast-datum or bits in B''",
        }
    }
}

/// Reads a value of this form. What follows it is left to the caller.
#[inline(always)]
pub(super) fn value(cursor: &mut Cursor<'_>, form: Form, unquoted: &mut String) -> Result<ValueParts, DecodeError> {
    match (form, cursor.peek()) {
        (Form::Quoted, Some(b'\'')) => text(cursor, unquoted),
        (Form::Integer, Some(b'0'..=b'9' | b'-')) => integer(cursor),
        (_, Some(b'n')) if cursor.eat("null") => Ok(ValueParts::NULL),
        (Form::Boolean, Some(b't' | b'f')) => boolean(cursor),
        _ => {
            // A copy, so that the cursor itself can stay in registers.
            let mut copy = *cursor;
            let value = rarer_value(&mut copy, form, unquoted);
            *cursor = copy;
            value
        }
    }
}

#[inline(never)]
fn rarer_value(cursor: &mut Cursor<'_>, form: Form, unquoted: &mut String) -> Result<ValueParts, DecodeError> {
    match (form, cursor.peek()) {
        (_, Some(b'u')) if form.is_of_variable_length() && cursor.eat("unchanged-toast-datum") => {
            Ok(ValueParts::UNCHANGED)
        }
        (Form::Oid, Some(b'\'')) => text(cursor, unquoted),
        (Form::Oid, Some(b'0'..=b'9')) => integer(cursor),
        (Form::Float | Form::Numeric, Some(b'0'..=b'9' | b'-' | b'N' | b'I')) => number(cursor, form),
        (Form::Bits, Some(b'B')) if cursor.eat("B'") => {
            let begin = cursor.offset();
            cursor.skip_while(|byte| matches!(byte, b'0' | b'1'));
            let bits = Part::printed(begin, cursor.offset());
            if cursor.eat("'") { Ok(ValueParts(bits)) } else { Err(cursor.unexpected("0, 1 or '")) }
        }
        _ => Err(cursor.unexpected(form.expected())),
    }
}

#[inline(always)]
fn text(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<ValueParts, DecodeError> {
    cursor.skip(1);
    cursor.quoted(b'\'', "the quote that ends the value", unquoted).map(ValueParts)
}

#[inline(always)]
fn boolean(cursor: &mut Cursor<'_>) -> Result<ValueParts, DecodeError> {
    let begin = cursor.offset();
    if cursor.eat("true") || cursor.eat("false") {
        Ok(part(begin, cursor))
    } else {
        Err(cursor.unexpected(Form::Boolean.expected()))
    }
}

#[inline(always)]
fn part(begin: usize, end: &Cursor<'_>) -> ValueParts {
    ValueParts(Part::printed(begin, end.offset()))
}

/// Reads digits with an optional sign, without zeros before them.
#[inline(always)]
fn integer(cursor: &mut Cursor<'_>) -> Result<ValueParts, DecodeError> {
    let begin = *cursor;
    let is_negative = cursor.peek() == Some(b'-');
    cursor.skip(usize::from(is_negative));
    let count = scan::digits(cursor.rest());
    let is_padded = cursor.peek() == Some(b'0') && (is_negative || count > 1);
    if count == 0 || is_padded {
        return Err(begin.unexpected("an integer without zeros before it"));
    }
    cursor.skip(count);
    Ok(part(begin.offset(), cursor))
}

/// Reads a number with a fraction, and for floating point an exponent.
fn number(cursor: &mut Cursor<'_>, form: Form) -> Result<ValueParts, DecodeError> {
    let begin = *cursor;
    let is_negative = cursor.eat("-");
    if cursor.eat("Infinity") || (!is_negative && cursor.eat("NaN")) {
        return Ok(part(begin.offset(), cursor));
    }
    let whole = scan::digits(cursor.rest());
    if whole == 0 || (cursor.peek() == Some(b'0') && whole > 1) {
        return Err(begin.unexpected(form.expected()));
    }
    cursor.skip(whole);
    if cursor.eat(".") {
        let fraction = scan::digits(cursor.rest());
        if fraction == 0 {
            return Err(cursor.unexpected("a digit"));
        }
        cursor.skip(fraction);
    }
    if form == Form::Float && cursor.eat("e") {
        let has_sign = cursor.eat("-") || cursor.eat("+");
        let exponent = scan::digits(cursor.rest());
        if !has_sign || !(2..=3).contains(&exponent) {
            return Err(cursor.unexpected("an exponent: a sign and at least two digits"));
        }
        cursor.skip(exponent);
    }
    Ok(part(begin.offset(), cursor))
}
