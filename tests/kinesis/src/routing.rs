//! Which shard a record goes to: the key it hashes to, and the range of keys that a shard owns.
//!
//! Partition keys and explicit hash keys come in from requests and from aggregates; hash keys go to the comparison with
//! a shard's range. The ranges of a stream's shards cover every key exactly once.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use md5::{Digest, Md5};

/// Stands for a position in the space of 2^128 keys that the shards of a stream divide among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashKey(u128);

/// Says why a text is not a hash key.
#[derive(Debug, thiserror::Error)]
#[error("hash key `{text}`: expected a decimal number below 2^128")]
pub struct HashKeyError {
    text: String,
    source: Option<ParseIntError>,
}

impl HashKey {
    /// Hashes a partition key as the service does: its MD5, read as a big-endian number of 128 bits.
    pub fn of_partition_key(partition_key: &str) -> Self {
        Self(u128::from_be_bytes(Md5::digest(partition_key).into()))
    }
}

impl FromStr for HashKey {
    type Err = HashKeyError;

    fn from_str(text: &str) -> Result<Self, HashKeyError> {
        let error = |source| HashKeyError { text: text.to_owned(), source };
        // u128's own parser takes a leading plus sign; the service does not.
        if text.starts_with('+') {
            return Err(error(None));
        }
        text.parse().map(Self).map_err(|source| error(Some(source)))
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Holds the hash keys that one shard owns: both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// The lowest key of the range.
    pub first: HashKey,
    /// The highest key of the range.
    pub last: HashKey,
}

impl HashRange {
    /// Tells whether the key belongs to the range.
    pub fn contains(&self, key: HashKey) -> bool {
        self.first <= key && key <= self.last
    }

    /// Divides all keys evenly into the given number of ranges, the remainder going to the last.
    pub(crate) fn split_evenly(count: u32) -> Vec<Self> {
        let Some(last_index) = count.checked_sub(1) else { return Vec::new() };
        let count = u128::from(count);
        // floor(2^128 / count) without a number of 129 bits. It wraps to 0 for a count of 1, where nothing is multiplied
        // with it.
        let step = ((u128::MAX - count + 1) / count).wrapping_add(1);
        let first = |index: u32| u128::from(index) * step;
        (0..=last_index)
            .map(|index| Self {
                first: HashKey(first(index)),
                last: HashKey(if index == last_index { u128::MAX } else { first(index + 1) - 1 }),
            })
            .collect()
    }
}

impl fmt::Display for HashRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..={}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        // From RFC 1321: md5("") and md5("abc").
        assert_eq!(HashKey::of_partition_key(""), HashKey(0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e));
        assert_eq!(HashKey::of_partition_key("abc"), HashKey(0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72));
    }

    #[test]
    fn hash_keys_are_decimal_numbers_of_128_bits() {
        assert_eq!("0".parse::<HashKey>().unwrap(), HashKey(0));
        let highest = "340282366920938463463374607431768211455";
        assert_eq!(highest.parse::<HashKey>().unwrap(), HashKey(u128::MAX));
        assert_eq!(HashKey(u128::MAX).to_string(), highest);
        for bad in ["", "-1", "+1", "0x10", "1e3", " 1", "340282366920938463463374607431768211456"] {
            let error = bad.parse::<HashKey>().unwrap_err();
            assert_eq!(error.to_string(), format!("hash key `{bad}`: expected a decimal number below 2^128"));
        }
    }

    #[test]
    fn ranges_are_those_of_the_service() {
        // Taken from a stream of three shards.
        let ranges = HashRange::split_evenly(3);
        let text: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "0..=113427455640312821154458202477256070484",
                "113427455640312821154458202477256070485..=226854911280625642308916404954512140969",
                "226854911280625642308916404954512140970..=340282366920938463463374607431768211455",
            ]
        );
    }

    #[test]
    fn ranges_cover_every_key_once() {
        for count in [1, 2, 3, 4, 5, 7, 16, 1000] {
            let ranges = HashRange::split_evenly(count);
            assert_eq!(ranges.first().unwrap().first, HashKey(0));
            assert_eq!(ranges.last().unwrap().last, HashKey(u128::MAX));
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].last.0 + 1, pair[1].first.0);
            }
        }
        assert_eq!(HashRange::split_evenly(4)[1].first, HashKey(1 << 126));
        assert!(HashRange::split_evenly(0).is_empty());
    }
}
