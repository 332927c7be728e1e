//! The numbers that the service gives to records.
//!
//! They are made by a stream when a record arrives and come back in requests as ordering numbers and positions. Within
//! a stream, whatever the shard, a later record has a greater number.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The most digits that the service takes, from the pattern `0|([1-9]\d{0,128})` of its API model.
const MAX_DIGITS: usize = 129;

/// Stands for the sequence number of a record: a decimal number, compared by value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(String);

/// Says why a text is not a sequence number.
#[derive(Debug, thiserror::Error)]
#[error("sequence number `{text}`: expected 1 to {MAX_DIGITS} decimal digits without leading zeros")]
pub struct SequenceNumberError {
    text: String,
}

impl SequenceNumber {
    /// Makes a number that looks like the service's: 56 digits that begin with 49.
    ///
    /// The time of the stream's creation comes first, so that the numbers of a stream that was deleted and made again
    /// go on increasing; then comes the record's place in the stream, and last its shard's.
    pub(crate) fn new(created_micros: u64, place: u64, shard: u32) -> Self {
        Self(format!("49{created_micros:020}{place:022}{shard:012}"))
    }

    /// Gives the number's digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SequenceNumber {
    type Err = SequenceNumberError;

    fn from_str(text: &str) -> Result<Self, SequenceNumberError> {
        let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (text.starts_with('0') && text != "0") {
            return Err(SequenceNumberError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without leading zeros the longer of two numbers is the greater.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let number = |text: &str| text.parse::<SequenceNumber>().unwrap();
        assert!(number("9") < number("10"));
        assert!(number("19") < number("20"));
        assert_eq!(number("0"), number("0"));
        for bad in ["", "01", "-1", "1a", "1.0", &"1".repeat(130)] {
            assert!(bad.parse::<SequenceNumber>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_increase_with_the_place_and_with_the_stream() {
        let number = SequenceNumber::new;
        assert_eq!(number(1_700_000_000_000_000, 1, 0).as_str().len(), 56);
        assert!(number(7, 9, 0) < number(7, 10, 0));
        assert!(number(7, 9, 3) < number(7, 10, 0));
        assert!(number(7, u64::MAX, u32::MAX) < number(8, 0, 0));
        assert_eq!(number(u64::MAX, u64::MAX, u32::MAX).as_str().len(), 56);
    }
}
