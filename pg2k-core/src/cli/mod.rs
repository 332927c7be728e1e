//! What the user said: the command line, and how it becomes a [`Config`].

mod capture;
mod format;
mod records;
mod size;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, LogFormat};
use crate::formatter::find::FindError;
use crate::postgres::settings::{Options, Settings, SettingsError};
use crate::postgres::slot::{SlotAction, SlotName};
use crate::selection::Unkeyed;
pub(crate) use capture::{CaptureArguments, CaptureTask};
pub(crate) use format::{FormatArguments, FormatTask, major};
use records::RecordArguments;
pub(crate) use records::{FormatterChoice, RecordChoice};
use size::Size;

/// Publishes the changes committed to a PostgreSQL database to an Amazon Kinesis data stream: in commit order, losing none.
/// Reads a logical replication slot with the output plugin test_decoding, turns changes into records with a formatter, and
/// confirms to the slot what Kinesis has acknowledged.
#[derive(Debug, Parser)]
#[command(
    name = "pg2k",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    max_term_width = 110,
    args_conflicts_with_subcommands = true,
    after_help = AFTER_HELP
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    publish: PublishArguments,
}

/// What to do, other than publishing.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Format(FormatArguments),
    Capture(CaptureArguments),
}

/// What is needed for publishing.
#[derive(Args, Debug)]
pub(crate) struct PublishArguments {
    #[command(flatten)]
    postgres: PostgresArguments,
    #[command(flatten)]
    kinesis: KinesisArguments,
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    running: RunningArguments,
}

const AFTER_HELP: &str = "\
Environment:
  PostgreSQL  PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSSLMODE PGSSLROOTCERT
              PGCONNECT_TIMEOUT PGAPPNAME, as for psql (no service files)
  AWS         AWS_REGION AWS_PROFILE AWS_ACCESS_KEY_ID …, as for every AWS tool;
              AWS_ENDPOINT_URL for another endpoint
  Formatters  PG2K_FORMATTER_PATH, directories to look for formatters in
  Logs        RUST_LOG, such as debug; info by default, warn for format and capture

Exit codes: 0 stopped by a signal, 1 stopped by an error that somebody must see to, 2 wrong use or configuration.

Without a command, it publishes.

Example: pg2k -d shop -h db.example.com -u replicator -s orders --create-slot -k orders -f csv";

#[derive(Args, Debug)]
#[command(next_help_heading = "PostgreSQL")]
struct PostgresArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Output plugin of the slot
    #[arg(long, value_name = "PLUGIN", default_value = "test_decoding")]
    pg_slot_output_plugin: OutputPlugin,
    /// Make the slot first; one that exists is used as it is
    #[arg(long)]
    create_slot: bool,
    /// Drop the slot first, with all that it holds, and make it anew
    #[arg(long)]
    recreate_slot: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "PostgreSQL")]
struct ConnectionArguments {
    /// Database to connect to
    #[arg(short = 'd', long, value_name = "NAME")]
    pg_dbname: Option<String>,
    /// Server's host, or the directory of its Unix socket
    #[arg(short = 'h', long, value_name = "HOST")]
    pg_host: Option<String>,
    /// Server's port [default: 5432]
    #[arg(short = 'p', long, value_name = "PORT")]
    pg_port: Option<u16>,
    /// User, who needs the attribute REPLICATION (on RDS: the role rds_replication)
    #[arg(short = 'u', long, value_name = "NAME")]
    pg_user: Option<String>,
    /// TLS: disable, prefer, require, verify-ca or verify-full [default: prefer]
    #[arg(long, value_name = "MODE")]
    pg_sslmode: Option<String>,
    /// Replication slot to read
    #[arg(short = 's', long, value_name = "SLOT", default_value = "pg2kinesis")]
    pg_slot_name: String,
}

