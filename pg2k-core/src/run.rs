//! From arguments to an exit code.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pg2k_abi::Lsn;
use tokio::runtime::Runtime;

use crate::capture::{CaptureError, capture};
use crate::cause::with_causes;
use crate::cli::{Arguments, ArgumentsError, PublishArguments, Task};
use crate::config::Config;
use crate::decode::Decoder;
use crate::format::{FormatError, Outcome, format};
use crate::formatter::LoadedFormatter;
use crate::formatter::load::LoadError;
use crate::kinesis::client::{KinesisError, Stream};
use crate::pipeline;
use crate::pipeline::flow::Flow;
use crate::pipeline::translate::Translator;
use crate::pipeline::{Ending, PipelineError, Signals as _, Surroundings};
use crate::postgres::connect::ConnectError;
use crate::postgres::failure::QueryError;
use crate::postgres::keys::{self, Catalog, Dialect};
use crate::postgres::preflight::{PreflightError, preflight};
use crate::postgres::slot::{self, SlotError};
use crate::postgres::sql;
use crate::postgres::stream::Source;
use crate::relations::{Catalogued, Relations, TableName};
use crate::signals::UserSignals;
use crate::telemetry::{self, Role};

/// Stopped by a signal.
const STOPPED: u8 = 0;
/// Stopped by an error that somebody must see to.
const FAILED: u8 = 1;
/// Wrong use or configuration.
const MISUSED: u8 = 2;

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error("{0}")]
    Logs(String),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Keys(#[from] QueryError),
    #[error(transparent)]
    Kinesis(#[from] KinesisError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("{what}")]
    System { what: &'static str, source: std::io::Error },
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) | Self::Logs(_) | Self::Load(_) | Self::Kinesis(KinesisError::NoRegion) => MISUSED,
            Self::Format(FormatError::Load(_) | FormatError::Keys(_)) => MISUSED,
            _ => FAILED,
        }
    }

    fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Does what the user asked for. Publishing goes on until a signal or an error ends it.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let format = arguments.log_format();
    let task = arguments.into_task();
    let role = if matches!(task, Task::Publish(_)) { Role::Service } else { Role::Tool };
    let logs = telemetry::set_up(format, role).map_err(Error::Logs);
    match logs.and_then(|()| perform(task)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!("{}", with_causes(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn perform(task: Task) -> Result<u8, Error> {
    let executable = std::env::current_exe().map_err(Error::system("cannot tell where this program is"))?;
    let environment = |name: &str| std::env::var_os(name);
    match task {
        Task::Publish(arguments) => start(*arguments, &executable, environment),
        Task::Format(arguments) => match format(arguments.into_task(&executable, environment)?)? {
            Outcome::Whole => Ok(STOPPED),
            Outcome::Refused => Ok(FAILED),
        },
        Task::Capture(arguments) => {
            let task = arguments.into_task(environment)?;
            runtime()?.block_on(capture(&task))?;
            Ok(STOPPED)
        }
    }
}

/// One thread is enough for the pipeline, which has one thing to do at a time. The source has another.
fn runtime() -> Result<Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::system("cannot start the runtime"))
}

fn start(
    arguments: PublishArguments,
    executable: &Path,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<u8, Error> {
    let config = arguments.into_config(executable, environment)?;
    let formatter = LoadedFormatter::load(&config.formatter.path, &config.formatter.options)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        formatter = formatter.name,
        formatter_version = formatter.version,
        "pg2k starts"
    );
    let runtime = runtime()?;
    let ending = runtime.block_on(publish(config, formatter));
    // Without waiting for a name that is still being looked up.
    runtime.shutdown_background();
    if ending? == Ending::CutShort {
        tracing::warn!("ended before everything was acknowledged; nothing is lost: it comes again at the next start");
    }
    Ok(STOPPED)
}

async fn publish(config: Config, formatter: LoadedFormatter) -> Result<Ending, Error> {
    let mut signals = UserSignals::listen(config.drain_timeout).map_err(Error::system("cannot listen to signals"))?;
    let prepared = tokio::select! {
        // Before anything was read, there is nothing to drain.
        () = signals.next() => {
            tracing::info!("stopped before anything was read");
            return Ok(Ending::Drained);
        }
        prepared = prepare(&config) => prepared?,
    };
    let relations = Relations::new(config.selection, prepared.keys);
    let decoder = Decoder::new(prepared.dialect.encoding, config.invalid_text);
    let translator = Translator::new(formatter, relations, decoder, Some(prepared.dialect.major()));
    let confirmed = prepared.confirmed;
    let flow = Flow::new(translator, confirmed, config.transaction_buffer, prepared.max_record_size);
    let source = Source::start(config.postgres, config.slot, prepared.wal_sender_timeout)
        .map_err(Error::system("cannot start the source's thread"))?;
    let Prepared { stream, catalog, .. } = prepared;
    let surroundings = Surroundings { source, stream, catalog, signals, drain_timeout: config.drain_timeout };
    Ok(pipeline::run(flow, surroundings).await?)
}

/// What was found out before the first change is read.
struct Prepared {
    wal_sender_timeout: Option<Duration>,
    dialect: Dialect,
    /// What the slot has confirmed.
    confirmed: Lsn,
    keys: HashMap<TableName, Catalogued>,
    catalog: Catalog,
    stream: Stream,
    max_record_size: usize,
}

/// Looks at both ends, and makes what is to be made. The slot last: from then on the server keeps WAL for it.
async fn prepare(config: &Config) -> Result<Prepared, Error> {
    let client = sql::open(&config.postgres).await?;
    let server = preflight(&client).await?;
    let stream = Stream::from_environment(config.stream.clone()).await?;
    if let Some(shards) = config.create_stream {
        stream.create(shards).await?;
    }
    let max_record_size = stream.max_record_size().await?;
    let slot = slot::ensure(&client, &config.slot, config.slot_action).await?;
    let dialect = Dialect { version: server.version, encoding: server.encoding };
    let keys = keys::all(&client, dialect).await?;
    tracing::info!(
        server = %config.postgres.address(),
        database = server.database,
        server_version = server.version,
        encoding = %server.encoding,
        slot = %config.slot,
        confirmed = slot.confirmed_flush.map(tracing::field::display),
        tables = keys.len(),
        "slot found"
    );
    let catalog = Catalog::new(config.postgres.clone(), dialect);
    let confirmed = slot.confirmed_flush.unwrap_or_default();
    let wal_sender_timeout = server.wal_sender_timeout;
    Ok(Prepared { wal_sender_timeout, dialect, confirmed, keys, catalog, stream, max_record_size })
}
