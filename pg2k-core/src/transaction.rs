//! Gathers the payloads of a transaction from its BEGIN to its COMMIT, as bytes, within a bound.
//!
//! Payloads come from the [`source`](crate::postgres::stream), whole transactions go to the
//! [`pipeline`](crate::pipeline). test_decoding tells a transaction's end LSN and commit time only at its COMMIT, and every
//! change must carry them: nothing of a transaction goes on before its COMMIT is here.
//!
//! A transaction that outgrows the bound is read twice. The first reading keeps only what its COMMIT says. Before the second,
//! the reader is told what it is [looking for](Assembler::look_for); from then on each payload of that transaction goes on as
//! it arrives, since its header is known.

use pg2k_abi::{Lsn, Timestamp};

use crate::decode::{DecodeError, Decoder, Event};

/// What a transaction's COMMIT says of it.
///
/// A message outside of transactions is like a transaction of one change, of which nothing but the end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its number.
    pub(crate) xid: Option<u32>,
    /// The byte after its commit record, or after the message's.
    pub(crate) end_lsn: Lsn,
    /// When it was committed.
    pub(crate) committed_at: Option<Timestamp>,
}

/// What is known after a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The transaction goes on.
    Gathering,
    /// [Payloads](Assembler::payload) are ready; they all belong to this transaction.
    Ready {
        /// The transaction.
        header: Header,
        /// Whether no more of it comes.
        complete: bool,
    },
    /// A transaction that outgrew the bound was committed. Its payloads are gone and have to be read again.
    Outgrown(Header),
}

/// A sequence of payloads that no server sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionError {
    /// A BEGIN inside a transaction, or a change outside of one.
    #[error("expected {expected}, found {found}")]
    OutOfPlace {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// A BEGIN or COMMIT without what the options of START_REPLICATION ask for.
    #[error("expected {expected} in {found}, found none")]
    Incomplete {
        /// What is missing.
        expected: &'static str,
        /// Where.
        found: &'static str,
    },
    /// A COMMIT that is not the one of the transaction's BEGIN, or not the one of its first reading.
    #[error("expected the commit of transaction {expected}, found that of {found}")]
    Mismatch {
        /// The transaction that is open.
        expected: String,
        /// What the COMMIT says.
        found: String,
    },
    /// A BEGIN, a COMMIT or a message that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between transactions.
    Outside,
    /// Inside a transaction; payloads are kept.
    Gathering { xid: u32 },
    /// Inside a transaction that outgrew the bound; payloads are dropped.
    Outgrown { xid: u32 },
    /// Inside a transaction whose header is known; each payload is ready at once.
    Through(Header),
}

/// Gathers one transaction at a time.
#[derive(Debug)]
pub(crate) struct Assembler {
    state: State,
    /// The payloads, one after another.
    bytes: Vec<u8>,
    /// Where each payload ends in `bytes`.
    ends: Vec<usize>,
    /// What `bytes` and `ends` may take together.
    limit: usize,
    /// The transaction that outgrew the bound, until it has been read again.
    looked_for: Option<Header>,
}

/// Memory that a small transaction leaves in place for the next one.
const KEPT: usize = 1 << 20;

