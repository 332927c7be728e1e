//! From what the user calls a formatter to the file it is in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Formatters that come with pg2k, and what pg2kinesis called them.
const OURS: [(&str, &[&str]); 3] = [("csv", &["CSV"]), ("csv-payload", &["CSVPayload"]), ("json", &[])];

/// A formatter as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormatterName {
    /// One of ours.
    Ours(&'static str),
    /// A file.
    File(PathBuf),
}

/// Why there is no such formatter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FindError {
    /// It is neither a name of ours nor a path.
    #[error("formatter {name}: expected {}, or the path of a library, such as ./{name}", OURS.map(|(name, _)| name).join(", "))]
    NoSuchName {
        /// What the user wrote.
        name: String,
    },
    /// It is one of ours, and its library is not where it should be.
    #[error("formatter {name}: {file} is in none of {places}; set PG2K_FORMATTER_PATH to the directory that has it")]
    NotInstalled {
        /// Its name.
        name: &'static str,
        /// The library's name.
        file: String,
        /// Where it was looked for.
        places: String,
    },
}

impl FormatterName {
    /// Understands what the user wrote: a path is what has a separator in it, anything else a name.
    ///
    /// # Errors
    ///
    /// A name that is none of ours.
    pub(crate) fn parse(text: &str) -> Result<Self, FindError> {
        if text.contains(std::path::MAIN_SEPARATOR) {
            return Ok(Self::File(PathBuf::from(text)));
        }
        OURS.iter()
            .find(|(name, others)| *name == text || others.contains(&text))
            .map(|(name, _)| Self::Ours(name))
            .ok_or_else(|| FindError::NoSuchName { name: text.to_owned() })
    }

    /// The file. Ours are looked for beside the executable, then in `../lib/pg2k` from it, then in the directories of
    /// `search_path`, which is PG2K_FORMATTER_PATH's value.
    ///
    /// # Errors
    ///
    /// One of ours is in none of these places.
    pub(crate) fn locate(&self, executable: &Path, search_path: Option<&OsStr>) -> Result<PathBuf, FindError> {
        let name = match self {
            Self::File(path) => return Ok(path.clone()),
            Self::Ours(name) => *name,
        };
        let prefix = std::env::consts::DLL_PREFIX;
        let file = format!("{prefix}pg2k_formatter_{}{}", name.replace('-', "_"), std::env::consts::DLL_SUFFIX);
        let beside = executable.parent().unwrap_or(Path::new("."));
        let places = [beside.to_owned(), beside.join("../lib/pg2k")]
            .into_iter()
            .chain(search_path.into_iter().flat_map(std::env::split_paths))
            .collect::<Vec<_>>();
        places.iter().map(|place| place.join(&file)).find(|path| path.is_file()).ok_or_else(|| {
            let places = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
            FindError::NotInstalled { name, file, places }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_old_names_and_paths() {
        for (text, expected) in [
            ("csv", FormatterName::Ours("csv")),
            ("CSV", FormatterName::Ours("csv")),
            ("csv-payload", FormatterName::Ours("csv-payload")),
            ("CSVPayload", FormatterName::Ours("csv-payload")),
            ("./csv", FormatterName::File("./csv".into())),
            ("/opt/x.so", FormatterName::File("/opt/x.so".into())),
        ] {
            assert_eq!(FormatterName::parse(text), Ok(expected));
        }
        let error = FormatterName::parse("x.so").expect_err("no such name");
        assert_eq!(
            error.to_string(),
            "formatter x.so: expected csv, csv-payload, json, or the path of a library, such as ./x.so"
        );
    }

    #[test]
    fn ours_are_looked_for_in_three_places() {
        let root = tempfile::tempdir().expect("a directory");
        let executable = root.path().join("bin/pg2k");
        let name = FormatterName::Ours("csv-payload");
        let file = "libpg2k_formatter_csv_payload.so";
        let elsewhere = root.path().join("elsewhere");
        let search_path = std::env::join_paths([root.path().join("none"), elsewhere.clone()]).expect("a path");
        let locate = || name.locate(&executable, Some(&search_path));
        let error = locate().expect_err("nothing is installed").to_string();
        assert!(error.contains(file) && error.contains("PG2K_FORMATTER_PATH"), "{error}");
        // From the last place to the first: each one wins over those before.
        for place in [elsewhere, root.path().join("lib/pg2k"), root.path().join("bin")] {
            std::fs::create_dir_all(&place).expect("a directory");
            std::fs::create_dir_all(root.path().join("bin")).expect("a directory");
            std::fs::write(place.join(file), "").expect("a file");
            let found = locate().expect("it is installed").canonicalize().expect("a path");
            assert_eq!(found, place.join(file).canonicalize().expect("a path"));
        }
    }
}
