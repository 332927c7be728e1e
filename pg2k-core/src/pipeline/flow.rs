//! The pipeline's state and all its decisions; nothing here waits.
//!
//! [`Flow::apply`] takes an event and changes the state; the other methods tell what is wanted then. Payloads go from the
//! assembler through the translator into the lane, acknowledgements from the lane into the ledger. The invariant: a payload is
//! taken only when all before it is handed over, and handed over means in the lane.

use std::ops::Range;

use pg2k_abi::Lsn;

use super::translate::{Format, TranslateError, Translated, Translator};
use crate::kinesis::SequenceNumber;
use crate::kinesis::lane::{Lane, Pushed, PutRequest, Urgency};
use crate::kinesis::retry::Failure;
use crate::postgres::copy_both::{Chunk, Message};
use crate::progress::Ledger;
use crate::relations::{Catalogued, TableName};
use crate::transaction::{Assembler, Header, Progress, TransactionError};

/// What can happen to the pipeline.
#[derive(Debug)]
pub(crate) enum Event {
    /// The source reads from the slot's confirmed place, for the first time or again.
    Started,
    /// The source has read this.
    Received(Chunk),
    /// The catalogs were asked about tables.
    Looked(Vec<(TableName, Catalogued)>),
    /// The request in flight was stored.
    Acknowledged(SequenceNumber),
    /// The request in flight failed.
    Failed(Failure),
    /// The pause after a failure is over.
    RetryDue,
    /// The user wants to stop.
    Drain,
}

/// Why the pipeline has to stop. Nothing from here on was confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    /// The server sent payloads that make no transaction.
    #[error("payload at {lsn}: {source}")]
    Transaction {
        /// The payload's LSN.
        lsn: Lsn,
        /// What is wrong.
        source: TransactionError,
    },
    /// A change cannot be turned into records.
    #[error(
        "change {index} of the transaction that ends at {end_lsn}: {source}; nothing from it on is confirmed{}",
        remedy(source)
    )]
    Translate {
        /// The transaction.
        end_lsn: Lsn,
        /// The number of changes before this one.
        index: u64,
        /// What is wrong.
        source: TranslateError,
    },
    /// A record is larger than the stream takes.
    #[error(
        "change {index} of the transaction that ends at {end_lsn}: expected a record of at most {limit} bytes, which the stream takes, \
         found {bytes}; raise the stream's maximum record size (UpdateMaxRecordSize)"
    )]
    RecordTooLarge {
        /// The transaction.
        end_lsn: Lsn,
        /// The number of changes before this one.
        index: u64,
        /// What the stream takes.
        limit: usize,
        /// What the record takes, aggregation included.
        bytes: usize,
    },
}

fn remedy(error: &TranslateError) -> &'static str {
    match error {
        TranslateError::Decode(error) if error.is_of_invalid_text() => "; --invalid-text replace or base64 goes on",
        TranslateError::KeyColumn { .. } => {
            "; to give up the whole transaction, advance the slot to its end with pg_replication_slot_advance"
        }
        _ => "",
    }
}

/// What went through, since the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Transactions handed over, with records or without.
    pub(crate) transactions: u64,
    /// Changes read, published or not.
    pub(crate) changes: u64,
    /// Records acknowledged.
    pub(crate) records: u64,
    /// PutRecord requests made.
    pub(crate) puts: u64,
    /// Bytes of their data.
    pub(crate) put_bytes: u64,
}

/// Where the source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// What it sends counts.
    Flowing,
    /// A transaction outgrew the buffer; when all before it is acknowledged, the source has to begin again.
    OutgrownBehind,
    /// It was told to begin again; what it sends until then is left over.
    Restarting,
}

/// A transaction of which payloads are ready.
#[derive(Clone, Copy, Debug)]
struct Open {
    header: Header,
    /// The next payload of those that are ready.
    next: usize,
    /// Whether no more payloads come.
    complete: bool,
}

/// The place before which every change was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandedOver {
    /// The end of this transaction.
    Whole(Lsn),
    /// In the transaction that ends there, behind so many changes.
    Part { end_lsn: Lsn, changes: u64 },
}

