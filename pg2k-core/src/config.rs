//! What the program needs. Whatever exists here is valid.
//!
//! Made from the [command line](crate::cli) and the environment, once.

use std::time::Duration;

use crate::cli::FormatterChoice;
use crate::decode::InvalidText;
use crate::postgres::settings::Settings;
use crate::postgres::slot::{SlotAction, SlotName};
use crate::selection::Selection;

/// What the user wants.
#[derive(Debug)]
pub(crate) struct Config {
    /// The database.
    pub(crate) postgres: Settings,
    /// The slot.
    pub(crate) slot: SlotName,
    /// What to do about the slot before it is read.
    pub(crate) slot_action: SlotAction,
    /// The stream's name.
    pub(crate) stream: String,
    /// The shards to make the stream with, if it is to be made.
    pub(crate) create_stream: Option<u16>,
    /// What makes records.
    pub(crate) formatter: FormatterChoice,
    /// What is published.
    pub(crate) selection: Selection,
    /// What becomes of bytes that are no text.
    pub(crate) invalid_text: InvalidText,
    /// Bytes that a transaction may take before it is read twice.
    pub(crate) transaction_buffer: usize,
    /// How long a drain may take.
    pub(crate) drain_timeout: Duration,
}

/// What logs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line of text for each event.
    Text,
    /// A JSON object for each event.
    Json,
}
