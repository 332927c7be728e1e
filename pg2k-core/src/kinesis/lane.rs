//! An ordered sequence of records with one explicit hash key. One PutRecord is in flight; while it flies, the next fills.
//!
//! Records come from the [`pipeline`](crate::pipeline), requests go to the [`client`](super::client), answers come back. The
//! invariant: a request is followed by the same request until it is acknowledged, and by nothing else. PutRecords would not
//! do: it may store a later record while an earlier one fails.

use std::mem;

use pg2k_abi::Lsn;

use super::SequenceNumber;
use super::aggregate::Aggregate;
use super::retry::{Failure, Remedy};

/// The partition key of every aggregated record. It routes nothing, since there is an explicit hash key.
pub(crate) const PARTITION_KEY: &str = "pg2k";

/// A PutRecord to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PutRequest {
    /// The aggregated record.
    pub(crate) data: Vec<u8>,
    /// A decimal number below 2^128.
    pub(crate) explicit_hash_key: String,
    /// The last number acknowledged on this lane, which the new one will exceed.
    pub(crate) sequence_number_for_ordering: Option<SequenceNumber>,
}

/// What became of a record that was handed to the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in the next aggregate.
    Taken,
    /// There is no room until the aggregate in flight is acknowledged.
    Full,
    /// It can never be sent: an aggregate of this record alone takes more bytes than the stream does.
    TooLarge {
        /// What the record takes, partition key included.
        bytes: usize,
    },
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// More records could still go with it.
    MayWait,
    /// It takes no more: it is full, or it was sent before.
    Now,
}

/// Records that are sent together.
#[derive(Debug)]
struct Batch {
    aggregate: Aggregate,
    /// The end LSNs of the transactions of its first record and of its last.
    oldest: Option<Lsn>,
    newest: Option<Lsn>,
}

#[derive(Debug, PartialEq, Eq)]
enum Flight {
    /// Nothing is in flight; the outgoing batch is empty.
    None,
    /// The outgoing batch waits to be sent, for the first time or again.
    Due,
    /// The outgoing batch was sent.
    Sent,
    /// The outgoing batch failed and waits for its time.
    Pausing,
}

/// One lane.
#[derive(Debug)]
pub(crate) struct Lane {
    explicit_hash_key: String,
    /// What the stream takes for one record, data and partition key together, in bytes.
    max_record_size: usize,
    filling: Batch,
    outgoing: Batch,
    flight: Flight,
    last_acknowledged: Option<SequenceNumber>,
    /// Failures of the outgoing batch in a row.
    failures: u32,
}

impl Lane {
    /// The only lane of a stream: the explicit hash key 0 is always in exactly one shard.
    ///
    /// `max_record_size` is what the stream takes for one record, in bytes.
    #[must_use]
    pub(crate) fn new(max_record_size: usize) -> Self {
        let explicit_hash_key = "0".to_owned();
        let batch = || Batch { aggregate: Aggregate::new(explicit_hash_key.clone()), oldest: None, newest: None };
        Self {
            max_record_size,
            filling: batch(),
            outgoing: batch(),
            flight: Flight::None,
            last_acknowledged: None,
            failures: 0,
            explicit_hash_key,
        }
    }

    /// Adds a record of the transaction that ends at `end_lsn`.
    pub(crate) fn push(&mut self, end_lsn: Lsn, partition_key: &str, data: &[u8]) -> Pushed {
        let aggregate = &mut self.filling.aggregate;
        let bytes = aggregate.size_with(partition_key, data) + PARTITION_KEY.len();
        if bytes <= self.max_record_size {
            aggregate.push(partition_key, data);
            self.filling.oldest.get_or_insert(end_lsn);
            self.filling.newest = Some(end_lsn);
            return Pushed::Taken;
        }
        if aggregate.records() == 0 {
            return Pushed::TooLarge { bytes };
        }
        if self.flight != Flight::None {
            return Pushed::Full;
        }
        self.launch();
        self.push(end_lsn, partition_key, data)
    }

    /// Whether there is a request to be made.
    #[must_use]
    pub(crate) fn wants_request(&self) -> Option<Urgency> {
        match self.flight {
            Flight::Due => Some(Urgency::Now),
            Flight::None if self.filling.aggregate.records() > 0 => Some(Urgency::MayWait),
            Flight::None | Flight::Sent | Flight::Pausing => None,
        }
    }

    /// The request to be made now, if there is one. The lane counts it as made.
    pub(crate) fn next_request(&mut self) -> Option<PutRequest> {
        if self.flight == Flight::None && self.filling.aggregate.records() > 0 {
            self.launch();
        }
        if self.flight != Flight::Due {
            return None;
        }
        self.flight = Flight::Sent;
        Some(PutRequest {
            data: self.outgoing.aggregate.to_bytes(),
            explicit_hash_key: self.explicit_hash_key.clone(),
            sequence_number_for_ordering: self.last_acknowledged.clone(),
        })
    }

    /// The request in flight was stored. Returns how many records it held.
    pub(crate) fn acknowledged(&mut self, number: SequenceNumber) -> usize {
        debug_assert_eq!(self.flight, Flight::Sent);
        let records = self.outgoing.aggregate.records();
        self.outgoing.aggregate.clear();
        (self.outgoing.oldest, self.outgoing.newest) = (None, None);
        self.flight = Flight::None;
        self.failures = 0;
        if let Some(last) = self.last_acknowledged.as_ref().filter(|last| **last >= number) {
            tracing::error!(%number, %last, "Kinesis gave a sequence number that is not above the last one; was the stream made anew?");
        }
        self.last_acknowledged = Some(number);
        records
    }

