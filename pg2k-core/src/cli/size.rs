//! Sizes of memory, as users write them.

use std::str::FromStr;

/// A number of bytes, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(usize);

impl Size {
    pub(super) fn bytes(self) -> usize {
        self.0
    }
}

/// What is not a size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number of bytes above 0, or one with KiB, MiB or GiB, such as 64MiB")]
pub(super) struct SizeError;

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit: usize = match text.get(digits.len()..).unwrap_or_default().trim_start() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(SizeError),
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<usize> = digits.parse().ok().filter(|_| is_number);
        number.and_then(|number| number.checked_mul(unit)).filter(|bytes| *bytes > 0).map(Size).ok_or(SizeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("512B", 512), ("2KiB", 2_048), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "0", "MiB", "-1", "+1", "1.5MiB", "1MB", "1mib", "1MiB2", "99999999999999GiB"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError), "{text}");
        }
    }
}