impl Assembler {
    /// Keeps at most `limit` bytes of one transaction.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: State::Outside, bytes: Vec::new(), ends: Vec::new(), limit, looked_for: None }
    }

    /// Forgets the open transaction: the source reads again from an earlier place.
    pub(crate) fn restart(&mut self) {
        self.state = State::Outside;
        self.clear();
    }

    /// Lets the payloads of this transaction through one by one when it is read again.
    pub(crate) fn look_for(&mut self, header: Header) {
        self.looked_for = Some(header);
    }

    /// Whether a transaction has begun and its COMMIT is not here.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Outside
    }

    /// Takes the next payload, whose LSN is `lsn`. What was [`Ready`](Progress::Ready) before must have been
    /// [cleared](Self::clear).
    ///
    /// # Errors
    ///
    /// A payload out of place. Changes themselves are not looked at here.
    pub(crate) fn push(&mut self, lsn: Lsn, payload: &[u8]) -> Result<Progress, TransactionError> {
        match payload.first() {
            Some(b'B') => self.begin(payload),
            Some(b'C') => self.commit(lsn, payload),
            Some(b'm') if self.state == State::Outside => self.message(lsn, payload),
            _ => self.change(payload),
        }
    }

    /// The payload of this number among those that are ready.
    #[must_use]
    pub(crate) fn payload(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(begin..end)
    }

    /// Forgets the payloads that are ready; the memory of a large transaction is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.shrink_to(KEPT);
        self.ends.shrink_to(KEPT / size_of::<usize>());
    }

    fn begin(&mut self, payload: &[u8]) -> Result<Progress, TransactionError> {
        if self.is_open() {
            return Err(TransactionError::OutOfPlace { expected: "a change or COMMIT", found: "BEGIN" });
        }
        let Event::Begin { xid } = Decoder::default().decode(payload)? else {
            return Err(TransactionError::OutOfPlace { expected: "BEGIN", found: "another payload" });
        };
        let xid = xid.ok_or(TransactionError::Incomplete { expected: "a transaction number", found: "BEGIN" })?;
        self.state = match self.looked_for {
            Some(header) if header.xid == Some(xid) => State::Through(header),
            _ => State::Gathering { xid },
        };
        Ok(Progress::Gathering)
    }

    fn commit(&mut self, lsn: Lsn, payload: &[u8]) -> Result<Progress, TransactionError> {
        let Event::Commit { xid, at } = Decoder::default().decode(payload)? else {
            return Err(TransactionError::OutOfPlace { expected: "COMMIT", found: "another payload" });
        };
        let xid = xid.ok_or(TransactionError::Incomplete { expected: "a transaction number", found: "COMMIT" })?;
        let committed_at = at.ok_or(TransactionError::Incomplete { expected: "a commit time", found: "COMMIT" })?;
        let header = Header { xid: Some(xid), end_lsn: lsn, committed_at: Some(committed_at) };
        let (begun, outgrown) = match self.state {
            State::Outside => return Err(TransactionError::OutOfPlace { expected: "BEGIN", found: "COMMIT" }),
            State::Gathering { xid } => (xid, false),
            State::Outgrown { xid } => (xid, true),
            State::Through(known) if known != header => {
                return Err(TransactionError::Mismatch {
                    expected: format!("{known:?}"),
                    found: format!("{header:?}"),
                });
            }
            State::Through(_) => {
                self.looked_for = None;
                (xid, false)
            }
        };
        if begun != xid {
            return Err(TransactionError::Mismatch { expected: begun.to_string(), found: xid.to_string() });
        }
        self.state = State::Outside;
        Ok(if outgrown { Progress::Outgrown(header) } else { Progress::Ready { header, complete: true } })
    }

    /// Takes a message outside of transactions. Whether it is one is looked at here, and the rest of it later, as for changes.
    fn message(&mut self, lsn: Lsn, payload: &[u8]) -> Result<Progress, TransactionError> {
        if payload.starts_with(b"message: transactional: 1") {
            return Err(TransactionError::OutOfPlace { expected: "BEGIN", found: "a transactional message" });
        }
        self.keep(payload);
        let header = Header { xid: None, end_lsn: lsn, committed_at: None };
        Ok(Progress::Ready { header, complete: true })
    }

    fn change(&mut self, payload: &[u8]) -> Result<Progress, TransactionError> {
        match self.state {
            State::Outside => Err(TransactionError::OutOfPlace { expected: "BEGIN", found: "a change" }),
            State::Outgrown { .. } => Ok(Progress::Gathering),
            State::Through(header) => {
                self.keep(payload);
                Ok(Progress::Ready { header, complete: false })
            }
            State::Gathering { xid } => {
                let room = self.limit.saturating_sub(self.bytes.len() + (self.ends.len() + 1) * size_of::<usize>());
                if payload.len() > room {
                    self.clear();
                    self.state = State::Outgrown { xid };
                } else {
                    self.keep(payload);
                }
                Ok(Progress::Gathering)
            }
        }
    }

    fn keep(&mut self, payload: &[u8]) {
        // Doubling, but never past the limit: a vector left to itself would take up to twice as much.
        let needed = self.bytes.len() + payload.len();
        if needed > self.bytes.capacity() {
            let capacity = (self.bytes.capacity() * 2).clamp(needed, needed.max(self.limit));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &[u8] = b"COMMIT 7 (at 2026-11-21 08:43:23+00)";

    fn header(end_lsn: u64) -> Header {
        let committed_at = Timestamp::from_utc((2026, 11, 21), (8, 43, 23), 0).expect("a date");
        Header { xid: Some(7), end_lsn: Lsn::new(end_lsn), committed_at: Some(committed_at) }
    }

    fn push(assembler: &mut Assembler, lsn: u64, payload: &[u8]) -> Progress {
        assembler.push(Lsn::new(lsn), payload).expect("a payload in its place")
    }

    fn payloads(assembler: &Assembler) -> Vec<&[u8]> {
        (0..).map_while(|number| assembler.payload(number)).collect()
    }

    #[test]
    fn a_transaction_is_ready_at_its_commit() {
        let mut assembler = Assembler::new(1_000);
        for round in [100, 200] {
            assert_eq!(push(&mut assembler, 1, b"BEGIN 7"), Progress::Gathering);
            assert!(assembler.is_open());
            assert_eq!(push(&mut assembler, 2, b"table a"), Progress::Gathering);
            assert_eq!(push(&mut assembler, 2, b"table bc"), Progress::Gathering);
            assert_eq!(push(&mut assembler, round, COMMIT), Progress::Ready { header: header(round), complete: true });
            assert!(!assembler.is_open());
            assert_eq!(payloads(&assembler), [&b"table a"[..], b"table bc"]);
            assembler.clear();
            assert_eq!(payloads(&assembler), [&b""[..]; 0]);
        }
    }

    #[test]
    fn one_that_outgrows_the_bound_is_let_through_at_its_second_reading() {
        let mut assembler = Assembler::new(100);
        push(&mut assembler, 1, b"BEGIN 7");
        for _ in 0..10 {
            assert_eq!(push(&mut assembler, 2, b"table and thirteen"), Progress::Gathering);
            assert!(assembler.bytes.len() + assembler.ends.len() * size_of::<usize>() <= 100);
        }
        assert_eq!(push(&mut assembler, 50, COMMIT), Progress::Outgrown(header(50)));
        assembler.look_for(header(50));
        assembler.restart();
        push(&mut assembler, 0, b"BEGIN 6");
        push(&mut assembler, 1, b"table x");
        let other = push(&mut assembler, 2, b"COMMIT 6 (at 2026-11-21 08:43:23+00)");
        assert!(matches!(other, Progress::Ready { complete: true, .. }));
        assembler.clear();
        push(&mut assembler, 1, b"BEGIN 7");
        for _ in 0..10 {
            let ready = push(&mut assembler, 2, b"table and thirteen");
            assert_eq!(ready, Progress::Ready { header: header(50), complete: false });
            assert_eq!(payloads(&assembler), [b"table and thirteen"]);
            assembler.clear();
        }
        assert_eq!(push(&mut assembler, 50, COMMIT), Progress::Ready { header: header(50), complete: true });
        assert_eq!(payloads(&assembler), [&b""[..]; 0]);
    }

    #[test]
    fn memory_stays_within_the_bound_and_is_given_back() {
        let limit = 8 << 20;
        let mut assembler = Assembler::new(limit);
        push(&mut assembler, 1, b"BEGIN 7");
        let payload = [b't'; 5_000];
        while assembler.state == (State::Gathering { xid: 7 }) {
            push(&mut assembler, 2, &payload);
            assert!(assembler.bytes.capacity() <= limit);
        }
        assert!(assembler.bytes.capacity() <= KEPT);
    }

    #[test]
    fn a_message_outside_a_transaction_stands_alone() {
        let mut assembler = Assembler::new(1_000);
        let message = b"message: transactional: 0 prefix: p, sz: 1 content:x";
        let header = Header { xid: None, end_lsn: Lsn::new(9), committed_at: None };
        assert_eq!(push(&mut assembler, 9, message), Progress::Ready { header, complete: true });
        assert_eq!(payloads(&assembler), [message]);
        assembler.clear();
        push(&mut assembler, 1, b"BEGIN 7");
        assert_eq!(push(&mut assembler, 1, message), Progress::Gathering);
    }

    #[test]
    fn what_no_server_sends() {
        let mut assembler = Assembler::new(1_000);
        let message = b"message: transactional: 1 prefix: p, sz: 1 content:x";
        for payload in [&b"table"[..], COMMIT, b"BEGIN", b"BEGIN x", message] {
            assert!(assembler.push(Lsn::ZERO, payload).is_err(), "{}", String::from_utf8_lossy(payload));
        }
        push(&mut assembler, 1, b"BEGIN 7");
        for payload in [&b"BEGIN 8"[..], b"COMMIT 8 (at 2026-11-21 08:43:23+00)", b"COMMIT 7", b"COMMIT"] {
            assert!(assembler.push(Lsn::ZERO, payload).is_err(), "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn a_second_reading_that_differs_is_refused() {
        let mut assembler = Assembler::new(1_000);
        assembler.look_for(header(50));
        push(&mut assembler, 1, b"BEGIN 7");
        assert!(matches!(assembler.push(Lsn::new(51), COMMIT), Err(TransactionError::Mismatch { .. })));
    }
}
