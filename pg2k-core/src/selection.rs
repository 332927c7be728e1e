//! What of the changes is published, as the user wants it.
//!
//! It comes from the [command line](crate::cli); [`relations`](crate::relations) and
//! [`translate`](crate::pipeline::translate) go by it. What is left out is counted all the same, so that positions do not depend
//! on it.

use pg2k_abi::{Message, Operation};
use regex::Regex;

/// What is published.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Tables: those where this is found in `schema.table`, names without quotes; all without it.
    pub(crate) tables: Option<Regex>,
    /// Operations on rows and tables.
    pub(crate) operations: Operations,
    /// Messages: those where this is found in the prefix; none without it.
    pub(crate) messages: Option<Regex>,
    /// What becomes of changes without a key.
    pub(crate) unkeyed: Unkeyed,
}

impl Selection {
    /// Whether the message is published.
    pub(crate) fn contains_message(&self, message: &Message<'_>) -> bool {
        self.messages.as_ref().is_some_and(|prefixes| prefixes.is_match(message.prefix))
    }
}

#[cfg(test)]
impl Selection {
    /// All rows of tables with a key, and nothing else: what is published by default.
    pub(crate) fn rows() -> Self {
        Self { tables: None, operations: Operations::ALL, messages: None, unkeyed: Unkeyed::Skip }
    }

    /// Messages too.
    pub(crate) fn rows_and_messages() -> Self {
        Self { messages: Some(Regex::new("").expect("a pattern")), ..Self::rows() }
    }
}

/// The operations that are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operations {
    /// Inserts.
    pub(crate) insert: bool,
    /// Updates.
    pub(crate) update: bool,
    /// Deletes.
    pub(crate) delete: bool,
    /// Truncates.
    pub(crate) truncate: bool,
}

impl Operations {
    /// All of them.
    pub(crate) const ALL: Self = Self { insert: true, update: true, delete: true, truncate: true };
    /// None of them.
    pub(crate) const NONE: Self = Self { insert: false, update: false, delete: false, truncate: false };

    /// Whether the operation is published.
    pub(crate) fn contains(self, operation: Operation) -> bool {
        match operation {
            Operation::Insert => self.insert,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
            Operation::Truncate => self.truncate,
            _ => false,
        }
    }
}

/// What becomes of changes that no key tells: of tables without a primary key, and deletes of which the replica identity does
/// not tell the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unkeyed {
    /// They are left out; a log line a table says so.
    Skip,
    /// They are published, without a key.
    Publish,
    /// They are an error.
    Fail,
}