impl ConnectionArguments {
    fn resolve(self, environment: impl Fn(&str) -> Option<OsString>) -> Result<(Settings, SlotName), ArgumentsError> {
        let options = Options {
            dbname: self.pg_dbname,
            host: self.pg_host,
            port: self.pg_port,
            user: self.pg_user,
            sslmode: self.pg_sslmode,
        };
        Ok((Settings::resolve(options, environment)?, self.pg_slot_name.parse()?))
    }
}

/// `-h` is the host, as it was in pg2kinesis.
#[derive(Args, Debug)]
#[command(next_help_heading = "Running")]
struct HelpArguments {
    /// Print this
    #[arg(long, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Kinesis")]
struct KinesisArguments {
    /// Stream to publish to
    #[arg(short = 'k', long, value_name = "STREAM", default_value = "pg2kinesis")]
    stream_name: String,
    /// Make the stream first, with so many shards; one that exists is used as it is
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    create_stream: Option<u16>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Running")]
struct RunningArguments {
    /// Memory for one transaction; a larger one is read twice [units: KiB, MiB, GiB]
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    transaction_buffer: Size,
    /// Time for a drain, after SIGINT or SIGTERM
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    drain_timeout: u32,
    /// What logs look like
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    help: HelpArguments,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputPlugin {
    #[value(name = "test_decoding")]
    TestDecoding,
    #[value(name = "wal2json", hide = true)]
    Wal2Json,
}

/// What the user said cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentsError {
    /// pg2kinesis could read another plugin.
    #[error(
        "--pg-slot-output-plugin wal2json: pg2k reads test_decoding alone, which every server has, and makes whole rows of that too \
         (--full-change); make a slot for it with another --pg-slot-name and --create-slot, and drop the old one when consumers \
         have caught up"
    )]
    Wal2Json,
    /// The pattern is not a regular expression.
    #[error("{option} {pattern}: not a regular expression: {reason}")]
    Pattern {
        /// The option.
        option: &'static str,
        /// What the user wrote.
        pattern: String,
        /// What is wrong with it, in one line.
        reason: String,
    },
    /// The slot's name is none.
    #[error("--pg-slot-name: {0}")]
    SlotName(#[from] crate::postgres::slot::SlotNameError),
    /// The connection's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no such formatter.
    #[error(transparent)]
    Formatter(#[from] FindError),
}

impl Arguments {
    /// What logs look like.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.publish.running.log_format
    }

    /// What to do.
    pub(crate) fn into_task(self) -> Task {
        match self.command {
            Some(Command::Format(arguments)) => Task::Format(arguments),
            Some(Command::Capture(arguments)) => Task::Capture(arguments),
            None => Task::Publish(Box::new(self.publish)),
        }
    }
}

/// What the user wants done.
#[derive(Debug)]
pub(crate) enum Task {
    Publish(Box<PublishArguments>),
    Format(FormatArguments),
    Capture(CaptureArguments),
}

impl PublishArguments {
    /// Turns what the user said into what the program needs. `executable` is the program's own path, beside which formatters
    /// are looked for.
    pub(crate) fn into_config(
        self,
        executable: &Path,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Config, ArgumentsError> {
        let Self { postgres, kinesis, records, running } = self;
        if let OutputPlugin::Wal2Json = postgres.pg_slot_output_plugin {
            return Err(ArgumentsError::Wal2Json);
        }
        let RecordChoice { formatter, selection, invalid_text } =
            records.choose(executable, &environment, Unkeyed::Skip)?;
        let (settings, slot) = postgres.connection.resolve(&environment)?;
        Ok(Config {
            postgres: settings,
            slot,
            slot_action: match (postgres.create_slot, postgres.recreate_slot) {
                (_, true) => SlotAction::Recreate,
                (true, false) => SlotAction::Create,
                (false, false) => SlotAction::UseExisting,
            },
            stream: kinesis.stream_name,
            create_stream: kinesis.create_stream,
            formatter,
            selection,
            invalid_text,
            transaction_buffer: running.transaction_buffer.bytes(),
            drain_timeout: Duration::from_secs(running.drain_timeout.into()),
        })
    }
}

#[cfg(test)]
mod tests;
