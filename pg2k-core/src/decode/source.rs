//! The texts that decoded names and values are pieces of.

use std::ops::Range;

use super::event::Relation;

/// A piece of text: of the payload, or of the texts that had to be freed of doubled quotes.
///
/// One word, so that it stays in registers: 32 bits of where it begins, 31 bits of its length, and one that says of which
/// text it is. [`Decoder::decode`](super::Decoder::decode) refuses what is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(u64);

/// Bytes that a payload may have, also after it was transcoded: twice what PostgreSQL can print.
pub(super) const MAX_LENGTH: usize = (1 << 31) - 1;

impl Part {
    /// A part of no text.
    pub(super) const NOWHERE: Self = Self(u64::MAX);
    /// Another part of no text.
    pub(super) const ELSEWHERE: Self = Self(u64::MAX - 1);

    /// From `begin` to `end` in the payload, in bytes.
    #[inline]
    pub(super) fn printed(begin: usize, end: usize) -> Self {
        Self(((end - begin) as u64) << 33 | begin as u64)
    }

    /// From `begin` to `end` in the unquoted texts, in bytes.
    #[inline]
    pub(super) fn unquoted(begin: usize, end: usize) -> Self {
        Self(Self::printed(begin, end).0 | 1 << 32)
    }

    #[inline]
    fn is_unquoted(self) -> bool {
        self.0 & 1 << 32 != 0
    }

    #[inline]
    fn range(self) -> Range<usize> {
        let narrow = |bits| usize::try_from(bits).unwrap_or(usize::MAX);
        let begin = narrow(self.0 & 0xffff_ffff);
        begin..begin + narrow(self.0 >> 33)
    }
}

/// A table's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct RelationParts {
    /// Where the qualified name begins and ends in the payload.
    pub(super) qualified: Part,
    pub(super) schema: Part,
    pub(super) table: Part,
}

/// The two texts that parts point into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) payload: &'a str,
    pub(super) unquoted: &'a String,
}

impl<'a> Source<'a> {
    /// The text of a part that this payload's decoding made.
    #[inline]
    pub(super) fn text(self, part: Part) -> &'a str {
        let text = if part.is_unquoted() { self.unquoted } else { self.payload };
        // Parts begin and end beside ASCII bytes of the text they were made from.
        text.get(part.range()).unwrap_or_default()
    }

    pub(super) fn relation(self, parts: &RelationParts) -> Relation<'a> {
        Relation {
            qualified: self.text(parts.qualified),
            schema: self.text(parts.schema),
            table: self.text(parts.table),
        }
    }
}
