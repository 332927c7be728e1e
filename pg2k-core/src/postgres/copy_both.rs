//! The replication stream once it runs: a half that reads and a half that confirms.
//!
//! Bytes come from the socket into one buffer and leave in it, as chunks of whole messages in the order in which they
//! were sent; payloads are not copied. The other way go status updates. Everything that came before an error or the
//! end of the stream is handed over before the error is.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BytesMut};
use pg2k_abi::Lsn;
use postgres_protocol::message::backend::Message as BackendMessage;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::channel::{ReplicationError, Reply, log_notice, parse, server_error};
use super::connect::Socket;
use super::wire::{self, CopyMessage, DATA_HEADER, Framing, StatusUpdate};

/// The size that a buffer starts with, in bytes. A walsender fills it in about a millisecond at its fastest.
const BUFFER: usize = 256 << 10;

/// The least room for a read, in bytes.
const MIN_READ: usize = 64 << 10;

/// The largest buffer that is kept for reuse, in bytes: one huge row shall not hold its memory for ever.
const MAX_KEPT: usize = 1 << 20;

/// How many buffers are kept for reuse.
const MAX_SPARE: usize = 4;

/// How long the server may take to close the connection once it is told to. It decodes to the next WAL record first.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two reads of [`MIN_READ`] bytes or more while the server is to hang up: slower than it sends. Amid a
/// transaction a walsender looks at what we say only once its own sending is stuck (WalSndWriteData,
/// src/backend/replication/walsender.c), and who reads eagerly gets the whole transaction first.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// From 1970-01-01, the system's epoch, to 2000-01-01, PostgreSQL's.
const POSTGRES_EPOCH: Duration = Duration::from_secs(946_684_800);

/// Whole messages of the stream, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// What the ranges point into.
    pub(crate) bytes: Vec<u8>,
    /// The messages, in the order in which they were sent. Never empty when it comes from [`ReplicationReader::read`].
    pub(crate) messages: Vec<Message>,
}

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A payload of the output plugin.
    Data {
        /// Where it belongs; at a COMMIT, the transaction's end LSN.
        lsn: Lsn,
        /// Where it is in the chunk's bytes.
        range: Range<usize>,
    },
    /// The server is alive, and there is nothing to decode before this.
    Keepalive {
        /// How far the server has read.
        wal_end: Lsn,
        /// Whether it wants a status update at once.
        reply_requested: bool,
    },
}

