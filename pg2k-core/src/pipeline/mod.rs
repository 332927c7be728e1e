//! Waits for the next event and applies it: all the awaiting of the pipeline is here, all its decisions are in
//! [`flow`].
//!
//! Chunks come from the [`source`](crate::postgres::stream), requests go to the [`stream`](crate::kinesis::client), and what
//! may be confirmed goes back to the source.

pub(crate) mod flow;
pub(crate) mod translate;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::{RECONNECT, backoff};
use crate::cause::with_causes;
use crate::kinesis::SequenceNumber;
use crate::kinesis::client::Stream;
use crate::kinesis::lane::Urgency;
use crate::kinesis::retry::{Failure, Remedy};
use crate::postgres::failure::Class;
use crate::postgres::keys::{Catalog, CatalogError};
use crate::postgres::stream::{Source, SourceError, SourceEvent};
use crate::relations::{Catalogued, TableName};
use crate::telemetry::Report;
use flow::{Event, Flow, FlowError};
use translate::Format;

/// The shortest time from one request to the next, unless the next is full. A request costs the same CPU for one record as for
/// thousands; the service answers in more than this, so the pause counts only where an endpoint is near. After a quiet
/// moment it is over before a record comes.
const REQUEST_GAP: Duration = Duration::from_millis(4);
/// How often tables without a key may be looked up again, when something that may be DDL shows.
const DOUBT_GAP: Duration = Duration::from_secs(5);
/// How often rates and lag are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How often a failure that goes on is reported.
const REMINDER: Duration = Duration::from_secs(60);

/// Why the pipeline stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    /// What the server sent cannot be published.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The slot cannot be read any more.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The catalogs cannot be asked about a table.
    #[error("the keys of tables: {0}")]
    Catalog(#[from] CatalogError),
    /// The source's thread ended by itself.
    #[error("the source's thread ended unexpectedly")]
    SourceEnded,
}

/// How the pipeline came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that was handed over is acknowledged and confirmed.
    Drained,
    /// The user did not want to wait, or the time for it ran out. What is not confirmed comes again.
    CutShort,
}

/// Signals of the user: the first asks to drain, another one not to wait for that.
pub(crate) trait Signals {
    /// Waits for the next signal. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = ()>;
}

/// What surrounds the pipeline.
pub(crate) struct Surroundings<S> {
    /// Where changes come from.
    pub(crate) source: Source,
    /// Where records go.
    pub(crate) stream: Stream,
    /// Where keys are looked up.
    pub(crate) catalog: Catalog,
    /// The user.
    pub(crate) signals: S,
    /// How long a drain may take.
    pub(crate) drain_timeout: Duration,
}

type Put = Pin<Box<dyn Future<Output = Result<SequenceNumber, Failure>>>>;
type Lookup = Pin<Box<dyn Future<Output = Result<Vec<(TableName, Catalogued)>, CatalogError>>>>;

/// What the pipeline waits for.
#[derive(Default)]
struct Waiting {
    put: Option<Put>,
    lookup: Option<Lookup>,
    retry_at: Option<Instant>,
    /// Before this, only a full request is made.
    put_after: Option<Instant>,
    /// When the request is due that waits for that.
    put_at: Option<Instant>,
    drain_until: Option<Instant>,
    /// When tables without a key may be looked up again.
    doubt_after: Option<Instant>,
    /// When the failure that goes on was reported last, and what there was to do about it.
    reminded: Option<(Instant, Remedy)>,
}

/// What the pipeline waited for.
enum Happened {
    Event(Event),
    Signal,
    DrainTimeout,
    PutDue,
    ReportDue,
    Broken(PipelineError),
}

