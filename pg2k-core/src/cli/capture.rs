//! `pg2k capture`: what a slot has now, as a file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{ArgumentsError, ConnectionArguments, HelpArguments};
use crate::postgres::settings::Settings;
use crate::postgres::slot::SlotName;

/// Writes the payloads that a slot has now to a file, without consuming them
#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct CaptureArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// File to write [default: standard output]
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Stop behind the transaction that brings so many payloads
    #[arg(long, value_name = "PAYLOADS", value_parser = clap::value_parser!(i32).range(1..))]
    limit: Option<i32>,
    #[command(flatten)]
    help: HelpArguments,
}

const AFTER_HELP: &str = "\
It writes a JSON object a line, for pg2k format: to develop a formatter, or for a bug report.
The payloads hold row data.
The slot must not be in use: stop the pg2k that reads it first. The server decodes everything
into a temporary file first; with --limit it stops early, at the end of a transaction. It gives
what is flushed to its WAL: what was committed with synchronous_commit = off can be missing.

Example: pg2k capture -d shop -s orders -o orders.jsonl";

/// What to capture.
#[derive(Debug)]
pub(crate) struct CaptureTask {
    pub(crate) postgres: Settings,
    pub(crate) slot: SlotName,
    /// `None` for standard output.
    pub(crate) output: Option<PathBuf>,
    /// As `upto_nchanges` of the server's function.
    pub(crate) limit: Option<i32>,
}

impl CaptureArguments {
    pub(crate) fn into_task(
        self,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<CaptureTask, ArgumentsError> {
        let Self { connection, output, limit, help: _ } = self;
        let (postgres, slot) = connection.resolve(environment)?;
        Ok(CaptureTask { postgres, slot, output, limit })
    }
}
