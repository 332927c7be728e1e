//! Which changes become records, and what records look like: the part of the command line that publishing and formatting share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use regex::Regex;

use super::ArgumentsError;
use crate::decode::InvalidText;
use crate::formatter::find::FormatterName;
use crate::selection::{Operations, Selection, Unkeyed};

#[derive(Args, Debug)]
#[command(next_help_heading = "Records")]
pub(super) struct RecordArguments {
    /// What a record looks like: csv, csv-payload, json, or the path of a library (CSV and CSVPayload work too)
    #[arg(
        short = 'f',
        long,
        visible_alias = "message-formatter",
        value_name = "NAME|PATH",
        default_value = "csv-payload"
    )]
    formatter: String,
    /// Option for the formatter; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = formatter_option)]
    formatter_opt: Vec<(String, String)>,
    /// Publish whole rows: the same as --formatter-opt full-change=true, for csv-payload
    #[arg(long)]
    full_change: bool,
    /// Publish only tables where this regular expression is found in schema.table
    #[arg(long, value_name = "REGEX")]
    table_pat: Option<String>,
    /// Publish only this operation; may be given several times
    #[arg(long, value_name = "OPERATION", default_value = "all", ignore_case = true)]
    operations: Vec<OperationName>,
    /// Publish messages of pg_logical_emit_message too, all or those where this regular expression is found in the prefix
    #[arg(long, value_name = "REGEX", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    messages: Option<String>,
    /// What becomes of changes without a primary key [default: skip; for pg2k format: publish]
    #[arg(long, value_name = "WHAT")]
    unkeyed: Option<Unkeyed>,
    /// What becomes of bytes that are no text in the database's encoding: fail; replace, with U+FFFD; or base64, of the whole
    /// value
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    invalid_text: InvalidText,
}

/// A formatter and its options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FormatterChoice {
    /// The library.
    pub(crate) path: PathBuf,
    /// Names and values.
    pub(crate) options: Vec<(String, String)>,
}

/// What the user wants of records.
#[derive(Debug)]
pub(crate) struct RecordChoice {
    pub(crate) formatter: FormatterChoice,
    pub(crate) selection: Selection,
    pub(crate) invalid_text: InvalidText,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OperationName {
    All,
    Insert,
    Update,
    Delete,
    Truncate,
}

impl RecordArguments {
    /// Understands the arguments. `executable` is the program's own path, beside which formatters are looked for.
    pub(super) fn choose(
        self,
        executable: &Path,
        environment: impl Fn(&str) -> Option<OsString>,
        unkeyed: Unkeyed,
    ) -> Result<RecordChoice, ArgumentsError> {
        let search_path = environment("PG2K_FORMATTER_PATH");
        let path = FormatterName::parse(&self.formatter)?.locate(executable, search_path.as_deref())?;
        let full_change = self.full_change.then(|| ("full-change".to_owned(), "true".to_owned()));
        let options = self.formatter_opt.into_iter().chain(full_change).collect();
        let selection = Selection {
            tables: regex("--table-pat", self.table_pat.as_deref())?,
            operations: operations(&self.operations),
            messages: regex("--messages", self.messages.as_deref())?,
            unkeyed: self.unkeyed.unwrap_or(unkeyed),
        };
        Ok(RecordChoice { formatter: FormatterChoice { path, options }, selection, invalid_text: self.invalid_text })
    }
}

fn formatter_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn regex(option: &'static str, pattern: Option<&str>) -> Result<Option<Regex>, ArgumentsError> {
    let compile = |pattern: &str| {
        Regex::new(pattern).map_err(|error| {
            // The last line says what is wrong; those before it draw a picture of where.
            let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            ArgumentsError::Pattern { option, pattern: pattern.to_owned(), reason }
        })
    };
    pattern.map(compile).transpose()
}

fn operations(names: &[OperationName]) -> Operations {
    names.iter().fold(Operations::NONE, |operations, name| match name {
        OperationName::All => Operations::ALL,
        OperationName::Insert => Operations { insert: true, ..operations },
        OperationName::Update => Operations { update: true, ..operations },
        OperationName::Delete => Operations { delete: true, ..operations },
        OperationName::Truncate => Operations { truncate: true, ..operations },
    })
}