/// Publishes what the source reads until a signal or an error ends it.
///
/// # Errors
///
/// See [`PipelineError`]. What was handed over before the error is acknowledged and confirmed, if that was possible within the
/// time for a drain.
pub(crate) async fn run<F: Format, S: Signals>(
    mut flow: Flow<F>,
    surroundings: Surroundings<S>,
) -> Result<Ending, PipelineError> {
    let Surroundings { mut source, stream, catalog, mut signals, drain_timeout } = surroundings;
    let mut waiting = Waiting::default();
    let mut report = Report::new(Instant::now());
    let mut error = None;
    let ending = loop {
        start_what_is_wanted(&mut flow, &mut waiting, &source, &stream, &catalog);
        if flow.is_drained() {
            break Ending::Drained;
        }
        let wants_input = flow.wants_input();
        let happened = next(&mut waiting, &mut source, &mut signals, wants_input, report.due(REPORT_INTERVAL)).await;
        let event = match happened {
            Happened::Event(event) => event,
            Happened::Signal if waiting.drain_until.is_some() => break Ending::CutShort,
            // The beginning of the loop makes it.
            Happened::PutDue => continue,
            Happened::DrainTimeout => break Ending::CutShort,
            Happened::Signal => {
                tracing::info!(timeout_s = drain_timeout.as_secs(), "draining; a second signal ends without waiting");
                waiting.drain_until = Some(Instant::now() + drain_timeout);
                Event::Drain
            }
            Happened::ReportDue => {
                report.print(Instant::now(), &flow.totals(), flow.confirmable(), flow.seen());
                continue;
            }
            Happened::Broken(broken) => {
                give_up(broken, &mut error, &mut flow, &mut waiting, drain_timeout);
                continue;
            }
        };
        // Before the event, which may bring the DDL and the first row after it together.
        if waiting.doubt_after.is_none_or(|then| Instant::now() >= then) {
            waiting.doubt_after = Some(Instant::now() + DOUBT_GAP);
            flow.allow_doubt();
        }
        note(&event, &mut waiting, flow.failures());
        if let Err(failed) = flow.apply(event) {
            give_up(failed.into(), &mut error, &mut flow, &mut waiting, drain_timeout);
        }
    };
    source.confirm(flow.confirmable());
    source.stop().await;
    let totals = flow.totals();
    tracing::info!(confirmed = %flow.confirmable(), records = totals.records, puts = totals.puts, ?ending, "stopped");
    error.map_or(Ok(ending), Err)
}

/// Takes nothing more because of an error, which is the reason for the end unless there was one before.
fn give_up<F: Format>(
    broken: PipelineError,
    error: &mut Option<PipelineError>,
    flow: &mut Flow<F>,
    waiting: &mut Waiting,
    drain_timeout: Duration,
) {
    let (reason, timeout_s) = (with_causes(&broken), drain_timeout.as_secs());
    tracing::info!(reason, timeout_s, "stopping because of an error, after what is in flight");
    error.get_or_insert(broken);
    waiting.drain_until.get_or_insert(Instant::now() + drain_timeout);
    flow.abandon();
}

/// Starts the request, the look-up, the confirmation and the new beginning that the flow wants.
fn start_what_is_wanted<F: Format>(
    flow: &mut Flow<F>,
    waiting: &mut Waiting,
    source: &Source,
    stream: &Stream,
    catalog: &Catalog,
) {
    let now = Instant::now();
    let wanted = flow.wants_request();
    let due = waiting.put_after.is_none_or(|then| now >= then);
    waiting.put_at = None;
    if wanted == Some(Urgency::MayWait) && !due {
        waiting.put_at = waiting.put_after;
    } else if let Some(request) = flow.next_request() {
        waiting.put_after = Some(now + REQUEST_GAP);
        let stream = stream.clone();
        waiting.put = Some(Box::pin(async move { stream.put(request).await }));
    }
    if let (tables @ [_, ..], None) = (flow.wants_lookup(), &waiting.lookup) {
        waiting.lookup = Some(Box::pin(look_up(catalog.clone(), tables.to_owned())));
    }
    source.confirm(flow.confirmable());
    if flow.take_restart() {
        source.restart();
    }
    if let Some(chunk) = flow.take_spent() {
        source.recycle(chunk);
    }
}

