//! Why a payload cannot be decoded.

use std::fmt;

/// A payload that is not in test_decoding's language. It names no data of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the payload: expected {expected}, found {}", Found(*found))]
pub struct DecodeError {
    /// Bytes from the beginning of the payload, as it came from the server.
    pub offset: usize,
    /// What the grammar asks for there.
    pub expected: &'static str,
    /// The byte that is there; `None` at the end of the payload.
    pub found: Option<u8>,
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
