//! Primary keys in the place of the catalogs: a file of JSON, `{"public.t":["id"]}`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::relations::TableName;

/// The columns of each table's key, by `schema.table` without quotes.
#[derive(Debug)]
pub(crate) struct Keys(HashMap<String, Vec<String>>);

/// A file without keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("--keys {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("--keys {}: expected JSON such as {{\"public.t\":[\"id\"]}}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
}

impl Keys {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds something else.
    pub(crate) fn read(path: &Path) -> Result<Self, KeysError> {
        let text = std::fs::read(path).map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|source| KeysError::Json { path: path.to_owned(), source })
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text).map(Self)
    }

    /// The columns of the table's key; none where the file has none.
    pub(crate) fn of(&self, table: &TableName) -> Vec<String> {
        self.0.get(&format!("{}.{}", table.schema, table.table)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_quotes() {
        let keys = Keys::parse(br#"{"public.t":["id"],"My \"S\".a.b":["x","y"]}"#).expect("keys");
        let of = |schema: &str, table: &str| keys.of(&TableName { schema: schema.to_owned(), table: table.to_owned() });
        assert_eq!(of("public", "t"), ["id"]);
        assert_eq!(of("My \"S\"", "a.b"), ["x", "y"]);
        assert_eq!(of("public", "u"), [""; 0]);
        for text in ["[]", r#"{"t":"id"}"#, r#"{"t":[1]}"#, "{", ""] {
            assert!(Keys::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
