//! Seeded schedules of the pipeline without I/O, checked against the contract.
//!
//! A server with a slot, a stream, and a process that crashes: each step, chance decides what happens next. `PG2K_SEED=7 cargo
//! test simulation` runs one seed, `PG2K_SEEDS=100000` so many.

use std::collections::{HashMap, HashSet, VecDeque};

use fastrand::Rng;
use pg2k_abi::Lsn;

use super::tests::{CONFIRMED, Lines, lines};
use super::*;
use crate::decode::Decoder;
use crate::pipeline::translate::Translator;
use crate::relations::Relations;
use crate::selection::Selection;

/// A committed transaction, or a message outside of transactions: its payloads from BEGIN to COMMIT, and the records that it has to
/// become.
struct Committed {
    begin_lsn: Lsn,
    end_lsn: Lsn,
    payloads: Vec<String>,
    records: Vec<String>,
}

fn history(random: &mut Rng, copies: usize) -> Vec<Committed> {
    let mut lsn = 100;
    (0..random.usize(1..30))
        .map(|number| {
            let changes = if random.u8(..10) == 0 { random.usize(20..80) } else { random.usize(0..5) };
            let begin_lsn = Lsn::new(lsn + random.u64(1..20));
            lsn += 100;
            let end_lsn = Lsn::new(lsn);
            if random.u8(..8) == 0 {
                let payloads = vec!["message: transactional: 0 prefix: m, sz: 1 content:x".to_owned()];
                let records = (0..copies).map(|copy| format!("{end_lsn}/0 MESSAGE m {copy}")).collect();
                return Committed { begin_lsn, end_lsn, payloads, records };
            }
            let mut payloads = vec![format!("BEGIN {number}")];
            let mut records = Vec::new();
            for index in 0..changes {
                let table = *random.choice(&["t", "new", "unkeyed", ""]).expect("a table");
                if table.is_empty() {
                    payloads.push("message: transactional: 1 prefix: m, sz: 1 content:x".to_owned());
                    records.extend((0..copies).map(|copy| format!("{end_lsn}/{index} MESSAGE m {copy}")));
                    continue;
                }
                payloads.push(format!("table s.{table}: INSERT: id[integer]:{index}"));
                if table != "unkeyed" {
                    records.extend((0..copies).map(|copy| format!("{end_lsn}/{index} INSERT {table} {index} {copy}")));
                }
            }
            payloads.push(format!("COMMIT {number} (at 2026-11-21 08:43:23+00)"));
            Committed { begin_lsn, end_lsn, payloads, records }
        })
        .collect()
}

/// The server's side of one replication connection: the next payload of the next transaction.
#[derive(Clone, Copy)]
struct Session {
    transaction: usize,
    payload: usize,
}

