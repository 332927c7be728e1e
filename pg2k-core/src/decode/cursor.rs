//! Reads a payload from its beginning to its end; what is not there is an error, never a panic.

use std::ops::RangeInclusive;

use memchr::memchr;
use pg2k_abi::Timestamp;

use super::error::DecodeError;
use super::source::Part;

/// A place in a payload.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    payload: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload, offset: 0 }
    }

    /// Bytes from the beginning of the payload.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// What has not been read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.payload.get(self.offset..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.payload.get(self.offset).copied()
    }

    pub(super) fn unexpected(&self, expected: &'static str) -> DecodeError {
        DecodeError { offset: self.offset, expected, found: self.peek() }
    }

    /// Goes past this text if it is next.
    #[inline]
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text.as_bytes());
        if is_next {
            self.offset += text.len();
        }
        is_next
    }

    pub(super) fn expect(&mut self, text: &'static str) -> Result<(), DecodeError> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(text)) }
    }

    pub(super) fn expect_end(&self) -> Result<(), DecodeError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.unexpected("the end of the payload")) }
    }

    /// Goes past the bytes for which this holds, and tells how many they were.
    #[inline]
    pub(super) fn skip_while(&mut self, holds: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest();
        let count = rest.iter().position(|byte| !holds(*byte)).unwrap_or(rest.len());
        self.offset += count;
        count
    }

    /// Reads a decimal number of 32 bits, such as a transaction's.
    pub(super) fn number(&mut self) -> Result<u32, DecodeError> {
        let begin = *self;
        let count = self.skip_while(|byte| byte.is_ascii_digit());
        begin
            .rest()
            .get(..count)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| begin.unexpected("a number of 32 bits"))
    }

    /// Reads a name as `quote_identifier()` of PostgreSQL prints it: bare, or in quotes that are doubled inside.
    #[inline]
    pub(super) fn identifier(&mut self, unquoted: &mut String) -> Result<Part, DecodeError> {
        if self.eat("\"") {
            return self.quoted(b'"', "the quote that ends the name", unquoted);
        }
        let begin = self.offset;
        if !self.peek().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            return Err(self.unexpected("a name"));
        }
        self.skip_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        Ok(Part { begin, end: self.offset, is_unquoted: false })
    }

    /// Reads from behind an opening quote to behind the closing one. Doubled quotes inside stand for one.
    #[inline]
    pub(super) fn quoted(
        &mut self,
        quote: u8,
        expected: &'static str,
        unquoted: &mut String,
    ) -> Result<Part, DecodeError> {
        let begin = self.offset;
        let mut piece = begin;
        let mut begin_unquoted = None;
        loop {
            let Some(length) = memchr(quote, self.rest()) else {
                self.offset = self.payload.len();
                return Err(self.unexpected(expected));
            };
            self.offset += length + 1;
            let is_doubled = self.peek() == Some(quote);
            if let (false, None) = (is_doubled, begin_unquoted) {
                return Ok(Part { begin, end: self.offset - 1, is_unquoted: false });
            }
            let begin_unquoted = *begin_unquoted.get_or_insert(unquoted.len());
            // A doubled quote leaves its first half to the piece before it.
            let end = if is_doubled { self.offset } else { self.offset - 1 };
            let text = self.payload.get(piece..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            unquoted.push_str(text.ok_or_else(|| self.unexpected("UTF-8"))?);
            if !is_doubled {
                return Ok(Part { begin: begin_unquoted, end: unquoted.len(), is_unquoted: true });
            }
            self.offset += 1;
            piece = self.offset;
        }
    }

    /// Reads a text as `quote_literal()` of PostgreSQL prints it: `'…'`, or `E'…'` where it has backslashes, which are doubled
    /// like the quotes.
    pub(super) fn literal(&mut self, unquoted: &mut String) -> Result<Part, DecodeError> {
        const END: &str = "the quote that ends the text";
        let is_escaped = self.eat("E");
        self.expect("'")?;
        let begin = *self;
        let part = self.quoted(b'\'', END, unquoted)?;
        let raw = self.offset - begin.offset - 1;
        let has_backslash = begin.rest().get(..raw).is_some_and(|raw| raw.contains(&b'\\'));
        match (is_escaped, has_backslash) {
            (false, false) => Ok(part),
            (false, true) => Err(begin.unexpected("no backslash in a text without E")),
            (true, false) => Err(begin.unexpected("a backslash in a text with E")),
            (true, true) => {
                let raw = begin.rest().get(..raw).and_then(|raw| std::str::from_utf8(raw).ok());
                let text = raw.ok_or_else(|| begin.unexpected("UTF-8"))?.replace("''", "'");
                if text.replace("\\\\", "").contains('\\') {
                    return Err(begin.unexpected("doubled backslashes"));
                }
                let begin = unquoted.len();
                unquoted.push_str(&text.replace("\\\\", "\\"));
                Ok(Part { begin, end: unquoted.len(), is_unquoted: true })
            }
        }
    }

    /// Reads ` (at T)` if it is next.
    pub(super) fn time(&mut self) -> Result<Option<Timestamp>, DecodeError> {
        if !self.eat(" (at ") {
            return Ok(None);
        }
        let at = self.timestamp()?;
        self.expect(")")?;
        Ok(Some(at))
    }

    /// Reads a `timestamptz` as PostgreSQL prints it with DateStyle ISO: `2026-01-31 09:08:07.000123+00`.
    pub(super) fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        let begin = *self;
        let year = self.digits(4..=6)?;
        self.expect("-")?;
        let month = self.digits(2..=2)?;
        self.expect("-")?;
        let day = self.digits(2..=2)?;
        self.expect(" ")?;
        let hour = self.digits(2..=2)?;
        self.expect(":")?;
        let minute = self.digits(2..=2)?;
        self.expect(":")?;
        let second = self.digits(2..=2)?;
        let micros = if self.eat(".") { self.micros()? } else { 0 };
        let offset = self.zone()?;
        Timestamp::from_utc((i64::from(year), month, day), (hour, minute, second), micros)
            .and_then(|at| at.unix_micros().checked_sub(offset * 1_000_000))
            .map(Timestamp::from_unix_micros)
            .ok_or_else(|| begin.unexpected("a date and time of the calendar"))
    }

    /// Reads a fraction of a second, at most six digits, in microseconds.
    fn micros(&mut self) -> Result<u32, DecodeError> {
        let begin = self.offset;
        let fraction = self.digits(1..=6)?;
        let missing = (begin + 6).saturating_sub(self.offset);
        Ok((0..missing).fold(fraction, |micros, _| micros * 10))
    }

    /// Reads the distance from UTC, in seconds east of it.
    fn zone(&mut self) -> Result<i64, DecodeError> {
        let sign = match (self.eat("+"), self.eat("-")) {
            (true, _) => 1,
            (_, true) => -1,
            _ => return Err(self.unexpected("+ or - and a time zone")),
        };
        let mut seconds = i64::from(self.digits(2..=2)?) * 3_600;
        for unit in [60, 1] {
            if self.eat(":") {
                seconds += i64::from(self.digits(2..=2)?) * unit;
            }
        }
        Ok(sign * seconds)
    }

    /// Reads a number of so many digits.
    fn digits(&mut self, count: RangeInclusive<usize>) -> Result<u32, DecodeError> {
        let begin = *self;
        let number = self.number()?;
        if count.contains(&(self.offset - begin.offset)) {
            Ok(number)
        } else {
            Err(begin.unexpected("a date and time"))
        }
    }
}
