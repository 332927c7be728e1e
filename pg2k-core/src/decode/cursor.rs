//! Reads a payload from its beginning to its end; what is not there is an error, never a panic.

use std::ops::RangeInclusive;

use pg2k_abi::Timestamp;

use super::error::DecodeError;
use super::scan;
use super::source::Part;

/// A place in a payload.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// What has not been read yet: the end of `text`.
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes() }
    }

    /// The whole payload.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Bytes from the beginning of the payload.
    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// What has not been read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Goes past so many bytes, at most to the end.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    // By value, so that a cursor can stay in registers.
    #[cold]
    pub(super) fn unexpected(self, expected: &'static str) -> DecodeError {
        DecodeError::new(self.text.as_bytes(), self.offset(), expected)
    }

    /// Goes past this text if it is next.
    #[inline(always)]
    pub(super) fn eat(&mut self, text: &str) -> bool {
        self.eat_bytes(text.as_bytes())
    }

    /// Goes past these bytes if they are next.
    #[inline(always)]
    pub(super) fn eat_bytes(&mut self, bytes: &[u8]) -> bool {
        let behind = scan::strip(self.rest, bytes);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    pub(super) fn expect(&mut self, text: &'static str) -> Result<(), DecodeError> {
        if self.eat(text) { Ok(()) } else { Err(self.unexpected(text)) }
    }

    pub(super) fn expect_end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("the end of the payload")) }
    }

    /// Goes past the bytes for which this holds, and tells how many they were.
    #[inline]
    pub(super) fn skip_while(&mut self, holds: impl Fn(u8) -> bool) -> usize {
        let count = self.rest.iter().position(|byte| !holds(*byte)).unwrap_or(self.rest.len());
        scan::spend(count);
        self.skip(count);
        count
    }

    /// Reads a decimal number of 32 bits as PostgreSQL prints it, such as a transaction's.
    pub(super) fn number(&mut self) -> Result<u32, DecodeError> {
        let begin = *self;
        let digits = scan::digits(self.rest);
        self.skip(digits);
        let number = begin.text.get(begin.offset()..self.offset()).and_then(|digits| digits.parse().ok());
        match (begin.peek(), digits, number) {
            (Some(b'0'), 2.., _) | (_, _, None) => Err(begin.unexpected("a number of 32 bits")),
            (_, _, Some(number)) => Ok(number),
        }
    }

    /// Reads a name as `quote_identifier()` of PostgreSQL prints it: bare, or in quotes that are doubled inside.
    #[inline]
    pub(super) fn identifier(&mut self, unquoted: &mut String) -> Result<Part, DecodeError> {
        match self.peek() {
            Some(b'a'..=b'z' | b'_') => {
                let begin = self.offset();
                self.skip_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
                Ok(Part::printed(begin, self.offset()))
            }
            Some(b'"') => {
                self.skip(1);
                self.quoted(b'"', "the quote that ends the name", unquoted)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Reads from behind an opening quote to behind the closing one. Doubled quotes inside stand for one.
    #[inline(always)]
    pub(super) fn quoted(
        &mut self,
        quote: u8,
        expected: &'static str,
        unquoted: &mut String,
    ) -> Result<Part, DecodeError> {
        let begin = self.offset();
        match scan::find(quote, self.rest) {
            Some(length) if self.rest.get(length + 1) != Some(&quote) => {
                self.skip(length + 1);
                Ok(Part::printed(begin, begin + length))
            }
            _ => {
                let mut copy = *self;
                let part = copy.doubled(quote, expected, unquoted);
                *self = copy;
                part
            }
        }
    }

    /// Reads what [`quoted`](Self::quoted) reads, where quotes are doubled.
    #[inline(never)]
    fn doubled(&mut self, quote: u8, expected: &'static str, unquoted: &mut String) -> Result<Part, DecodeError> {
        let begin_unquoted = unquoted.len();
        let mut piece = self.offset();
        loop {
            let Some(length) = scan::find(quote, self.rest) else {
                self.rest = &[];
                return Err(self.unexpected(expected));
            };
            self.skip(length + 1);
            let is_doubled = self.peek() == Some(quote);
            // A doubled quote leaves its first half to the piece before it.
            let end = if is_doubled { self.offset() } else { self.offset() - 1 };
            unquoted.push_str(self.text.get(piece..end).unwrap_or_default());
            if !is_doubled {
                return Ok(Part::unquoted(begin_unquoted, unquoted.len()));
            }
            self.skip(1);
            piece = self.offset();
        }
    }

    /// Goes from behind an opening quote to behind the closing one.
    pub(super) fn skip_quoted(&mut self, quote: u8, expected: &'static str) -> Result<(), DecodeError> {
        loop {
            let Some(length) = scan::find(quote, self.rest) else {
                self.rest = &[];
                return Err(self.unexpected(expected));
            };
            self.skip(length + 1);
            if self.peek() != Some(quote) {
                return Ok(());
            }
            self.skip(1);
        }
    }

    /// Reads a text as `quote_literal()` of PostgreSQL prints it: `'…'`, or `E'…'` where it has backslashes, which are
    /// doubled like the quotes.
    pub(super) fn literal(&mut self, unquoted: &mut String) -> Result<Part, DecodeError> {
        const END: &str = "the quote that ends the text";
        let is_escaped = self.eat("E");
        self.expect("'")?;
        let mut inside = *self;
        let part = self.quoted(b'\'', END, unquoted)?;
        let inside_length = self.offset() - inside.offset() - 1;
        let backslash = scan::find(b'\\', inside.rest.get(..inside_length).unwrap_or_default());
        match (is_escaped, backslash) {
            (false, None) => Ok(part),
            (false, Some(before)) => {
                inside.skip(before);
                Err(inside.unexpected("no backslash in a text without E"))
            }
            (true, None) => Err(inside.unexpected("a backslash in a text with E")),
            (true, Some(_)) => inside.escaped(self.offset() - 1, unquoted),
        }
    }

    /// Reads up to `end` what has doubled quotes and doubled backslashes.
    fn escaped(&mut self, end: usize, unquoted: &mut String) -> Result<Part, DecodeError> {
        let begin_unquoted = unquoted.len();
        let mut piece = self.offset();
        while self.offset() < end {
            match self.peek() {
                Some(special @ (b'\\' | b'\'')) => {
                    self.skip(1);
                    if self.offset() >= end || self.peek() != Some(special) {
                        return Err(self.unexpected("a doubled backslash"));
                    }
                    unquoted.push_str(self.text.get(piece..self.offset()).unwrap_or_default());
                    self.skip(1);
                    piece = self.offset();
                }
                _ => self.skip(1),
            }
        }
        unquoted.push_str(self.text.get(piece..end).unwrap_or_default());
        Ok(Part::unquoted(begin_unquoted, unquoted.len()))
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

    /// Reads a `timestamptz` as `timestamptz_to_str()` of PostgreSQL prints it: `2026-01-31 09:08:07.000123+00`.
    fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        let begin = *self;
        // The year has four digits, and more only where it needs them.
        let year = self.digits(4..=6)?;
        if year == 0
            || year < 10_000 && self.offset() - begin.offset() > 4
            || year >= 10_000 && begin.peek() == Some(b'0')
        {
            return Err(begin.unexpected("a date and time"));
        }
        self.expect("-")?;
        let month = self.digits(2..=2)?;
        self.expect("-")?;
        let day = self.digits(2..=2)?;
        self.expect(" ")?;
        let hour = self.digits(2..=2)?;
        self.expect(":")?;
        let minute = self.digits(2..=2)?;
        self.expect(":")?;
        let begin_second = *self;
        let second = self.digits(2..=2)?;
        if second > 59 {
            return Err(begin_second.unexpected("a second from 00 to 59"));
        }
        let micros = if self.eat(".") { self.micros()? } else { 0 };
        let offset = self.zone()?;
        Timestamp::from_utc((i64::from(year), month, day), (hour, minute, second), micros)
            .and_then(|at| at.unix_micros().checked_sub(offset * 1_000_000))
            .map(Timestamp::from_unix_micros)
            .ok_or_else(|| begin.unexpected("a date and time of the calendar"))
    }

    /// Reads a fraction of a second, at most six digits without zeros at the end, in microseconds.
    fn micros(&mut self) -> Result<u32, DecodeError> {
        let begin = *self;
        let fraction = self.digits(1..=6)?;
        if fraction % 10 == 0 {
            return Err(begin.unexpected("a fraction that does not end in 0"));
        }
        let missing = (begin.offset() + 6).saturating_sub(self.offset());
        Ok((0..missing).fold(fraction, |micros, _| micros * 10))
    }

    /// Reads the distance from UTC, in seconds east of it: `+00`, `-03:30`; seconds only where there are any.
    fn zone(&mut self) -> Result<i64, DecodeError> {
        let begin = *self;
        let sign = match (self.eat("+"), self.eat("-")) {
            (true, _) => 1,
            (_, true) => -1,
            _ => return Err(self.unexpected("+ or - and a time zone")),
        };
        let mut seconds = i64::from(self.digits(2..=2)?) * 3_600;
        let mut last = None;
        for unit in [60, 1] {
            if self.eat(":") {
                let count = i64::from(self.digits(2..=2)?);
                seconds += count * unit;
                last = Some(count);
                if count > 59 {
                    return Err(begin.unexpected("a time zone"));
                }
            } else {
                break;
            }
        }
        if last == Some(0) || sign < 0 && seconds == 0 {
            return Err(begin.unexpected("a time zone without what is zero"));
        }
        Ok(sign * seconds)
    }

    /// Reads a number of so many digits.
    fn digits(&mut self, count: RangeInclusive<usize>) -> Result<u32, DecodeError> {
        let begin = *self;
        let digits = scan::digits(self.rest);
        self.skip(digits);
        let number = begin.text.get(begin.offset()..self.offset()).and_then(|digits| digits.parse().ok());
        number.filter(|_| count.contains(&digits)).ok_or_else(|| begin.unexpected("a date and time"))
    }
}
