//! Reads a message from its beginning to its end.

use super::ReadText;

/// Holds what was not read yet, and how text is read.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
    pub(super) read: ReadText,
}

impl<'a> Cursor<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("expected {length} more bytes, found {}", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| format!("expected {N} bytes, found {}", bytes.len()))
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, String> {
        self.array().map(i64::from_be_bytes)
    }

    /// Reads a name up to a NUL.
    pub(super) fn name(&mut self) -> Result<String, String> {
        self.up_to_nul().map(self.read.name)
    }

    /// Reads text up to a NUL.
    pub(super) fn string(&mut self) -> Result<String, String> {
        self.up_to_nul().map(self.read.text)
    }

    fn up_to_nul(&mut self) -> Result<&'a [u8], String> {
        let length = self.rest.iter().position(|&byte| byte == 0).ok_or("expected a NUL after a string, found none")?;
        let text = self.bytes(length)?;
        self.bytes(1)?;
        Ok(text)
    }

    /// Reads a length of four bytes, and so many bytes.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], String> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).map_err(|error| error.to_string())?)
    }

    pub(super) fn expect(&mut self, expected: u8) -> Result<(), String> {
        match self.u8()? {
            found if found == expected => Ok(()),
            found => Err(format!("expected {:?}, found {:?}", char::from(expected), char::from(found))),
        }
    }
}
