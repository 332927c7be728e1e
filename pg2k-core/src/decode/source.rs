//! The texts that decoded names and values are pieces of.

use super::event::Relation;

/// A piece of text: of the payload, or of the texts that had to be freed of doubled quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) is_unquoted: bool,
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
    pub(super) unquoted: &'a str,
}

impl<'a> Source<'a> {
    /// The text of a part that this payload's decoding made.
    pub(super) fn text(self, part: Part) -> &'a str {
        let text = if part.is_unquoted { self.unquoted } else { self.payload };
        // Parts begin and end beside ASCII bytes of the text they were made from.
        text.get(part.begin..part.end).unwrap_or_default()
    }

    pub(super) fn relation(self, parts: &RelationParts) -> Relation<'a> {
        Relation {
            qualified: self.text(parts.qualified),
            schema: self.text(parts.schema),
            table: self.text(parts.table),
        }
    }
}
