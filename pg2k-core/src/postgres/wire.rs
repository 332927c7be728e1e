//! The bytes of the streaming replication protocol.
//!
//! Bytes come in from the replication connection and leave as typed messages that borrow them; one message, the
//! status update, goes the other way. Nothing here reads a socket or a clock. A length or a byte that does not fit is
//! an error, trailing bytes included.

use std::fmt;
use std::ops::Range;

use bytes::{BufMut as _, BytesMut};
use pg2k_abi::Lsn;

/// The most bytes that one message of the server may have, header included.
///
/// PostgreSQL composes a message in a `StringInfo`, which holds less than 1 GiB (`MaxAllocSize`,
/// src/include/utils/memutils.h); the rest is slack. Whoever claims more is not a PostgreSQL server.
pub(crate) const MAX_MESSAGE: usize = (1 << 30) + (1 << 16);

/// Bytes before every message's body: its type, then its length as an i32 that counts itself and the body
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
pub(crate) const HEADER: usize = 5;

/// Bytes of an XLogData message before its payload: `w`, its LSN, the server's end of WAL, and the time sent.
pub(crate) const DATA_HEADER: usize = 25;

/// Bytes of a keepalive after its `k`: the end of WAL, the time sent, and whether a reply is requested.
const KEEPALIVE: usize = 17;

/// Bytes of a CopyData message that carries a status update, header included.
#[cfg(test)]
const STATUS_FRAME: usize = 39;

/// Bytes that break the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A message is shorter or longer than its kind is.
    #[error("{message}{at}: expected {expected} bytes, found {found}")]
    Length {
        /// The kind of message.
        message: &'static str,
        /// Its LSN, where it was long enough to have one.
        at: At,
        /// Bytes after the byte that tells its kind.
        expected: usize,
        /// Bytes after the byte that tells its kind.
        found: usize,
    },
    /// A byte that has two meanings had another value.
    #[error("keepalive{at}: expected reply-requested 0 or 1, found {found}")]
    ReplyRequested {
        /// The end of WAL that the keepalive gives.
        at: At,
        /// The byte.
        found: u8,
    },
    /// A copy message of a kind that a replication stream does not have.
    #[error("replication message: expected kind 0x77 or 0x6B, found {}", Kind(*found))]
    Kind {
        /// The first byte, or nothing where there is none.
        found: Option<u8>,
    },
    /// A header with a length that cannot be.
    #[error("message of type 0x{kind:02X}: expected a length from 4 to {MAX_MESSAGE}, found {found}")]
    Frame {
        /// The message's type.
        kind: u8,
        /// The length, as it stands in the header.
        found: i32,
    },
}

/// Where a message stands, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Option<Lsn>);

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |lsn| write!(formatter, " at {lsn}"))
    }
}

struct Kind(Option<u8>);

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kind) => write!(formatter, "0x{kind:02X}"),
            None => formatter.write_str("an empty message"),
        }
    }
}

/// What stands at the beginning of a buffer of the server's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A whole message.
    Complete {
        /// Its type.
        kind: u8,
        /// Where in the buffer its body is.
        body: Range<usize>,
    },
    /// A part of one, which has at least this many bytes in all.
    Partial {
        /// Bytes, counted from the beginning of the buffer.
        total: usize,
    },
}

/// Looks at the beginning of a buffer of the server's messages.
///
/// # Errors
///
/// Fails where the length is under 4, or makes the message longer than [`MAX_MESSAGE`].
pub(crate) fn frame(bytes: &[u8]) -> Result<Framing, WireError> {
    let mut cursor = Cursor(bytes);
    let (Some([kind]), Some(length)) = (cursor.take::<1>(), cursor.take::<4>()) else {
        return Ok(Framing::Partial { total: HEADER });
    };
    let found = i32::from_be_bytes(length);
    let total = usize::try_from(found)
        .ok()
        .filter(|length| *length >= 4)
        .map(|length| length + 1)
        .filter(|total| *total <= MAX_MESSAGE)
        .ok_or(WireError::Frame { kind, found })?;
    if bytes.len() < total {
        return Ok(Framing::Partial { total });
    }
    Ok(Framing::Complete { kind, body: HEADER..total })
}

