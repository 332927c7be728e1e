//! Amazon Kinesis: what goes to it, in which form, and what becomes of a failure.

pub(crate) mod aggregate;
pub(crate) mod client;
pub(crate) mod lane;
pub(crate) mod retry;

use std::cmp::Ordering;
use std::fmt;

/// The number that Kinesis gives a stored record: decimal, of up to 129 bits, increasing along a partition key.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SequenceNumber(String);

impl SequenceNumber {
    /// The number that these digits are.
    #[must_use]
    pub(crate) fn new(digits: &str) -> Self {
        Self(digits.to_owned())
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        // Decimal numbers without leading zeros: the longer is the greater.
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
