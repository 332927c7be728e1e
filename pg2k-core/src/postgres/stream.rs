//! The source of changes: a replication connection in a thread of its own.
//!
//! Payloads go to the [`pipeline`](crate::pipeline) through a short channel; the LSN that may be confirmed comes back. The
//! thread is its own so that nothing downstream, a formatter that blocks included, keeps status updates from being sent: a
//! walsender that hears nothing for wal_sender_timeout ends the connection. The invariant: what is confirmed is what the pipeline
//! said, never what was read.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pg2k_abi::Lsn;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::channel::ReplicationError;
use super::connect::ConnectError;
use super::copy_both::{Chunk, Message, ReplicationReader, ReplicationWriter};
use super::failure::Class;
use super::replication::{Identity, ReplicationConnection};
use super::settings::Settings;
use super::slot::SlotName;
use crate::backoff::{RECONNECT, backoff};
use crate::cause::with_causes;

/// Chunks that wait between the source and the pipeline. Each is what one read found in the socket, 256 KiB at most unless one
/// payload is larger; behind them the server waits.
const WAITING_CHUNKS: usize = 4;

/// How long the pipeline may take nothing before the connection is closed. A walsender that waits for room in its socket heeds
/// neither a fast shutdown nor a checkpoint that wants to invalidate the slot: an outage of Kinesis must not hold up the
/// server. The slot keeps everything meanwhile.
const STALL: Duration = Duration::from_secs(20);

/// The shortest time between two status updates, but for a reply that the server asked for. Acknowledgements can come by the
/// thousand in a second, and each update wakes the walsender.
const STATUS_GAP: Duration = Duration::from_millis(100);

/// What the source tells the pipeline.
#[derive(Debug)]
pub(crate) enum SourceEvent {
    /// What comes next begins at the slot's confirmed place.
    Started,
    /// Messages, in order.
    Chunk(Chunk),
    /// The source cannot go on, and trying again would not mend it.
    Stopped(SourceError),
}

/// Why a replication connection could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// It could not be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It ended.
    #[error(transparent)]
    Replication(#[from] ReplicationError),
    /// What answers now is not what was read before, so that what was read before says nothing of it.
    #[error(
        "the server is not as it was: expected {expected}, found {found}; it was restored, replaced or failed over, or another \
         program read the slot: start pg2k again to go on from where the slot is now"
    )]
    OtherServer {
        /// What was known of the server.
        expected: String,
        /// What it says of itself.
        found: String,
    },
}

impl SourceError {
    fn class(&self) -> Class {
        match self {
            Self::Connect(error) => error.class(),
            Self::Replication(error) => error.class(),
            Self::OtherServer { .. } => Class::Fatal,
        }
    }
}

/// What the pipeline tells the source.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    confirm: Lsn,
    /// How many times the source was told to begin again.
    restarts: u64,
    stop: bool,
}

/// The source, seen from the pipeline.
#[derive(Debug)]
pub(crate) struct Source {
    events: mpsc::Receiver<SourceEvent>,
    spent: mpsc::Sender<Chunk>,
    orders: watch::Sender<Orders>,
    thread: JoinHandle<()>,
}

impl Source {
    /// Starts the thread. It connects, and connects again after each failure that may pass.
    ///
    /// `wal_sender_timeout` is the server's, if it has one.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn start(settings: Settings, slot: SlotName, wal_sender_timeout: Option<Duration>) -> io::Result<Self> {
        let (events, received) = mpsc::channel(WAITING_CHUNKS);
        let (spent, returned) = mpsc::channel(WAITING_CHUNKS);
        let (orders, ordered) = watch::channel(Orders::default());
        let longest = Duration::from_secs(10);
        let status_interval = wal_sender_timeout.map_or(longest, |timeout| (timeout / 3).clamp(STATUS_GAP, longest));
        let reader = Reader {
            settings,
            slot,
            status_interval,
            events,
            returned,
            orders: ordered,
            known: None,
            newest: Lsn::ZERO,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("source".to_owned()).spawn(move || {
            runtime.block_on(reader.run());
            // Without waiting for a name that is still being looked up.
            runtime.shutdown_background();
        })?;
        Ok(Self { events: received, spent, orders, thread })
    }

    /// The next event. Cancel-safe. `None` where the thread has ended.
    pub(crate) async fn next(&mut self) -> Option<SourceEvent> {
        self.events.recv().await
    }

    /// Gives back a chunk, whose memory is used again.
    pub(crate) fn recycle(&self, chunk: Chunk) {
        // With enough of them waiting, one more is let go.
        drop(self.spent.try_send(chunk));
    }

    /// Lets the slot forget what is before this LSN.
    pub(crate) fn confirm(&self, lsn: Lsn) {
        self.orders.send_if_modified(|orders| {
            let advances = lsn > orders.confirm;
            orders.confirm = orders.confirm.max(lsn);
            advances
        });
    }

