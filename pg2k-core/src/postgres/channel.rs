//! Messages to and from the server on a replication connection, one at a time, until streaming begins.
//!
//! Bytes come from the socket and leave as whole messages; what the server says unasked (notices, its parameters)
//! goes to the log. Once an error came out, the connection is of no more use.

use std::io;

use bytes::{Buf as _, BytesMut};
use postgres_protocol::message::backend::{self, Message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connect::Socket;
use super::failure::{Class, ServerError};
use super::wire::{self, Framing, WireError};

/// A replication connection that failed after it was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplicationError {
    /// Reading or writing failed.
    #[error("replication connection lost")]
    Lost(#[source] io::Error),
    /// The server closed the connection without a word.
    #[error("replication connection: expected a message, found the connection closed by the server")]
    Closed,
    /// The server ended the stream in good order: it is shutting down.
    #[error("replication stream ended by the server")]
    Ended,
    /// The server reports an error.
    #[error("replication connection: the server reports an error")]
    Server(#[source] Box<ServerError>),
    /// The bytes are not the protocol's.
    #[error("replication connection: broken protocol")]
    Wire(#[source] WireError),
    /// A message is not the one that belongs here.
    #[error("replication connection: expected {expected}, found {found}")]
    Unexpected {
        /// What belongs here.
        expected: &'static str,
        /// What came.
        found: String,
    },
}

impl ReplicationError {
    /// Says whether connecting again may mend it.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Lost(_) | Self::Closed | Self::Ended => Class::Transient,
            Self::Server(error) => error.class(),
            Self::Wire(_) | Self::Unexpected { .. } => Class::Fatal,
        }
    }
}

/// The type of CopyBothResponse, which postgres-protocol does not know.
const COPY_BOTH_RESPONSE: u8 = b'W';

/// A message of the server.
pub(super) enum Reply {
    /// The stream begins.
    CopyBoth,
    /// Any other.
    Message(Message),
}

impl Reply {
    /// Makes the error for a message that does not belong where it came.
    pub(super) fn unexpected(&self, expected: &'static str) -> ReplicationError {
        ReplicationError::Unexpected { expected, found: self.name().to_owned() }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::CopyBoth => "CopyBothResponse",
            Self::Message(message) => match message {
                Message::CommandComplete(_) => "CommandComplete",
                Message::CopyData(_) => "CopyData",
                Message::CopyDone => "CopyDone",
                Message::CopyInResponse(_) => "CopyInResponse",
                Message::CopyOutResponse(_) => "CopyOutResponse",
                Message::DataRow(_) => "DataRow",
                Message::EmptyQueryResponse => "EmptyQueryResponse",
                Message::ErrorResponse(_) => "ErrorResponse",
                Message::ReadyForQuery(_) => "ReadyForQuery",
                Message::RowDescription(_) => "RowDescription",
                _ => "another message",
            },
        }
    }
}

/// A replication connection on which messages are exchanged one at a time.
pub(super) struct Channel {
    pub(super) socket: Socket,
    /// Bytes received and not yet taken.
    pub(super) inbox: BytesMut,
    /// Messages composed and not yet sent.
    pub(super) outbox: BytesMut,
}

impl Channel {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, inbox: BytesMut::with_capacity(8 << 10), outbox: BytesMut::new() }
    }

    /// Sends what the outbox holds. Cancel-safe: what is not sent stays in it.
    pub(super) async fn send(&mut self) -> Result<(), ReplicationError> {
        while self.outbox.has_remaining() {
            self.socket.write_buf(&mut self.outbox).await.map_err(ReplicationError::Lost)?;
        }
        self.socket.flush().await.map_err(ReplicationError::Lost)
    }

    /// Receives the next message that is part of an answer. An ErrorResponse comes as an error. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Reply, ReplicationError> {
        loop {
            match wire::frame(&self.inbox).map_err(ReplicationError::Wire)? {
                Framing::Complete { kind: COPY_BOTH_RESPONSE, body } => {
                    self.inbox.advance(body.end);
                    return Ok(Reply::CopyBoth);
                }
                Framing::Complete { kind, .. } => match parse(kind, &mut self.inbox)? {
                    Message::ErrorResponse(body) => return Err(server_error(body.fields())),
                    Message::NoticeResponse(body) => log_notice(body.fields()),
                    Message::ParameterStatus(_) | Message::BackendKeyData(_) | Message::NotificationResponse(_) => {}
                    message => return Ok(Reply::Message(message)),
                },
                Framing::Partial { .. } => {
                    if self.socket.read_buf(&mut self.inbox).await.map_err(ReplicationError::Lost)? == 0 {
                        return Err(ReplicationError::Closed);
                    }
                }
            }
        }
    }
}

/// Parses one whole message at the beginning of a buffer, and takes it from there.
pub(super) fn parse(kind: u8, buffer: &mut BytesMut) -> Result<Message, ReplicationError> {
    let unexpected = |found| ReplicationError::Unexpected { expected: "a well-formed message", found };
    match Message::parse(buffer) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(unexpected(format!("a part of a message of type 0x{kind:02X}"))),
        Err(error) => Err(unexpected(format!("a message of type 0x{kind:02X}: {error}"))),
    }
}

/// Makes an error of an ErrorResponse.
pub(super) fn server_error(fields: backend::ErrorFields<'_>) -> ReplicationError {
    match ServerError::from_fields(fields) {
        Ok(error) => ReplicationError::Server(Box::new(error)),
        Err(error) => {
            ReplicationError::Unexpected { expected: "a well-formed ErrorResponse", found: error.to_string() }
        }
    }
}

/// Logs what the server says beside its answers.
pub(super) fn log_notice(fields: backend::ErrorFields<'_>) {
    match ServerError::from_fields(fields) {
        Ok(notice) => tracing::debug!(%notice, "notice from the server"),
        Err(error) => tracing::debug!(%error, "notice from the server that cannot be read"),
    }
}
