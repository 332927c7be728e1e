//! `pg2k format`: captured payloads to records, without a server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::ArgumentsError;
use super::records::{FormatterChoice, RecordArguments, RecordChoice};
use crate::decode::{Encoding, InvalidText};
use crate::selection::{Selection, Unkeyed};

/// Turns captured payloads into records, without a server
#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct FormatArguments {
    /// Files with captured payloads; standard input where there is none, or for -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    payloads: PayloadArguments,
    /// Print this
    #[arg(short, long, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Payloads")]
struct PayloadArguments {
    /// Encoding of the database that printed them, by PostgreSQL's name [default: what the file says, else UTF8]
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Version of the server that printed them, such as 11 or 17.10 [default: what the file says]
    #[arg(long, value_name = "VERSION", value_parser = major)]
    server_version: Option<u32>,
    /// Primary keys, as JSON: {"public.t":["id"]} [default: what the file says]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Report a bad payload and go on with the next
    #[arg(long)]
    keep_going: bool,
}

const AFTER_HELP: &str = "\
It reads lines such as {\"lsn\":\"0/16B3748\",\"data\":\"BEGIN 739\"}, as pg2k capture writes them,
and writes each record followed by a newline. Changes wait in memory for the COMMIT that gives
them their position.

A bad payload is reported on standard error as FILE:LINE: and what is wrong.
Exit codes: 0 all is well, 1 a bad payload or a file that cannot be read, 2 wrong use.

Example: pg2k capture -d shop -s orders -o orders.jsonl
         pg2k format -f ./libmyformat.so --messages=^audit orders.jsonl";

/// What to format, and how.
#[derive(Debug)]
pub(crate) struct FormatTask {
    /// Where payloads come from.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) formatter: FormatterChoice,
    pub(crate) selection: Selection,
    pub(crate) invalid_text: InvalidText,
    /// Wins over what a file says, as the two below do.
    pub(crate) encoding: Option<Encoding>,
    /// The server's major version.
    pub(crate) server_major: Option<u32>,
    /// The file with the keys.
    pub(crate) keys: Option<PathBuf>,
    pub(crate) keep_going: bool,
}

impl FormatArguments {
    pub(crate) fn into_task(
        self,
        executable: &Path,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<FormatTask, ArgumentsError> {
        let Self { files, records, payloads, help: _ } = self;
        let RecordChoice { formatter, selection, invalid_text } =
            records.choose(executable, environment, Unkeyed::Publish)?;
        let PayloadArguments { encoding, server_version, keys, keep_going } = payloads;
        let files = if files.is_empty() { vec![PathBuf::from("-")] } else { files };
        Ok(FormatTask {
            files,
            formatter,
            selection,
            invalid_text,
            encoding,
            server_major: server_version,
            keys,
            keep_going,
        })
    }
}

/// Reads a server's major version: the first number of `11`, `17.10`, or `15.18 (Debian …)`.
pub(crate) fn major(text: &str) -> Result<u32, String> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    match (digits.parse(), rest.as_bytes().first()) {
        // Above, it is server_version_num.
        (Ok(major @ 1..1_000), None | Some(b'.' | b' ')) => Ok(major),
        (Ok(number @ 90_000..), None) => Ok(number / 10_000),
        _ => Err("expected a server's version, such as 17 or 17.10".to_owned()),
    }
}
