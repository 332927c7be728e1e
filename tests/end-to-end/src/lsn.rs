//! Positions in the WAL, as tests compare them.

use std::fmt;
use std::str::FromStr;

/// Stands for a position in the WAL, in bytes. Printed like PostgreSQL's `pg_lsn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("LSN `{text}`: expected X/X");
        let (high, low) = text.split_once('/').ok_or_else(bad)?;
        let half = |digits| u32::from_str_radix(digits, 16).map_err(|_| bad());
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in ["0/0", "0/16B3748", "1A/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for bad in ["", "0", "0/", "0/G", "0/100000000"] {
            bad.parse::<Lsn>().unwrap_err();
        }
    }
}