    /// The request in flight failed, or its outcome is unknown. Returns how many times in a row; the lane waits for
    /// [`retry`](Self::retry).
    pub(crate) fn failed(&mut self, failure: &Failure) -> u32 {
        debug_assert_eq!(self.flight, Flight::Sent);
        if failure.remedy() == Remedy::WithoutOrdering {
            self.last_acknowledged = None;
        }
        self.flight = Flight::Pausing;
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// The pause after a failure is over.
    pub(crate) fn retry(&mut self) {
        if self.flight == Flight::Pausing {
            self.flight = Flight::Due;
        }
    }

    /// The end LSN of the oldest transaction that has a record without acknowledgement.
    #[must_use]
    pub(crate) fn oldest_pending(&self) -> Option<Lsn> {
        self.outgoing.oldest.or(self.filling.oldest)
    }

    /// The end LSN of the newest transaction that has a record without acknowledgement.
    #[must_use]
    pub(crate) fn newest_pending(&self) -> Option<Lsn> {
        self.filling.newest.or(self.outgoing.newest)
    }

    fn launch(&mut self) {
        mem::swap(&mut self.filling, &mut self.outgoing);
        self.flight = Flight::Due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(bytes: u64) -> Lsn {
        Lsn::new(bytes)
    }

    fn number(digits: &str) -> SequenceNumber {
        SequenceNumber::new(digits)
    }

    fn failure(code: &str, message: &str) -> Failure {
        Failure { code: Some(code.to_owned()), message: message.to_owned() }
    }

    fn request(lane: &mut Lane) -> PutRequest {
        lane.next_request().expect("a request")
    }

    #[test]
    fn one_in_flight_and_the_next_fills() {
        let mut lane = Lane::new(1 << 20);
        assert_eq!(lane.next_request(), None);
        lane.push(lsn(10), "k", b"1");
        assert_eq!(lane.wants_request(), Some(Urgency::MayWait));
        let first = request(&mut lane);
        lane.push(lsn(20), "k", b"2");
        lane.push(lsn(30), "k", b"3");
        assert_eq!((lane.wants_request(), lane.next_request()), (None, None));
        assert_eq!((lane.oldest_pending(), lane.newest_pending()), (Some(lsn(10)), Some(lsn(30))));
        assert_eq!(lane.acknowledged(number("9")), 1);
        assert_eq!((lane.oldest_pending(), lane.newest_pending()), (Some(lsn(20)), Some(lsn(30))));
        let second = request(&mut lane);
        assert_eq!(
            (first.sequence_number_for_ordering, second.sequence_number_for_ordering),
            (None, Some(number("9")))
        );
        assert_eq!(lane.acknowledged(number("10")), 2);
        assert_eq!((lane.oldest_pending(), lane.newest_pending(), lane.next_request()), (None, None, None));
    }

    #[test]
    fn the_same_bytes_until_acknowledged() {
        let mut lane = Lane::new(1 << 20);
        lane.push(lsn(10), "k", b"1");
        let first = request(&mut lane);
        lane.push(lsn(20), "k", b"2");
        for failures in 1..5 {
            assert_eq!(lane.failed(&failure("InternalFailure", "")), failures);
            assert_eq!(lane.next_request(), None);
            lane.retry();
            assert_eq!(request(&mut lane), first);
        }
        lane.acknowledged(number("1"));
        request(&mut lane);
        assert_eq!(lane.failed(&failure("InternalFailure", "")), 1);
    }

    #[test]
    fn a_refused_ordering_number_is_left_out_once() {
        let mut lane = Lane::new(1 << 20);
        lane.push(lsn(10), "k", b"1");
        request(&mut lane);
        lane.acknowledged(number("7"));
        lane.push(lsn(20), "k", b"2");
        assert_eq!(request(&mut lane).sequence_number_for_ordering, Some(number("7")));
        lane.failed(&failure("InvalidArgumentException", "SequenceNumberForOrdering is of another shard"));
        lane.retry();
        assert_eq!(request(&mut lane).sequence_number_for_ordering, None);
        lane.acknowledged(number("8"));
        lane.push(lsn(30), "k", b"3");
        assert_eq!(request(&mut lane).sequence_number_for_ordering, Some(number("8")));
    }

    #[test]
    fn bounded_by_what_the_stream_takes() {
        let mut lane = Lane::new(1_000);
        let mut taken = 0;
        while lane.push(lsn(10), "k", &[b'x'; 90]) == Pushed::Taken {
            taken += 1;
        }
        // One batch is due, the next is full.
        assert_eq!(lane.wants_request(), Some(Urgency::Now));
        assert_eq!(taken, 18);
        let data = request(&mut lane).data;
        assert!(data.len() + PARTITION_KEY.len() <= 1_000 && data.len() > 900, "{}", data.len());
        assert_eq!(lane.push(lsn(10), "k", &[b'x'; 90]), Pushed::Full);
        lane.acknowledged(number("1"));
        assert_eq!(lane.push(lsn(10), "k", &[b'x'; 90]), Pushed::Taken);
    }

    #[test]
    fn what_can_never_be_sent_is_said_at_once() {
        let mut lane = Lane::new(1_000);
        assert!(matches!(lane.push(lsn(10), "k", &[b'x'; 1_000]), Pushed::TooLarge { bytes } if bytes > 1_000));
        assert_eq!(lane.oldest_pending(), None);
        lane.push(lsn(10), "k", b"small");
        // Behind the small one it does not fit; that one goes first.
        assert!(matches!(lane.push(lsn(10), "k", &[b'x'; 1_000]), Pushed::TooLarge { .. }));
    }

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        assert!(number("9") < number("10"));
        assert!(
            number("49546986683135544286507457936321625675700192471156785154")
                < number("49546986683135544286507457936321625675700192471156785155")
        );
    }
}
