//! The replication connection: commands to a walsender, and the beginning of the stream.
//!
//! Settings come in; a reader and a writer of the stream leave. tokio-postgres has no replication, hence this, on the
//! codecs of postgres-protocol. One connection serves one stream: after [`ReplicationConnection::start`] it takes no
//! more commands.

use pg2k_abi::Lsn;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use tokio_postgres::fallible_iterator::FallibleIterator as _;

use super::authentication;
use super::channel::{Channel, Reply};
use super::connect::{ConnectError, Socket, within};
use super::copy_both;
use super::settings::Settings;
use super::slot::SlotName;

pub(crate) use super::channel::ReplicationError;
pub(crate) use super::copy_both::{ReplicationReader, ReplicationWriter};

/// How test_decoding shall write (contrib/test_decoding/test_decoding.c).
///
/// Transaction ids and commit times go into records. Empty transactions are wanted too: they show DDL, which makes
/// known keys stale, and their end LSNs let the slot advance.
const DECODING: &str = r#"("include-xids" 'on', "include-timestamp" 'on', "skip-empty-xacts" 'off')"#;

/// A connection to a walsender that takes commands.
pub(crate) struct ReplicationConnection {
    channel: Channel,
}

/// Who the server is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The same for a cluster and all its copies.
    pub(crate) system: String,
    /// One more after each promotion of a standby.
    pub(crate) timeline: String,
    /// How far its WAL is written.
    pub(crate) wal_end: Lsn,
    /// What the slot has confirmed; `0/0` where there is no such slot.
    pub(crate) confirmed: Lsn,
}

impl ReplicationConnection {
    /// Connects and logs in, within the settings' timeout.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or refuses.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, ConnectError> {
        within(settings, async {
            let mut channel = Channel::new(Socket::connect(settings).await?);
            authentication::log_in(&mut channel, settings).await?;
            Ok(Self { channel })
        })
        .await
    }

    /// Asks who the server is and where its WAL and the slot are.
    ///
    /// Follows `IDENTIFY_SYSTEM` of <https://www.postgresql.org/docs/current/protocol-replication.html>. The other half is SQL,
    /// which a walsender of a database takes too.
    ///
    /// # Errors
    ///
    /// Fails where the connection is lost or the server reports an error.
    pub(crate) async fn identify(&mut self, slot: &SlotName) -> Result<Identity, ReplicationError> {
        let unexpected = |found: &str| ReplicationError::Unexpected {
            expected: "a system identifier, a timeline and an LSN",
            found: format!("{found:?}"),
        };
        let row = self.row("IDENTIFY_SYSTEM").await?;
        let [Some(system), Some(timeline), Some(wal_end), ..] = row.as_slice() else { return Err(unexpected("less")) };
        let wal_end = wal_end.parse().map_err(|_| unexpected(wal_end))?;
        let query =
            format!("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = '{slot}'");
        let row = self.row(&query).await?;
        let confirmed = row.first().cloned().flatten().map_or(Ok(Lsn::ZERO), |text| text.parse());
        let confirmed = confirmed.map_err(|error| unexpected(&error.to_string()))?;
        Ok(Identity { system: system.clone(), timeline: timeline.clone(), wal_end, confirmed })
    }

    /// Runs a command and gives its one row, as text; an empty one if there is no row.
    async fn row(&mut self, command: &str) -> Result<Vec<Option<String>>, ReplicationError> {
        frontend::query(command, &mut self.channel.outbox).map_err(ReplicationError::Lost)?;
        self.channel.send().await?;
        let mut row = Vec::new();
        loop {
            match self.channel.receive().await? {
                Reply::Message(Message::DataRow(body)) => row = columns(&body)?,
                Reply::Message(Message::ReadyForQuery(_)) => return Ok(row),
                Reply::Message(Message::RowDescription(_) | Message::CommandComplete(_)) => {}
                other => return Err(other.unexpected("the rows of an answer")),
            }
        }
    }

    /// Begins to stream a slot's changes, from `start` or from where the slot is, whichever is later.
    ///
    /// Begin at [`Lsn::ZERO`], or at the end LSN of a transaction that is safe: what lies before `start` is skipped
    /// silently
    /// (<https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION>).
    ///
    /// # Errors
    ///
    /// Fails where the slot is not there, lost, or active for another process, or the connection is lost.
    pub(crate) async fn start(
        mut self,
        slot: &SlotName,
        start: Lsn,
    ) -> Result<(ReplicationReader, ReplicationWriter), ReplicationError> {
        // A slot's name has no character that would need more than the quotes.
        let command = format!(r#"START_REPLICATION SLOT "{slot}" LOGICAL {start} {DECODING}"#);
        frontend::query(&command, &mut self.channel.outbox).map_err(ReplicationError::Lost)?;
        self.channel.send().await?;
        match self.channel.receive().await? {
            Reply::CopyBoth => {
                let Channel { socket, inbox, .. } = self.channel;
                Ok(copy_both::split(socket, &inbox))
            }
            other @ Reply::Message(_) => Err(other.unexpected("CopyBothResponse")),
        }
    }
}

fn columns(body: &DataRowBody) -> Result<Vec<Option<String>>, ReplicationError> {
    let malformed = |found: String| ReplicationError::Unexpected { expected: "a row of text", found };
    let text = |range: std::ops::Range<usize>| {
        let bytes = body.buffer().get(range).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    body.ranges().map(|range| Ok(range.map(text))).collect().map_err(|error| malformed(error.to_string()))
}
