//! What the user told the formatter.

use abi_stable::std_types::{RSlice, RStr, Tuple2};

/// The options that the user gave the formatter, as names and values, in the order in which they were given.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pairs: &'a [Tuple2<RStr<'a>, RStr<'a>>],
}

/// Options as they cross the boundary.
pub type RawOptions<'a> = RSlice<'a, Tuple2<RStr<'a>, RStr<'a>>>;

impl<'a> Options<'a> {
    pub(crate) fn from_raw(raw: RawOptions<'a>) -> Self {
        Self { pairs: raw.as_slice() }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.pairs.iter().map(|Tuple2(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the user gave none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}
