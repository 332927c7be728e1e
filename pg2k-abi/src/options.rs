//! What the user told the formatter.

use abi_stable::std_types::{RSlice, RStr, Tuple2};

use crate::Error;

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

    /// The value of the option of this name; of several, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().filter(|(given, _)| *given == name).map(|(_, value)| value).last()
    }

    /// Refuses options of other names than these.
    ///
    /// # Errors
    ///
    /// Names the first option that is none of these.
    pub fn expect_only(&self, names: &[&str]) -> Result<(), Error> {
        match self.iter().find(|(name, _)| !names.contains(name)) {
            None => Ok(()),
            Some((name, _)) if names.is_empty() => {
                Err(Error::new(format!("option {name}: not known here; expected no options")))
            }
            Some((name, _)) => {
                Err(Error::new(format!("option {name}: not known here; expected {}", names.join(" or "))))
            }
        }
    }

    /// Whether the user gave none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_and_no_others() {
        let pairs = [("a", "1"), ("b", "2"), ("a", "3")].map(|(name, value)| Tuple2(name.into(), value.into()));
        let options = Options { pairs: &pairs };
        assert_eq!((options.get("a"), options.get("b"), options.get("c")), (Some("3"), Some("2"), None));
        assert!(options.expect_only(&["a", "b"]).is_ok());
        let refused = |names| options.expect_only(names).map_err(|error| error.to_string());
        assert_eq!(refused(&["a", "c"]), Err("option b: not known here; expected a or c".to_owned()));
        assert_eq!(refused(&[]), Err("option a: not known here; expected no options".to_owned()));
    }
}