/// A message inside CopyData, from the server
/// (<https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopyMessage<'a> {
    /// XLogData: one payload of the output plugin.
    Data {
        /// Where in the WAL the payload belongs; at a COMMIT, the transaction's end LSN.
        start: Lsn,
        /// The end of WAL that the server gives; for a logical slot, the same again.
        end: Lsn,
        /// When it was sent, in microseconds since 2000-01-01 00:00 UTC.
        sent: i64,
        /// What the output plugin wrote.
        payload: &'a [u8],
    },
    /// A primary keepalive message.
    Keepalive {
        /// How far the server has read, or the end of WAL.
        wal_end: Lsn,
        /// When it was sent, in microseconds since 2000-01-01 00:00 UTC.
        sent: i64,
        /// Whether the server asks for a status update at once.
        reply_requested: bool,
    },
}

impl<'a> CopyMessage<'a> {
    /// Reads the body of a CopyData message.
    ///
    /// # Errors
    ///
    /// Fails at any other kind, length or flag.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        match body.split_first() {
            Some((b'w', rest)) => Self::data(rest),
            Some((b'k', rest)) => Self::keepalive(rest),
            other => Err(WireError::Kind { found: other.map(|(kind, _)| *kind) }),
        }
    }

    fn data(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(bytes);
        let start = cursor.lsn();
        match (start, cursor.lsn(), cursor.i64()) {
            (Some(start), Some(end), Some(sent)) => Ok(Self::Data { start, end, sent, payload: cursor.0 }),
            _ => Err(WireError::Length {
                message: "data message",
                at: At(start),
                expected: DATA_HEADER - 1,
                found: bytes.len(),
            }),
        }
    }

    fn keepalive(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor(bytes);
        let wal_end = cursor.lsn();
        match (wal_end, cursor.i64(), cursor.take::<1>(), cursor.0) {
            (Some(wal_end), Some(sent), Some([flag @ (0 | 1)]), []) => {
                Ok(Self::Keepalive { wal_end, sent, reply_requested: flag == 1 })
            }
            (at, Some(_), Some([found]), []) => Err(WireError::ReplyRequested { at: At(at), found }),
            (at, ..) => {
                Err(WireError::Length { message: "keepalive", at: At(at), expected: KEEPALIVE, found: bytes.len() })
            }
        }
    }
}

/// The standby status update: how far we are, from us to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusUpdate {
    /// Received. The server only shows it, in `pg_stat_replication`.
    pub(crate) written: Lsn,
    /// Safe to forget: this is what moves the slot's `confirmed_flush_lsn`.
    pub(crate) flushed: Lsn,
    /// Applied. The server only shows it.
    pub(crate) applied: Lsn,
    /// The time, in microseconds since 2000-01-01 00:00 UTC.
    pub(crate) sent: i64,
    /// Whether the server is asked to answer with a keepalive at once.
    pub(crate) reply_requested: bool,
}