async fn next<S: Signals>(
    waiting: &mut Waiting,
    source: &mut Source,
    signals: &mut S,
    wants_input: bool,
    report_at: Instant,
) -> Happened {
    let Waiting { put, lookup, retry_at, put_at, drain_until, .. } = waiting;
    tokio::select! {
        // Acknowledgements before input: they make room.
        biased;
        () = signals.next() => Happened::Signal,
        outcome = pending(put) => Happened::Event(match outcome {
            Ok(number) => Event::Acknowledged(number),
            Err(failure) => Event::Failed(failure),
        }),
        answer = pending(lookup) => match answer {
            Ok(answers) => Happened::Event(Event::Looked(answers)),
            Err(error) => Happened::Broken(error.into()),
        },
        () = at(*retry_at) => Happened::Event(Event::RetryDue),
        () = at(*put_at) => Happened::PutDue,
        () = at(*drain_until) => Happened::DrainTimeout,
        () = sleep_until(report_at) => Happened::ReportDue,
        event = source.next(), if wants_input => match event {
            Some(SourceEvent::Started) => Happened::Event(Event::Started),
            Some(SourceEvent::Chunk(chunk)) => Happened::Event(Event::Received(chunk)),
            Some(SourceEvent::Stopped(error)) => Happened::Broken(error.into()),
            None => Happened::Broken(PipelineError::SourceEnded),
        },
    }
}

/// Waits for the future in the place, and empties the place; for ever if it is empty. Cancel-safe.
async fn pending<T>(place: &mut Option<Pin<Box<dyn Future<Output = T>>>>) -> T {
    let Some(future) = place else { return std::future::pending().await };
    let output = future.await;
    *place = None;
    output
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Says what a request's outcome means, and sets the time of its next attempt.
fn note(event: &Event, waiting: &mut Waiting, failures: u32) {
    match event {
        Event::RetryDue => waiting.retry_at = None,
        Event::Acknowledged(_) if failures > 0 => {
            waiting.reminded = None;
            tracing::info!(failures, "Kinesis takes records again");
        }
        Event::Failed(failure) => {
            let now = Instant::now();
            let failures = failures.saturating_add(1);
            let remedy = failure.remedy();
            let pause = remedy.pause(failures, fastrand::u64(..));
            waiting.retry_at = Some(now + pause);
            if waiting.reminded.is_none_or(|(then, before)| now - then >= REMINDER || before != remedy) {
                waiting.reminded = Some((now, remedy));
                remind(failure, failures, pause);
            }
        }
        _ => {}
    }
}

fn remind(failure: &Failure, failures: u32, pause: Duration) {
    let (error, retry_in_ms) = (&failure.message, pause.as_millis());
    match failure.remedy() {
        Remedy::Hold => tracing::error!(
            error,
            failures,
            retry_in_ms,
            "Kinesis refuses the record; holding it and the slot until that is mended"
        ),
        Remedy::Again | Remedy::WithoutOrdering => {
            tracing::warn!(error, failures, retry_in_ms, "PutRecord failed; sending the same again");
        }
    }
}

/// Asks the catalogs about tables until there is an answer, or no use in asking.
async fn look_up(catalog: Catalog, tables: Vec<TableName>) -> Result<Vec<(TableName, Catalogued)>, CatalogError> {
    let mut failures = 0;
    loop {
        match catalog.of(&tables).await {
            Ok(answers) => return Ok(answers),
            Err(error) if error.class() == Class::Fatal => return Err(error),
            Err(error) => {
                failures += 1;
                let pause = backoff(RECONNECT, failures, fastrand::u64(..));
                let (error, retry_in_ms) = (with_causes(&error), pause.as_millis());
                tracing::warn!(
                    tables = tables.len(),
                    error,
                    retry_in_ms,
                    "no answer about the tables' keys; asking again"
                );
                sleep(pause).await;
            }
        }
    }
}