impl HandedOver {
    /// Whether all of the transaction that ends there was handed over.
    fn includes(self, end: Lsn) -> bool {
        match self {
            Self::Whole(end_lsn) => end <= end_lsn,
            Self::Part { end_lsn, .. } => end < end_lsn,
        }
    }

    /// The number of changes of the transaction that ends there that were handed over; it is not included.
    fn changes_of(self, end: Lsn) -> u64 {
        match self {
            Self::Part { end_lsn, changes } if end_lsn == end => changes,
            Self::Whole(_) | Self::Part { .. } => 0,
        }
    }
}

/// How far the transaction being handed over has come; it outlives the pieces in which a large one arrives.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    end_lsn: Lsn,
    /// The number of changes before the next one.
    index: u64,
}

/// Whether it is doubtful that tables without a key still have none, and whether they may be looked up.
#[derive(Clone, Copy, Debug, Default)]
struct Doubts {
    due: bool,
    allowed: bool,
}

/// The state of the pipeline.
#[derive(Debug)]
pub(crate) struct Flow<F> {
    assembler: Assembler,
    translator: Translator<F>,
    lane: Lane,
    max_record_size: usize,
    ledger: Ledger,
    source: Source,
    draining: bool,
    chunk: Chunk,
    /// The next message of the chunk.
    next_message: usize,
    open: Option<Open>,
    cursor: Cursor,
    /// The next record of the translator's that goes into the lane; all are in it when there is no such record.
    next_record: usize,
    /// The tables that have to be looked up before anything goes on.
    unknown: Vec<TableName>,
    handed_over: HandedOver,
    /// The newest WAL position that the source told of.
    seen: Lsn,
    totals: Totals,
    failures: u32,
    doubts: Doubts,
    key_text: String,
}

impl<F: Format> Flow<F> {
    /// An empty pipeline for a slot that has `confirmed` so far. `transaction_buffer` and `max_record_size` are bytes.
    pub(crate) fn new(
        translator: Translator<F>,
        confirmed: Lsn,
        transaction_buffer: usize,
        max_record_size: usize,
    ) -> Self {
        Self {
            assembler: Assembler::new(transaction_buffer),
            translator,
            lane: Lane::new(max_record_size),
            max_record_size,
            ledger: Ledger::new(confirmed),
            source: Source::Flowing,
            draining: false,
            chunk: Chunk::default(),
            next_message: 0,
            open: None,
            cursor: Cursor::default(),
            next_record: 0,
            unknown: Vec::new(),
            handed_over: HandedOver::Whole(Lsn::ZERO),
            seen: Lsn::ZERO,
            totals: Totals::default(),
            failures: 0,
            doubts: Doubts { due: false, allowed: true },
            key_text: String::new(),
        }
    }