    /// Confirms, and begins again where that leads; [`SourceEvent::Started`] tells when.
    pub(crate) fn restart(&self) {
        self.orders.send_modify(|orders| orders.restarts += 1);
    }

    /// Confirms what there is to confirm and ends the connection and the thread.
    pub(crate) async fn stop(mut self) {
        self.orders.send_modify(|orders| orders.stop = true);
        // The thread drops its end when it is done.
        while self.events.recv().await.is_some() {}
        if self.thread.join().is_err() {
            tracing::error!("the source's thread panicked");
        }
    }
}

struct Reader {
    settings: Settings,
    slot: SlotName,
    status_interval: Duration,
    events: mpsc::Sender<SourceEvent>,
    returned: mpsc::Receiver<Chunk>,
    orders: watch::Receiver<Orders>,
    /// The server that was read before, if one was.
    known: Option<Identity>,
    /// The newest place in its WAL that it told of.
    newest: Lsn,
}

/// How a connection ended when nothing failed.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was to end here; the next one goes on.
    Restart,
    /// The pipeline takes nothing.
    Stalled,
    Stop,
}

/// What became of one read.
#[derive(Debug, PartialEq, Eq)]
enum Forwarded {
    /// It is with the pipeline.
    Taken,
    /// Nothing was read, since there was no room for it for too long.
    Stalled,
}

impl Reader {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let error = match self.connection().await {
                Ok(End::Stop) => return,
                Ok(End::Restart) => continue,
                Ok(End::Stalled) => {
                    tracing::warn!(
                        after_s = STALL.as_secs(),
                        "nothing was published for too long; leaving the server alone until there is room again"
                    );
                    if self.stopped_before_room().await {
                        return;
                    }
                    continue;
                }
                Err(error) => error,
            };
            if self.orders.borrow().stop {
                tracing::warn!(error = with_causes(&error), "the connection was lost before the last confirmation");
                return;
            }
            if error.class() == Class::Fatal {
                // Nobody listens any more where this fails.
                drop(self.events.send(SourceEvent::Stopped(error)).await);
                return;
            }
            if begun.elapsed() > *RECONNECT.end() {
                failures = 0;
            }
            failures += 1;
            let pause = backoff(RECONNECT, failures, fastrand::u64(..));
            tracing::warn!(
                error = with_causes(&error),
                retry_in_ms = pause.as_millis(),
                "no replication connection; trying again"
            );
            if self.stopped_within(pause).await {
                return;
            }
        }
    }

    /// Waits; true where the order to stop came meanwhile.
    async fn stopped_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => false,
            // An error here means that nobody is left to give orders.
            _ = self.orders.wait_for(|orders| orders.stop) => true,
        }
    }

    /// Waits until the pipeline takes something; true where the order to stop came first.
    async fn stopped_before_room(&mut self) -> bool {
        tokio::select! {
            room = self.events.reserve() => room.is_err(),
            _ = self.orders.wait_for(|orders| orders.stop) => true,
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self) -> Result<End, SourceError> {
        let connect = async {
            let mut connection = ReplicationConnection::open(&self.settings).await?;
            let identity = connection.identify(&self.slot).await?;
            if let Some(known) = &self.known {
                check(known, &identity, self.newest, self.orders.borrow().confirm)?;
            }
            // The slot knows where: a place beyond it would skip changes silently.
            let streams = connection.start(&self.slot, Lsn::ZERO).await?;
            Ok::<_, SourceError>((streams, identity))
        };
        let mut stop = self.orders.clone();
        let ((mut reader, writer), identity) = tokio::select! {
            connected = connect => connected?,
            _ = stop.wait_for(|orders| orders.stop) => return Ok(End::Stop),
        };
        self.known = Some(identity);
        tracing::info!(slot = %self.slot, "streaming");
        let restarts = self.orders.borrow().restarts;
        let reply = Arc::new(Notify::new());
        let mut feedback = Feedback {
            interval: self.status_interval,
            orders: self.orders.clone(),
            reply: Arc::clone(&reply),
            restarts,
        };
        let mut status = tokio::spawn(async move { feedback.run(writer).await });
        if self.events.send(SourceEvent::Started).await.is_err() {
            return Ok(End::Stop);
        }
        loop {
            while let Ok(chunk) = self.returned.try_recv() {
                reader.recycle(chunk);
            }
            tokio::select! {
                result = forward(&mut reader, &self.events, &reply, &mut self.newest) => {
                    match result {
                        Ok(Forwarded::Taken) => {}
                        Ok(Forwarded::Stalled) => {
                            status.abort();
                            return Ok(End::Stalled);
                        }
                        Err(error) => {
                            status.abort();
                            return Err(error.into());
                        }
                    }
                }
                // It ends when it is ordered to, or when the connection is lost.
                ended = &mut status => {
                    let writer = match ended {
                        Ok(result) => result?,
                        Err(panic) => return Err(ReplicationError::Lost(io::Error::other(panic)).into()),
                    };
                    writer.finish(reader).await?;
                    return Ok(if self.orders.borrow().stop { End::Stop } else { End::Restart });
                }
            }
        }
    }
}

