//! `pg2k capture`: the payloads that a slot has now, in a [file](crate::captured), without consuming them.
//!
//! The server gives them over SQL, decoded as for the stream and with the same options. What they do not tell of themselves, the
//! catalogs tell: it goes along as the first line's context.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use pg2k_abi::Lsn;
use tokio_postgres::Client;

use crate::captured::{self, Context, Table};
use crate::cli::CaptureTask;
use crate::postgres::connect::ConnectError;
use crate::postgres::failure::QueryError;
use crate::postgres::keys::{self, Dialect};
use crate::postgres::preflight::{PreflightError, preflight};
use crate::postgres::slot::{self, SlotAction, SlotError, SlotName};
use crate::postgres::sql;
use crate::relations::Catalogued;

/// Why nothing, or not everything, was captured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("cannot write {}", .path.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string()))]
    Output { path: Option<PathBuf>, source: io::Error },
}

/// How many payloads are asked for at a time, at most.
const MAX_FETCHED: usize = 1_000;
/// The bytes that they should be together, going by those before.
const FETCHED_BYTES: usize = 1 << 20;

/// Writes what the slot has.
///
/// # Errors
///
/// See [`CaptureError`]. What was written until then is a beginning of what the slot has.
pub(crate) async fn capture(task: &CaptureTask) -> Result<(), CaptureError> {
    let mut client = sql::open(&task.postgres).await?;
    let server = preflight(&client).await?;
    slot::ensure(&client, &task.slot, SlotAction::UseExisting).await?;
    let context = context(&client, Dialect { version: server.version, encoding: server.encoding }).await?;
    match payloads(&mut client, task, context).await {
        Ok(count) => tracing::info!(slot = %task.slot, payloads = count, "captured"),
        // A reader that has seen enough, such as `head`, is no error.
        Err(CaptureError::Output { path: None, source }) if source.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

type Output = BufWriter<Box<dyn Write>>;

/// Opens what is written to. A file that is there is emptied.
fn open(task: &CaptureTask) -> io::Result<Output> {
    Ok(BufWriter::new(match &task.output {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    }))
}

async fn context(client: &Client, dialect: Dialect) -> Result<Context, CaptureError> {
    let known = keys::all(client, dialect).await?;
    let mut tables = known
        .into_iter()
        .filter_map(|(name, catalogued)| match catalogued {
            Catalogued::Present(definition) => Some(Table {
                schema: name.schema,
                table: name.table,
                key: definition.key,
                virtual_columns: definition.virtual_columns,
            }),
            Catalogued::Missing => None,
        })
        .collect::<Vec<_>>();
    tables.sort_unstable_by(|a, b| (&a.schema, &a.table).cmp(&(&b.schema, &b.table)));
    let server_version = format!("{}.{}", dialect.version / 10_000, dialect.version % 10_000);
    Ok(Context { server_version, encoding: dialect.encoding.to_string(), tables })
}

/// Writes the payloads, and tells how many they are.
async fn payloads(client: &mut Client, task: &CaptureTask, context: Context) -> Result<u64, CaptureError> {
    // The options are those of the stream.
    const PEEK: &str = "SELECT lsn::text, data FROM pg_catalog.pg_logical_slot_peek_binary_changes($1, NULL, $2, \
        'include-xids', 'on', 'include-timestamp', 'on', 'skip-empty-xacts', 'off')";
    const DOING: &str = "reading the slot";
    let failed = |error| busy(&task.slot, QueryError::doing(DOING)(error));
    let written = |source| CaptureError::Output { path: task.output.clone(), source };
    let transaction = client.transaction().await.map_err(failed)?;
    let portal = transaction.bind(PEEK, &[&task.slot.as_str(), &task.limit]).await.map_err(failed)?;
    // The server decodes all of it before it gives the first; what can fail has failed then.
    let mut rows = transaction.query_portal(&portal, 1).await.map_err(failed)?;
    let mut output = open(task).map_err(written)?;
    let mut context = Some(context);
    let mut count = 0;
    while !rows.is_empty() {
        let mut bytes = 0;
        for row in &rows {
            let lsn: String = row.try_get(0).map_err(failed)?;
            let payload: &[u8] = row.try_get(1).map_err(failed)?;
            let lsn: Lsn = match lsn.parse() {
                Ok(lsn) => lsn,
                Err(_) => return Err(QueryError::Value { doing: DOING, column: "lsn", found: lsn }.into()),
            };
            captured::write(&mut output, lsn, payload, context.take()).map_err(written)?;
            bytes += payload.len();
            count += 1;
        }
        let fetched = (FETCHED_BYTES / (bytes / rows.len()).max(1)).clamp(1, MAX_FETCHED);
        let fetched = i32::try_from(fetched).unwrap_or(1);
        drop(rows);
        rows = transaction.query_portal(&portal, fetched).await.map_err(failed)?;
    }
    output.flush().map_err(written)?;
    Ok(count)
}

fn busy(name: &SlotName, error: QueryError) -> CaptureError {
    match error.code() {
        Some("55006") => SlotError::Busy { name: name.clone(), source: error }.into(),
        _ => error.into(),
    }
}
