//! Positions in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A log sequence number: a byte position in PostgreSQL's write-ahead log.
///
/// It prints as PostgreSQL prints its type `pg_lsn`, `16/B3748D8`: the upper and the lower 32 bits in hexadecimal.
/// <https://www.postgresql.org/docs/current/datatype-pg-lsn.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// `0/0`, which PostgreSQL uses for "no position".
    pub const ZERO: Self = Self(0);

    /// The position this many bytes after the beginning of the write-ahead log.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes from the beginning of the write-ahead log.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<u64> for Lsn {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A text that is not an LSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLsnError {
    found: String,
}

impl fmt::Display for ParseLsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an LSN such as 16/B3748D8, found {:?}", self.found)
    }
}

impl std::error::Error for ParseLsnError {}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digits: &str| {
            let hexadecimal = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(upper, lower)| Some(Self(half(upper)? << 32 | half(lower)?)))
            .ok_or_else(|| ParseLsnError { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_as_postgresql_does() {
        for (text, bytes) in
            [("0/0", 0), ("0/16B3748", 0x16B_3748), ("16/B3748D8", 0x16_0B37_48D8), ("FFFFFFFF/FFFFFFFF", u64::MAX)]
        {
            assert_eq!(Lsn::new(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Lsn::new(bytes)));
        }
    }

    #[test]
    fn refuses_what_is_no_lsn() {
        for text in ["", "/", "0", "0/", "/0", "0/0/0", "0/+1", "0/123456789", "g/0", " 0/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
    }
}