    /// Changes the state as the event asks, and hands over all that can be.
    ///
    /// # Errors
    ///
    /// See [`FlowError`]. What was handed over before the error can still be sent and confirmed.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), FlowError> {
        match event {
            Event::Started => {
                self.assembler.restart();
                self.open = None;
                // A transaction that was being handed over is counted from its first change again.
                self.cursor = Cursor::default();
                self.translator.records.clear();
                self.source = Source::Flowing;
            }
            Event::Received(chunk) => {
                self.next_message = if self.source == Source::Flowing { 0 } else { chunk.messages.len() };
                self.chunk = chunk;
            }
            Event::Looked(answers) => {
                self.unknown.clear();
                for (table, catalogued) in answers {
                    self.translator.learn(table, catalogued);
                }
            }
            Event::Acknowledged(number) => {
                self.totals.records += self.lane.acknowledged(number) as u64;
                self.failures = 0;
            }
            Event::Failed(failure) => self.failures = self.lane.failed(&failure),
            Event::RetryDue => self.lane.retry(),
            Event::Drain => self.draining = true,
        }
        let result = self.advance();
        self.ledger.acknowledged(self.lane.oldest_pending());
        result
    }

    /// Whether there is a request to be made, and whether it may wait for more records.
    pub(crate) fn wants_request(&self) -> Option<Urgency> {
        self.lane.wants_request()
    }

    /// The request to be made now. It counts as made.
    pub(crate) fn next_request(&mut self) -> Option<PutRequest> {
        let request = self.lane.next_request()?;
        self.totals.puts += 1;
        self.totals.put_bytes += request.data.len() as u64;
        Some(request)
    }

    /// How many times in a row the request in flight has failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the next chunk can be taken: all before it is handed over.
    pub(crate) fn wants_input(&self) -> bool {
        !self.draining && self.source != Source::OutgrownBehind && !self.is_blocked()
    }

    /// The tables that the catalogs have to be asked about, if there are any.
    pub(crate) fn wants_lookup(&self) -> &[TableName] {
        &self.unknown
    }

    /// Whether the source has to confirm and begin again now. True once.
    pub(crate) fn take_restart(&mut self) -> bool {
        let due = self.source == Source::OutgrownBehind && self.lane.oldest_pending().is_none() && !self.draining;
        if due {
            self.source = Source::Restarting;
        }
        due
    }

    /// The LSN that may be confirmed.
    pub(crate) fn confirmable(&self) -> Lsn {
        self.ledger.confirmable()
    }

    /// Whether a drain has come to its end: all that was handed over is acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.draining && (!self.is_blocked() || !self.unknown.is_empty()) && self.lane.oldest_pending().is_none()
    }

    /// Gives up what is not handed over, because of an error: what was handed over before can still be sent and confirmed.
    pub(crate) fn abandon(&mut self) {
        self.draining = true;
        self.open = None;
        self.unknown.clear();
    }

    /// The newest WAL position that the source told of.
    pub(crate) fn seen(&self) -> Lsn {
        self.seen
    }

    /// What went through.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// The chunk that was taken last, to be used again once all of it is handed over.
    pub(crate) fn take_spent(&mut self) -> Option<Chunk> {
        let spent = self.next_message >= self.chunk.messages.len() && self.chunk.bytes.capacity() > 0;
        spent.then(|| std::mem::take(&mut self.chunk))
    }

    /// Whether something that arrived waits for room in the lane or for the catalogs.
    fn is_blocked(&self) -> bool {
        self.open.is_some() || (!self.draining && self.next_message < self.chunk.messages.len())
    }

    /// Hands over what arrived until it is at an end, or the lane is full, or a table is unknown.
    fn advance(&mut self) -> Result<(), FlowError> {
        if !self.unknown.is_empty() {
            return Ok(());
        }
        loop {
            if let Some(open) = self.open {
                if !self.publish(open)? {
                    return Ok(());
                }
            } else if self.draining || self.source != Source::Flowing || !self.take_message()? {
                return Ok(());
            }
        }
    }

    /// Takes the chunk's next message; false where there is none.
    fn take_message(&mut self) -> Result<bool, FlowError> {
        let Some(message) = self.chunk.messages.get(self.next_message).cloned() else { return Ok(false) };
        self.next_message += 1;
        match message {
            Message::Data { lsn, range } => self.take_payload(lsn, &range)?,
            Message::Keepalive { wal_end, .. } => {
                self.seen = self.seen.max(wal_end);
                // Inside a transaction it says nothing of what is complete.
                if !self.assembler.is_open() {
                    self.ledger.nothing_until(wal_end);
                }
            }
        }
        Ok(true)
    }

    fn take_payload(&mut self, lsn: Lsn, range: &Range<usize>) -> Result<(), FlowError> {
        self.seen = self.seen.max(lsn);
        let payload = self.chunk.payload(range);
        let progress = self.assembler.push(lsn, payload).map_err(|source| FlowError::Transaction { lsn, source })?;
        match progress {
            Progress::Gathering => {}
            Progress::Ready { header, complete } => self.open = Some(Open { header, next: 0, complete }),
            // A transaction that was handed over before is not needed again, however large.
            Progress::Outgrown(header) if self.handed_over.includes(header.end_lsn) => {}
            Progress::Outgrown(header) => {
                tracing::info!(
                    xid = header.xid,
                    end_lsn = %header.end_lsn,
                    "the transaction is larger than the buffer; reading it a second time"
                );
                self.assembler.look_for(header);
                self.source = Source::OutgrownBehind;
                // What follows comes again too.
                self.next_message = self.chunk.messages.len();
            }
        }
        Ok(())
    }

    /// Hands over the payloads that are ready; false where the lane is full or a table is unknown.
    fn publish(&mut self, open: Open) -> Result<bool, FlowError> {
        let header = open.header;
        if self.cursor.end_lsn != header.end_lsn {
            self.cursor = Cursor { end_lsn: header.end_lsn, index: 0 };
        }
        if !self.handed_over.includes(header.end_lsn) {
            let skip = self.handed_over.changes_of(header.end_lsn);
            let mut next = open.next;
            loop {
                if !self.push_records(&header)? {
                    return Ok(false);
                }
                let Some(payload) = self.assembler.payload(next) else { break };
                let before = self.cursor.index;
                let translated = self.translator.translate(&header, payload, &mut self.cursor.index, skip);
                match translated.map_err(|source| FlowError::Translate {
                    end_lsn: header.end_lsn,
                    index: before,
                    source,
                })? {
                    Translated::Done => {}
                    Translated::Unknown(tables) => {
                        self.unknown = self.translator.relations().with_doubted(tables);
                        return Ok(false);
                    }
                }
                self.next_record = 0;
                self.totals.changes += self.cursor.index - before;
                next += 1;
                self.open = Some(Open { next, ..open });
            }
        }
        self.finish(open);
        Ok(true)
    }

    /// Puts the records of the payload translated last into the lane; false where it is full.
    fn push_records(&mut self, header: &Header) -> Result<bool, FlowError> {
        while let Some((data, key)) = self.translator.records.get(self.next_record) {
            let key = match key {
                Some(key) => key,
                None => xid_text(&mut self.key_text, header.xid.unwrap_or_default()),
            };
            match self.lane.push(header.end_lsn, key, data) {
                Pushed::Taken => {}
                Pushed::Full => return Ok(false),
                Pushed::TooLarge { bytes } => {
                    let (end_lsn, index) = (header.end_lsn, self.cursor.index.saturating_sub(1));
                    return Err(FlowError::RecordTooLarge { end_lsn, index, limit: self.max_record_size, bytes });
                }
            }
            self.next_record += 1;
        }
        let changes = self.cursor.index.max(self.handed_over.changes_of(header.end_lsn));
        self.handed_over = HandedOver::Part { end_lsn: header.end_lsn, changes };
        Ok(true)
    }

    /// Ends the piece of the transaction that was ready, and the transaction with its last piece.
    fn finish(&mut self, open: Open) {
        self.assembler.clear();
        self.open = None;
        let end_lsn = open.header.end_lsn;
        if !open.complete || self.handed_over.includes(end_lsn) {
            return;
        }
        self.handed_over = HandedOver::Whole(end_lsn);
        self.totals.transactions += 1;
        // The lane knows best: some or all of the records may be acknowledged, or made over an earlier connection.
        if self.lane.newest_pending() == Some(end_lsn) {
            self.ledger.published(end_lsn);
        } else {
            self.ledger.nothing_until(end_lsn);
        }
        if self.cursor.index == 0 {
            // DDL leaves nothing but an empty transaction.
            self.doubts.due = true;
            self.doubt_if_allowed();
        }
    }

    /// Lets the next transaction without changes make tables without a key be looked up again. Such transactions can be many,
    /// and a look-up costs the server a connection: the caller bounds how often.
    pub(crate) fn allow_doubt(&mut self) {
        self.doubts.allowed = true;
        self.doubt_if_allowed();
    }

    fn doubt_if_allowed(&mut self) {
        if self.doubts.due && self.doubts.allowed {
            self.doubts = Doubts::default();
            self.translator.doubt();
        }
    }
}

/// The partition key of records that have none of their own, as in pg2kinesis: the number of the transaction; 0, which is no
/// transaction's, outside of them.
fn xid_text(text: &mut String, xid: u32) -> &str {
    use std::fmt::Write;
    text.clear();
    // Writing to a string cannot fail.
    write!(text, "{xid}").unwrap_or_default();
    text
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