impl StatusUpdate {
    /// Appends the whole CopyData message, header included.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'd');
        out.put_i32(38); // 4 of the length itself, 34 of the status update
        out.put_u8(b'r');
        out.put_u64(self.written.as_u64());
        out.put_u64(self.flushed.as_u64());
        out.put_u64(self.applied.as_u64());
        out.put_i64(self.sent);
        out.put_u8(u8::from(self.reply_requested));
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn lsn(&mut self) -> Option<Lsn> {
        self.take().map(u64::from_be_bytes).map(Lsn::new)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use pg2k_abi::Lsn;

    use super::{CopyMessage, Framing, HEADER, MAX_MESSAGE, STATUS_FRAME, StatusUpdate, frame};

    const LSN: [u8; 8] = [0, 0, 0, 0, 0x01, 0x6B, 0x37, 0x48];

    fn keepalive(flag: u8) -> Vec<u8> {
        [b"k".as_slice(), &LSN, &5_i64.to_be_bytes(), &[flag]].concat()
    }

    #[test]
    fn data_borrows_its_payload() {
        let end = 0x1_0000_0002_u64;
        let bytes = [b"w".as_slice(), &LSN, &end.to_be_bytes(), &(-7_i64).to_be_bytes(), b"BEGIN 7"].concat();
        let expected =
            CopyMessage::Data { start: Lsn::new(0x16B_3748), end: Lsn::new(end), sent: -7, payload: b"BEGIN 7" };
        assert_eq!(CopyMessage::parse(&bytes), Ok(expected));
        let error = CopyMessage::parse(&bytes[..20]).unwrap_err().to_string();
        assert_eq!(error, "data message at 0/16B3748: expected 24 bytes, found 19");
        let error = CopyMessage::parse(&bytes[..5]).unwrap_err().to_string();
        assert_eq!(error, "data message: expected 24 bytes, found 4");
    }

    #[test]
    fn keepalive_is_exactly_as_long_as_it_is() {
        for (flag, reply_requested) in [(0, false), (1, true)] {
            let expected = CopyMessage::Keepalive { wal_end: Lsn::new(0x16B_3748), sent: 5, reply_requested };
            assert_eq!(CopyMessage::parse(&keepalive(flag)), Ok(expected));
        }
        let error = |bytes: &[u8]| CopyMessage::parse(bytes).unwrap_err().to_string();
        assert_eq!(error(&keepalive(1)[..13]), "keepalive at 0/16B3748: expected 17 bytes, found 12");
        assert_eq!(error(b"k12"), "keepalive: expected 17 bytes, found 2");
        let trailing = [keepalive(1), vec![0]].concat();
        assert_eq!(error(&trailing), "keepalive at 0/16B3748: expected 17 bytes, found 18");
        assert_eq!(error(&keepalive(9)), "keepalive at 0/16B3748: expected reply-requested 0 or 1, found 9");
    }

    #[test]
    fn other_kinds_are_errors() {
        let error = |bytes: &[u8]| CopyMessage::parse(bytes).unwrap_err().to_string();
        assert_eq!(error(b""), "replication message: expected kind 0x77 or 0x6B, found an empty message");
        assert_eq!(error(b"x1"), "replication message: expected kind 0x77 or 0x6B, found 0x78");
    }

    #[test]
    fn no_cut_of_a_message_panics_or_passes() {
        let whole = keepalive(1);
        for end in 0..whole.len() {
            assert!(CopyMessage::parse(&whole[..end]).is_err());
        }
    }

    #[test]
    fn status_update_bytes() {
        let mut out = BytesMut::new();
        StatusUpdate {
            written: Lsn::new(1),
            flushed: Lsn::new(0x16B_3748),
            applied: Lsn::new(3),
            sent: 0x0102_0304_0506_0708,
            reply_requested: true,
        }
        .encode(&mut out);
        assert_eq!(
            out.as_ref(),
            b"d\0\0\0\x26r\0\0\0\0\0\0\0\x01\0\0\0\0\x01\x6B\x37\x48\0\0\0\0\0\0\0\x03\x01\x02\x03\x04\x05\x06\x07\x08\x01"
        );
        assert_eq!(out.len(), STATUS_FRAME);
        assert!(matches!(frame(&out), Ok(Framing::Complete { kind: b'd', .. })));
    }

    #[test]
    fn frames_are_told_apart() {
        let bytes = b"d\0\0\0\x07abcC\0\0\0\x04";
        let complete = Framing::Complete { kind: b'd', body: 5..8 };
        assert_eq!(frame(bytes), Ok(complete.clone()));
        assert_eq!(frame(&bytes[..8]), Ok(complete));
        assert_eq!(frame(&bytes[8..]), Ok(Framing::Complete { kind: b'C', body: 5..5 }));
        for end in 0..HEADER {
            assert_eq!(frame(&bytes[..end]), Ok(Framing::Partial { total: HEADER }));
        }
        for end in HEADER..8 {
            assert_eq!(frame(&bytes[..end]), Ok(Framing::Partial { total: 8 }));
        }
    }

    #[test]
    fn frame_lengths_have_bounds() {
        let header = |length: i32| [b"d".as_slice(), &length.to_be_bytes()].concat();
        let bound = i32::try_from(MAX_MESSAGE).unwrap();
        for length in [i32::MIN, -1, 0, 3, bound, i32::MAX] {
            let error = frame(&header(length)).unwrap_err().to_string();
            let expected = format!("message of type 0x64: expected a length from 4 to {MAX_MESSAGE}, found {length}");
            assert_eq!(error, expected);
        }
        assert_eq!(frame(&header(bound - 1)), Ok(Framing::Partial { total: MAX_MESSAGE }));
    }
}
