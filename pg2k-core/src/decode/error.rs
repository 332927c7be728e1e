//! Why a payload cannot be decoded.

use std::fmt;

/// A payload that is not in test_decoding's language. It names no data of the row.
// One word: what can fail is on the fastest path, and its results shall fit into registers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {} of the payload: expected {}, found {}", .0.offset, .0.expected, Found(.0.found))]
pub struct DecodeError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    offset: usize,
    expected: &'static str,
    found: Option<u8>,
}

/// What is expected where text is in another encoding than the database's.
pub(super) const INVALID_TEXT: &str = "text in the database's encoding";
/// The same, where that is UTF-8, or should be.
pub(super) const INVALID_UTF8: &str = "UTF-8";

impl DecodeError {
    /// At this place in the payload, something else was expected.
    #[cold]
    pub(super) fn new(payload: &[u8], offset: usize, expected: &'static str) -> Self {
        Self(Box::new(Details { offset, expected, found: payload.get(offset).copied() }))
    }

    /// Bytes from the beginning of the payload, as it came from the server.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// What the grammar asks for there.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.0.expected
    }

    /// Whether it is of bytes that are no text, about which [`InvalidText`](super::InvalidText) has a say.
    #[must_use]
    pub fn is_of_invalid_text(&self) -> bool {
        [INVALID_TEXT, INVALID_UTF8].contains(&self.0.expected)
    }

    /// The byte that is there; `None` at the end of the payload.
    #[must_use]
    pub fn found(&self) -> Option<u8> {
        self.0.found
    }
}

struct Found(Option<u8>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("its end"),
            Some(byte) => write!(f, "the byte 0x{byte:02x}"),
        }
    }
}