impl Chunk {
    /// The payload of a [`Message::Data`] of this chunk.
    pub(crate) fn payload(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// The half that reads.
pub(crate) struct ReplicationReader {
    socket: ReadHalf<Socket>,
    inbox: Inbox,
}

/// The half that confirms.
pub(crate) struct ReplicationWriter {
    socket: WriteHalf<Socket>,
    outbox: BytesMut,
}

/// Takes over a connection on which the stream has begun. `received` is what came after the message that said so.
pub(super) fn split(socket: Socket, received: &[u8]) -> (ReplicationReader, ReplicationWriter) {
    let (read, write) = tokio::io::split(socket);
    let mut inbox = Inbox::default();
    inbox.buffer.extend_from_slice(received);
    (ReplicationReader { socket: read, inbox }, ReplicationWriter { socket: write, outbox: BytesMut::new() })
}

impl ReplicationReader {
    /// Waits for the next messages and gives all that have arrived. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Fails where the connection is lost, the server reports an error or ends the stream
    /// ([`ReplicationError::Ended`]), or the bytes are not the protocol's; each time after everything before it was
    /// given.
    pub(crate) async fn read(&mut self) -> Result<Chunk, ReplicationError> {
        loop {
            if let Some(chunk) = self.inbox.take_chunk()? {
                return Ok(chunk);
            }
            self.inbox.make_room();
            match self.socket.read_buf(&mut self.inbox.buffer).await {
                Ok(0) => return Err(ReplicationError::Closed),
                Ok(_) => {}
                Err(error) => return Err(ReplicationError::Lost(error)),
            }
        }
    }

    /// Takes back a chunk that nobody needs any more, so that its memory is used again.
    pub(crate) fn recycle(&mut self, chunk: Chunk) {
        self.inbox.recycle(chunk);
    }
}

impl ReplicationWriter {
    /// Sends a status update: everything before `confirmed` may be forgotten.
    ///
    /// Cancel-safe: what is sent in part is completed by the next call.
    ///
    /// # Errors
    ///
    /// Fails where the connection is lost.
    pub(crate) async fn status(&mut self, confirmed: Lsn, reply_requested: bool) -> Result<(), ReplicationError> {
        // Before the new one is composed, so that calls that are cancelled over and over do not pile updates up.
        self.send().await?;
        StatusUpdate {
            written: confirmed,
            flushed: confirmed,
            applied: confirmed,
            sent: microseconds_since_2000(SystemTime::now()),
            reply_requested,
        }
        .encode(&mut self.outbox);
        self.send().await
    }

    /// Ends the stream and closes the connection, after the server has processed every status update sent before.
    ///
    /// Needs the other half, to wait until the server hangs up: closing a socket with unread data in it may take the
    /// last status update with it. When this returns in time the slot is free for the next connection.
    ///
    /// # Errors
    ///
    /// Fails where the connection is lost before the server was told, or the server did not hang up in time; the last
    /// status update may then be lost, which costs duplicates and nothing else.
    pub(crate) async fn finish(mut self, reader: ReplicationReader) -> Result<(), ReplicationError> {
        // No CopyDone before it: after that a walsender reads nothing until the transaction that it is sending is sent.
        frontend::terminate(&mut self.outbox);
        let ReplicationReader { socket: mut read, inbox: Inbox { mut buffer, .. } } = reader;
        let drain = async {
            loop {
                buffer.clear();
                buffer.reserve(MIN_READ);
                if matches!(read.read_buf(&mut buffer).await, Ok(0) | Err(_)) {
                    return;
                }
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
        };
        let hang_up = async { tokio::join!(self.send(), drain).0 };
        match tokio::time::timeout(FINISH_TIMEOUT, hang_up).await {
            Ok(result) => result,
            Err(elapsed) => Err(ReplicationError::Lost(elapsed.into())),
        }
    }

    async fn send(&mut self) -> Result<(), ReplicationError> {
        while self.outbox.has_remaining() {
            self.socket.write_buf(&mut self.outbox).await.map_err(ReplicationError::Lost)?;
        }
        self.socket.flush().await.map_err(ReplicationError::Lost)
    }
}

/// The server only shows this time; a clock before 2000 is shown as 2000.
fn microseconds_since_2000(now: SystemTime) -> i64 {
    now.duration_since(SystemTime::UNIX_EPOCH + POSTGRES_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_micros()).ok())
        .unwrap_or(0)
}

/// What was read and not yet handed over.
#[derive(Default)]
struct Inbox {
    buffer: Vec<u8>,
    spare: Vec<Chunk>,
}

impl Inbox {
    /// Hands over the buffer, if it begins with at least one whole message. What follows the whole ones is copied to
    /// the next buffer.
    fn take_chunk(&mut self) -> Result<Option<Chunk>, ReplicationError> {
        let mut messages = self.spare.last_mut().map(|chunk| std::mem::take(&mut chunk.messages)).unwrap_or_default();
        let mut end = 0;
        loop {
            let rest = self.buffer.get(end..).unwrap_or_default();
            match next(rest, end) {
                Ok(Next::Message { message, length }) => {
                    messages.push(message);
                    end += length;
                }
                Ok(Next::Aside { length }) => end += length,
                Ok(Next::Partial) => break,
                // Left in the buffer, and found again once what came before it is handed over.
                Err(_) if !messages.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        if messages.is_empty() {
            self.buffer.drain(..end);
            if let Some(chunk) = self.spare.last_mut() {
                chunk.messages = messages;
            }
            return Ok(None);
        }
        let tail = self.buffer.get(end..).unwrap_or_default();
        let mut next = self.spare.pop().unwrap_or_default().bytes;
        next.reserve(BUFFER.max(tail.len()));
        next.extend_from_slice(tail);
        let mut bytes = std::mem::replace(&mut self.buffer, next);
        bytes.truncate(end);
        Ok(Some(Chunk { bytes, messages }))
    }

    /// Makes room for a read. Grows only when full, and then to the double: never more than twice what the server
    /// really sent.
    fn make_room(&mut self) {
        if self.buffer.capacity() - self.buffer.len() < MIN_READ {
            self.buffer.reserve(BUFFER.max(self.buffer.len()));
        }
    }

    fn recycle(&mut self, mut chunk: Chunk) {
        if self.spare.len() < MAX_SPARE && chunk.bytes.capacity() <= MAX_KEPT {
            chunk.bytes.clear();
            chunk.messages.clear();
            self.spare.push(chunk);
        }
    }
}

enum Next {
    Message {
        message: Message,
        length: usize,
    },
    /// Nothing that belongs to the stream.
    Aside {
        length: usize,
    },
    Partial,
}

/// Reads the first message of `bytes`, which begin at `offset` of the buffer.
fn next(bytes: &[u8], offset: usize) -> Result<Next, ReplicationError> {
    let (kind, body) = match wire::frame(bytes).map_err(ReplicationError::Wire)? {
        Framing::Complete { kind, body } => (kind, body),
        Framing::Partial { .. } => return Ok(Next::Partial),
    };
    let length = body.end;
    if kind != b'd' {
        let mut frame = BytesMut::from(bytes.get(..length).unwrap_or_default());
        return aside(parse(kind, &mut frame)?).map(|()| Next::Aside { length });
    }
    let range = offset + body.start + DATA_HEADER..offset + body.end;
    let body = bytes.get(body).unwrap_or_default();
    let message = match CopyMessage::parse(body).map_err(ReplicationError::Wire)? {
        CopyMessage::Data { start, .. } => Message::Data { lsn: start, range },
        CopyMessage::Keepalive { wal_end, reply_requested, .. } => Message::Keepalive { wal_end, reply_requested },
    };
    Ok(Next::Message { message, length })
}

fn aside(message: BackendMessage) -> Result<(), ReplicationError> {
    match message {
        BackendMessage::NoticeResponse(body) => {
            log_notice(body.fields());
            Ok(())
        }
        BackendMessage::ParameterStatus(_) | BackendMessage::NotificationResponse(_) => Ok(()),
        BackendMessage::ErrorResponse(body) => Err(server_error(body.fields())),
        // A server that shuts down sends CommandComplete without CopyDone (WalSndDone,
        // src/backend/replication/walsender.c).
        BackendMessage::CopyDone | BackendMessage::CommandComplete(_) => Err(ReplicationError::Ended),
        other => Err(Reply::Message(other).unexpected("a message of the stream")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{BUFFER, Chunk, Inbox, MAX_KEPT, Message, ReplicationError, microseconds_since_2000};

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    fn data(lsn: u64, payload: &[u8]) -> Vec<u8> {
        frame(b'd', &[b"w", &lsn.to_be_bytes()[..], &lsn.to_be_bytes(), &[0; 8], payload].concat())
    }

    fn keepalive(lsn: u64) -> Vec<u8> {
        frame(b'd', &[b"k", &lsn.to_be_bytes()[..], &[0; 8], &[1]].concat())
    }

    /// An LSN, and the payload if it has one.
    type Seen = (u64, Option<Vec<u8>>);

    /// Everything that an inbox gives for these bytes, in pieces of one size.
    fn drain(bytes: &[u8], piece: usize) -> (Vec<Seen>, Option<ReplicationError>) {
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece) {
            inbox.make_room();
            inbox.buffer.extend_from_slice(piece);
            loop {
                match inbox.take_chunk() {
                    Ok(None) => break,
                    Err(error) => return (seen, Some(error)),
                    Ok(Some(chunk)) => {
                        seen.extend(chunk.messages.iter().map(|message| match message {
                            Message::Data { lsn, range } => (lsn.as_u64(), Some(chunk.payload(range).to_vec())),
                            Message::Keepalive { wal_end, .. } => (wal_end.as_u64(), None),
                        }));
                        inbox.recycle(chunk);
                    }
                }
            }
        }
        assert_eq!(inbox.buffer.len(), 0);
        (seen, None)
    }

    #[test]
    fn the_pieces_in_which_bytes_arrive_make_no_difference() {
        let notice = frame(b'N', b"VNOTICE\0C00000\0Mhello\0\0");
        let bytes = [data(1, b"BEGIN 7"), notice, keepalive(2), data(3, b""), data(4, &[9; 3000])].concat();
        let expected = vec![(1, Some(b"BEGIN 7".to_vec())), (2, None), (3, Some(Vec::new())), (4, Some(vec![9; 3000]))];
        for piece in [1, 2, 3, 7, 30, 64, 1000, bytes.len()] {
            let (seen, error) = drain(&bytes, piece);
            assert_eq!(seen, expected, "pieces of {piece}");
            assert!(error.is_none());
        }
    }

    #[test]
    fn what_came_before_an_error_is_given_first() {
        let error = frame(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating\0\0");
        let bytes = [data(1, b"x"), keepalive(2), error].concat();
        let mut inbox = Inbox { buffer: bytes, ..Inbox::default() };
        let chunk = inbox.take_chunk().unwrap().unwrap();
        assert_eq!(chunk.messages.len(), 2);
        let Err(ReplicationError::Server(error)) = inbox.take_chunk() else { panic!("expected the server's error") };
        assert_eq!(error.to_string(), "FATAL 57P01: terminating");
    }

    #[test]
    fn the_end_of_the_stream_is_told_from_nonsense() {
        for end in [frame(b'c', b""), frame(b'C', b"COPY 0\0")] {
            assert!(matches!(drain(&end, 100).1, Some(ReplicationError::Ended)));
        }
        assert!(matches!(drain(&frame(b'Z', b"I"), 100).1, Some(ReplicationError::Unexpected { .. })));
        assert!(matches!(drain(&frame(b'?', b""), 100).1, Some(ReplicationError::Unexpected { .. })));
        assert!(matches!(drain(b"d\0\0\0\x01", 100).1, Some(ReplicationError::Wire(_))));
        assert!(matches!(drain(&frame(b'd', b"k1"), 100).1, Some(ReplicationError::Wire(_))));
    }

    #[test]
    fn buffers_are_used_again_unless_they_are_huge() {
        let mut inbox = Inbox { buffer: data(1, b"x"), ..Inbox::default() };
        let chunk = inbox.take_chunk().unwrap().unwrap();
        assert!(inbox.buffer.capacity() >= BUFFER);
        inbox.recycle(chunk);
        inbox.recycle(Chunk { bytes: Vec::with_capacity(MAX_KEPT + 1), messages: Vec::new() });
        assert_eq!(inbox.spare.len(), 1);
        for _ in 0..10 {
            inbox.recycle(Chunk::default());
        }
        assert_eq!(inbox.spare.len(), super::MAX_SPARE);
    }

    #[test]
    fn time_counts_from_2000() {
        let at = |seconds| microseconds_since_2000(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(946_684_801), 1_000_000);
        assert_eq!(at(0), 0);
    }

    #[test]
    fn payload_of_another_chunk_is_empty() {
        assert_eq!(Chunk::default().payload(&(3..9)), b"");
    }
}
