//! The replication connection: commands to a walsender, and the beginning of the stream.
//!
//! Settings come in; a reader and a writer of the stream leave. tokio-postgres has no replication, hence this, on the
//! codecs of postgres-protocol. One connection serves one stream: after [`ReplicationConnection::start`] it takes no
//! more commands.

use pg2k_abi::Lsn;
use postgres_protocol::message::frontend;

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