struct World {
    random: Rng,
    history: Vec<Committed>,
    copies: usize,
    max_record_size: usize,
    transaction_buffer: usize,
    /// What the slot has been told.
    confirmed: Lsn,
    /// What of that it has saved: where it is after a crash of the server.
    saved: Lsn,
    /// The most that it was ever told.
    promised: Lsn,
    session: Session,
    /// What the source has read and the pipeline has not taken.
    source: VecDeque<Event>,
    flow: Flow<Lines>,
    in_flight: Option<Vec<u8>>,
    pausing: bool,
    /// Requests given up on, which the service may still apply.
    zombies: Vec<Vec<u8>>,
    stored: Vec<String>,
    /// The same, to look up.
    stored_ever: HashSet<String>,
    sequence: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let copies = random.usize(1..4);
        let history = history(&mut random, copies);
        let max_record_size = random.usize(150..2_000);
        let transaction_buffer = random.usize(100..5_000);
        let flow = new_flow(copies, CONFIRMED, transaction_buffer, max_record_size);
        let mut world = Self {
            random,
            history,
            copies,
            max_record_size,
            transaction_buffer,
            confirmed: CONFIRMED,
            saved: CONFIRMED,
            promised: CONFIRMED,
            session: Session { transaction: 0, payload: 0 },
            source: VecDeque::new(),
            flow,
            in_flight: None,
            pausing: false,
            zombies: Vec::new(),
            stored: Vec::new(),
            stored_ever: HashSet::new(),
            sequence: 0,
        };
        world.connect();
        world
    }

    fn run(&mut self) {
        // With faults for a while, then without, until all is confirmed.
        for step in 0..100_000 {
            self.step(step < 400);
            self.check_confirmed();
            if step >= 400 && self.confirmed >= self.history.last().map_or(Lsn::ZERO, |last| last.end_lsn) {
                return self.check_stream();
            }
        }
        panic!("it stalls: confirmed {} of {} transactions", self.confirmed, self.history.len());
    }

    fn step(&mut self, faulty: bool) {
        // The moment at which most is at stake: a large transaction handed over in part, its records on their way.
        let delicate = faulty && self.flow.assembler.is_open() && self.in_flight.is_some();
        if delicate && self.random.u8(..12) == 0 {
            self.crash_the_server();
        }
        match self.random.u8(..if faulty { 22 } else { 14 }) {
            0..4 => self.read(),
            4..8 => self.take(),
            8..10 => self.answer(faulty),
            10 => self.retry(),
            11 => self.look_up(),
            12 => self.confirm(),
            13 => self.restart_if_wanted(),
            14 => {
                self.connect();
                // What the source had read from the old connection is still in the channel, before the new beginning.
            }
            15 => self.crash(),
            16..18 => self.keepalive(),
            18 => self.crash_the_server(),
            19 => self.saved = self.confirmed,
            _ => self.apply_a_zombie(),
        }
        if let (None, Some(request)) = (&self.in_flight, self.flow.next_request()) {
            assert!(request.data.len() <= self.max_record_size);
            self.in_flight = Some(request.data);
        }
    }

    fn confirm(&mut self) {
        self.confirmed = self.confirmed.max(self.flow.confirmable());
        self.promised = self.promised.max(self.confirmed);
    }

    /// The slot is where it was when it was saved last.
    fn crash_the_server(&mut self) {
        self.confirmed = self.saved;
        self.connect();
    }

    /// A new connection: the server begins behind what is confirmed.
    fn connect(&mut self) {
        let transaction = self.history.iter().take_while(|committed| committed.end_lsn <= self.confirmed).count();
        self.session = Session { transaction, payload: 0 };
        self.source.push_back(Event::Started);
    }

    /// The source reads some messages, which need not be whole transactions.
    fn read(&mut self) {
        if self.source.len() > 4 {
            return;
        }
        let mut chunk = Chunk::default();
        for _ in 0..self.random.usize(1..20) {
            let Some(committed) = self.history.get(self.session.transaction) else { break };
            let Some(payload) = committed.payloads.get(self.session.payload) else { break };
            let begin = chunk.bytes.len();
            chunk.bytes.extend_from_slice(payload.as_bytes());
            self.session.payload += 1;
            let complete = self.session.payload == committed.payloads.len();
            let lsn = if complete { committed.end_lsn } else { committed.begin_lsn };
            chunk.messages.push(Message::Data { lsn, range: begin..chunk.bytes.len() });
            if complete {
                self.session = Session { transaction: self.session.transaction + 1, payload: 0 };
            }
        }
        if !chunk.messages.is_empty() {
            self.source.push_back(Event::Received(chunk));
        }
    }

    /// The server says how far it has read: to the end of a transaction sent whole, or to the beginning of the next one.
    fn keepalive(&mut self) {
        let sent = self.session.transaction.checked_sub(1).and_then(|last| self.history.get(last));
        let end = sent.map_or(self.confirmed, |sent| sent.end_lsn);
        let next = self.history.get(self.session.transaction).map(|next| next.begin_lsn);
        let wal_end = if self.random.bool() { end } else { next.unwrap_or(end).max(end) };
        let messages = vec![Message::Keepalive { wal_end, reply_requested: false }];
        self.source.push_back(Event::Received(Chunk { bytes: Vec::new(), messages }));
    }

    fn take(&mut self) {
        if !self.flow.wants_input() {
            return;
        }
        if let Some(event) = self.source.pop_front() {
            self.apply(event);
        }
    }

    fn apply(&mut self, event: Event) {
        self.flow.apply(event).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The request in flight comes to an end: stored or not, answered or not.
    fn answer(&mut self, faulty: bool) {
        if self.pausing {
            return;
        }
        let Some(data) = self.in_flight.take() else { return };
        let fate = if faulty { self.random.u8(..6) } else { 5 };
        if fate == 0 {
            self.zombies.push(data);
        } else if fate != 1 {
            self.store(&data);
        }
        if fate <= 2 {
            self.pausing = true;
            self.apply(Event::Failed(Failure { code: None, message: "lost".to_owned() }));
        } else {
            self.sequence += 1;
            let number = SequenceNumber::new(&self.sequence.to_string());
            self.apply(Event::Acknowledged(number));
        }
    }

    fn store(&mut self, data: &[u8]) {
        self.stored.extend(lines(data));
        self.stored_ever.extend(lines(data));
    }

    fn apply_a_zombie(&mut self) {
        if let Some(data) = self.zombies.pop() {
            self.store(&data);
        }
    }

    fn retry(&mut self) {
        if std::mem::take(&mut self.pausing) {
            self.apply(Event::RetryDue);
        }
    }

    fn look_up(&mut self) {
        let said = |table: &TableName| match table.table.as_str() {
            "unkeyed" => Catalogued::unkeyed(),
            _ => Catalogued::keyed(&["id"]),
        };
        let answers = self.flow.wants_lookup().iter().map(|table| (table.clone(), said(table))).collect::<Vec<_>>();
        if !answers.is_empty() {
            self.apply(Event::Looked(answers));
            self.flow.allow_doubt();
        }
    }

    fn restart_if_wanted(&mut self) {
        if self.flow.take_restart() {
            // The source confirms before it begins again, unless the connection is lost over it.
            if self.random.bool() {
                self.confirm();
            }
            self.connect();
        }
    }

    fn crash(&mut self) {
        if let Some(data) = self.in_flight.take() {
            self.zombies.push(data);
        }
        self.pausing = false;
        self.source.clear();
        self.flow = new_flow(self.copies, self.confirmed, self.transaction_buffer, self.max_record_size);
        self.connect();
    }

    /// What is confirmed is in the stream.
    fn check_confirmed(&self) {
        assert!(self.flow.confirmable() >= self.confirmed, "what is confirmable goes back");
        let promised = self.flow.confirmable().max(self.promised);
        let needed = self.history.iter().filter(|committed| committed.end_lsn <= promised);
        for record in needed.flat_map(|committed| &committed.records) {
            assert!(self.stored_ever.contains(record), "{record} is confirmed and not in the stream");
        }
    }

    /// A consumer that keeps a high-water mark has every record once, in order.
    fn check_stream(&self) {
        let expected = self.history.iter().flat_map(|committed| &committed.records).cloned().collect::<Vec<_>>();
        let place: HashMap<_, _> =
            expected.iter().enumerate().map(|(place, record)| (record.as_str(), place)).collect();
        let mut next = 0;
        for record in &self.stored {
            let place = *place.get(record.as_str()).unwrap_or_else(|| panic!("{record} was never made"));
            assert!(place <= next, "{record} comes before {}", expected[next]);
            next = next.max(place + 1);
        }
        assert_eq!(next, expected.len(), "{} and what follows is missing", expected[next.min(expected.len() - 1)]);
    }
}

fn new_flow(copies: usize, confirmed: Lsn, transaction_buffer: usize, max_record_size: usize) -> Flow<Lines> {
    let name = |table: &str| TableName { schema: "s".to_owned(), table: table.to_owned() };
    let catalog = HashMap::from([(name("t"), Catalogued::keyed(&["id"])), (name("unkeyed"), Catalogued::unkeyed())]);
    let relations = Relations::new(Selection::rows_and_messages(), catalog);
    let translator = Translator::new(Lines::numbered(copies), relations, Decoder::default(), Some(18));
    Flow::new(translator, confirmed, transaction_buffer, max_record_size)
}

#[test]
fn the_contract_holds_on_every_schedule() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = number("PG2K_SEED").map_or(0..number("PG2K_SEEDS").unwrap_or(2_000), |seed| seed..seed + 1);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(outcome.is_ok(), "PG2K_SEED={seed} fails");
    }
}