/// Sees to it that a connection leads to where the one before it led.
///
/// What was handed over is left out when it comes again, and what is confirmed is sent again: against another history of the
/// WAL, the first would lose changes, and the second would let the slot forget them.
fn check(known: &Identity, found: &Identity, newest: Lsn, confirmed: Lsn) -> Result<(), SourceError> {
    let differs = |expected: String, found: String| Err(SourceError::OtherServer { expected, found });
    if known.system != found.system {
        return differs(format!("system identifier {}", known.system), found.system.clone());
    }
    if known.timeline != found.timeline {
        return differs(format!("timeline {}", known.timeline), found.timeline.clone());
    }
    if found.wal_end < newest {
        return differs(format!("WAL up to {newest} at least"), format!("WAL up to {}", found.wal_end));
    }
    if found.confirmed > confirmed.max(known.confirmed) {
        return differs(format!("the slot at {} at most", confirmed.max(known.confirmed)), found.confirmed.to_string());
    }
    Ok(())
}

/// Hands over what one read finds, once there is room for it. Cancel-safe: nothing is awaited between the two.
async fn forward(
    reader: &mut ReplicationReader,
    events: &mpsc::Sender<SourceEvent>,
    reply: &Notify,
    newest: &mut Lsn,
) -> Result<Forwarded, ReplicationError> {
    let room = match timeout(STALL, events.reserve()).await {
        Ok(Ok(room)) => room,
        // Without a receiver there is an order to stop as well, which ends this wait.
        Ok(Err(_)) => return std::future::pending().await,
        Err(_) => return Ok(Forwarded::Stalled),
    };
    let chunk = reader.read().await?;
    let told = chunk.messages.iter().map(|message| match message {
        Message::Data { lsn, .. } => *lsn,
        Message::Keepalive { wal_end, .. } => *wal_end,
    });
    *newest = told.fold(*newest, Lsn::max);
    if chunk.messages.iter().any(|message| matches!(message, Message::Keepalive { reply_requested: true, .. })) {
        reply.notify_one();
    }
    room.send(SourceEvent::Chunk(chunk));
    Ok(Forwarded::Taken)
}

/// Sends status updates: on a timer, when the server asks, and when there is something to confirm.
struct Feedback {
    interval: Duration,
    orders: watch::Receiver<Orders>,
    reply: Arc<Notify>,
    /// The restarts ordered before this connection.
    restarts: u64,
}

impl Feedback {
    /// Returns the writer when the connection is to end, after a last update.
    async fn run(&mut self, mut writer: ReplicationWriter) -> Result<ReplicationWriter, ReplicationError> {
        let mut sent = Instant::now();
        let mut confirmed = Lsn::ZERO;
        loop {
            let orders = *self.orders.borrow_and_update();
            let ends = orders.stop || orders.restarts != self.restarts;
            let wait = if orders.confirm > confirmed { STATUS_GAP } else { self.interval };
            if !ends {
                tokio::select! {
                    () = sleep_until(sent + wait) => {}
                    () = self.reply.notified() => {}
                    changed = self.orders.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return Ok(writer),
                    },
                }
            }
            confirmed = self.orders.borrow().confirm;
            writer.status(confirmed, false).await?;
            sent = Instant::now();
            if ends {
                return Ok(writer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_history_is_followed() {
        let identity = |system: &str, timeline: &str, wal_end, confirmed| Identity {
            system: system.to_owned(),
            timeline: timeline.to_owned(),
            wal_end: Lsn::new(wal_end),
            confirmed: Lsn::new(confirmed),
        };
        let known = identity("7", "1", 100, 50);
        let check = |found| check(&known, &found, Lsn::new(200), Lsn::new(150)).map_err(|error| error.to_string());
        assert_eq!(check(identity("7", "1", 200, 150)), Ok(()));
        // A server that crashed has forgotten a confirmation.
        assert_eq!(check(identity("7", "1", 300, 50)), Ok(()));
        for (found, words) in [
            (identity("8", "1", 300, 150), "expected system identifier 7, found 8"),
            (identity("7", "2", 300, 150), "expected timeline 1, found 2"),
            (identity("7", "1", 199, 150), "expected WAL up to 0/C8 at least, found WAL up to 0/C7"),
            (identity("7", "1", 300, 151), "expected the slot at 0/96 at most, found 0/97"),
        ] {
            let error = check(found).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
