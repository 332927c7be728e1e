//! Loads a formatter: the only unsafe code of the core.
//!
//! Nothing of the library is called before `abi_stable` has compared the layout of everything that crosses the boundary with
//! ours. What runs before that, and cannot be checked, are the library's initialisers, when the system loads it.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use abi_stable::library::{AbiHeaderRef, LibraryError, RootModule};
use libloading::Library;
use pg2k_abi::host::{FORMATTER_SYMBOL, FormatterBox, FormatterModuleRef};
use pg2k_abi::{Change, Error, RecordBuffer};

use crate::pipeline::translate::Format;

/// Why a formatter cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// There is no such file.
    #[error("formatter {}: no such file", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("formatter {}: expected a library, found a directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The system does not load it.
    #[error("formatter {}: not a library that this system loads", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: libloading::Error,
    },
    /// It is a library of another kind.
    #[error("formatter {}: the library exports no formatter; is `export_formatter!` missing?", path.display())]
    NoFormatter {
        /// The file.
        path: PathBuf,
    },
    /// It was built for another version of the contract.
    #[error("formatter {}: built for another ABI: this pg2k has pg2k-abi {ours}, the formatter {theirs}; build it again with ours", path.display())]
    OtherAbi {
        /// The file.
        path: PathBuf,
        /// Our version of the contract.
        ours: String,
        /// The library's, if it could be read.
        theirs: String,
    },
    /// It does not want to start.
    #[error("formatter {}: {message}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it says.
        message: String,
    },
}

/// A formatter whose library is loaded; it stays loaded until the process ends.
pub(crate) struct LoadedFormatter {
    /// Not dropped: the author's code that would run then could panic, and there is nothing left that it could clean up.
    formatter: ManuallyDrop<FormatterBox>,
    /// The formatter's package.
    pub(crate) name: &'static str,
    /// The package's version.
    pub(crate) version: &'static str,
}

impl LoadedFormatter {
    /// Loads the library and makes its formatter.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub(crate) fn load(path: &Path, options: &[(String, String)]) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Err(LoadError::Directory { path: path.to_owned() });
        }
        if !path.exists() {
            return Err(LoadError::NoFile { path: path.to_owned() });
        }
        let module = load_module(path)?;
        let formatter = module
            .construct(options)
            .map_err(|error| LoadError::Refused { path: path.to_owned(), message: error.to_string() })?;
        let formatter = ManuallyDrop::new(formatter);
        Ok(Self { formatter, name: module.name().as_str(), version: module.version().as_str() })
    }
}

impl Format for LoadedFormatter {
    fn format(&mut self, change: Change<'_>, records: &mut RecordBuffer) -> Result<(), Error> {
        self.formatter.format(change, records)
    }
}

fn load_module(path: &Path) -> Result<FormatterModuleRef, LoadError> {
    // Without a separator the system would look for it in its own directories.
    let file = if path.parent() == Some(Path::new("")) { Path::new(".").join(path) } else { path.to_owned() };
    // SAFETY: the library's initialisers run here. The user named this file as a formatter and so trusts its code; a Rust
    // cdylib has no initialisers but the standard library's.
    let library =
        unsafe { Library::new(file) }.map_err(|source| LoadError::NotALibrary { path: path.to_owned(), source })?;
    // SAFETY: the symbol's name is `abi_stable`'s own mangled one; what has it is a `LibHeader`, whose first part is an
    // `AbiHeader`. The reference is 'static: the library is never unloaded, see below.
    let header = unsafe { library.get::<AbiHeaderRef>(FORMATTER_SYMBOL.as_bytes()) }
        .map(|symbol| *symbol)
        .map_err(|_| LoadError::NoFormatter { path: path.to_owned() });
    // Never unloaded, whatever comes out: code and statics of the library must live as long as the process.
    std::mem::forget(library);
    let other_abi =
        |theirs: String| LoadError::OtherAbi { path: path.to_owned(), ours: abi_version().to_owned(), theirs };
    let header = header?.upgrade().map_err(|_| other_abi("that of another abi_stable".to_owned()))?;
    if header.layout().is_none() {
        // A library can leave its layout out; then there is nothing to compare.
        return Err(other_abi("one that it does not describe".to_owned()));
    }
    header.init_root_module::<FormatterModuleRef>().map_err(|error| match error {
        LibraryError::RootModule { err, .. } => LoadError::Refused { path: path.to_owned(), message: err.to_string() },
        _ => other_abi(header.version_strings().version.as_str().to_owned()),
    })
}

/// The version of the contract that this program is built with.
fn abi_version() -> &'static str {
    FormatterModuleRef::VERSION_STRINGS.version.as_str()
}
