//! The contract between pg2k and its formatters: the one crate that a formatter's author reads.
//!
//! pg2k reads the changes committed to a PostgreSQL database and publishes them to an Amazon Kinesis data stream. What a
//! record of that stream looks like is decided by a *formatter*: a shared library, loaded when pg2k starts. A formatter is
//! a type that implements [`Formatter`], in a crate of type `cdylib`, and one line that exports it:
//!
//! ```
//! use std::fmt::Write;
//! use pg2k_abi::{Change, Error, Formatter, Options, Records, export_formatter};
//!
//! struct Audit;
//!
//! impl Formatter for Audit {
//!     fn new(_options: Options<'_>) -> Result<Self, Error> {
//!         Ok(Audit)
//!     }
//!
//!     fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
//!         let mut record = records.record();
//!         write!(record, "{} {} {}", change.position(), change.operation(), change.table())?;
//!         record.finish();
//!         Ok(())
//!     }
//! }
//!
//! export_formatter!(Audit);
//! # fn main() {}
//! ```
//!
//! ```text
//! pg2k --formatter ./libaudit.so …
//! ```
//!
//! What an author can rely on:
//!
//! - `format` is called for one change at a time, in the order in which the changes are published, from one thread.
//! - After a failure pg2k reads changes again and formats them again. A formatter that makes the same bytes of the same
//!   change keeps duplicates recognisable, so it should not look at a clock or at random numbers.
//! - Everything that a [`Change`] hands out is borrowed from pg2k's buffers and lives until `format` returns.
//! - A panic does not leave the library: it becomes an error, and pg2k stops without confirming the change.
//!
//! What crosses the boundary is checked by `abi_stable` when the library is loaded, before any of its code is called.

// The boundary itself is made of raw parts; each block says why it may.
#![allow(unsafe_code)]

mod change;
mod error;
mod lsn;
mod module;
mod options;
mod records;
mod timestamp;

pub use change::{Change, ChangeParts, Column, Message, Operation, Position, Value};
pub use error::Error;
pub use lsn::{Lsn, ParseLsnError};
pub use options::Options;
pub use records::{Record, RecordBuffer, Records};
pub use timestamp::Timestamp;

/// Makes records of changes.
///
/// See the [crate's documentation](crate) for a whole formatter.
pub trait Formatter: Sized + Send + 'static {
    /// Makes the formatter, once, before the first change.
    ///
    /// # Errors
    ///
    /// An option that the formatter does not know, or a value that it cannot use. pg2k prints it and does not start.
    fn new(options: Options<'_>) -> Result<Self, Error>;

    /// Turns one change into zero or more records.
    ///
    /// # Errors
    ///
    /// What keeps this change from being formatted. pg2k drops the records that this call made, stops, and confirms
    /// nothing from this change on.
    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error>;
}

/// What the host needs to load a formatter; of no use to a formatter's author.
pub mod host {
    pub use crate::module::{FORMATTER_SYMBOL, FormatterBox, FormatterModule, FormatterModuleRef};
}

#[doc(hidden)]
pub mod __private {
    pub use crate::module::{FormatterModuleRef, Identity, construct, export};
    pub use crate::options::RawOptions;
    pub use abi_stable;
    pub use abi_stable::std_types::{RResult, RString};
}
