//! Gathers captured payloads into transactions and writes their records.
//!
//! Payloads come from a [file](super), records go to a writer. A transaction's changes wait for the COMMIT that gives them their
//! position, or for the COMMIT PREPARED, in memory.
//!
//! A file may be damaged, so each payload is decoded as it comes: what is refused is told with its line, counts as one change,
//! and makes no record. Payloads in front of the first BEGIN stand for themselves, at their own LSN, so that one alone can be
//! tried; unless a COMMIT ends them, which says that the beginning of a transaction was cut off.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};

use pg2k_abi::{Lsn, Timestamp};

use super::Outcome;
use super::keys::Keys;
use crate::captured::{Captured, Context};
use crate::cli::major;
use crate::decode::{Decoder, Encoding, Event, InvalidText};
use crate::pipeline::translate::{Format, Translated, Translator};
use crate::relations::{Catalogued, Definition, Relations, TableName};
use crate::selection::Selection;
use crate::transaction::Header;

/// The number of a line, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

/// Why nothing more is taken.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something was refused, and it is not to go on after that.
    Refused,
    /// The records cannot be written.
    Output(io::Error),
}

/// What the user said of the payloads. It wins over what a file says.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) selection: Selection,
    pub(crate) invalid_text: InvalidText,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) server_major: Option<u32>,
    pub(crate) keys: Option<Keys>,
}

/// Changes that wait for the end of their transaction.
#[derive(Debug, Default)]
struct Gathered {
    /// The payloads, one after another.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    lsn: Lsn,
    /// Where the payload ends in `bytes`.
    end: usize,
    /// How many changes it counts for.
    changes: u64,
    /// Whether it was refused already.
    refused: bool,
}

impl Gathered {
    fn push(&mut self, place: Place, lsn: Lsn, payload: &[u8], changes: u64) {
        self.bytes.extend_from_slice(payload);
        self.entries.push(Entry { place, lsn, end: self.bytes.len(), changes, refused: false });
    }

    /// All but the first entry, which has no bytes.
    fn without_first(mut self) -> Self {
        self.entries.remove(0);
        self
    }

    fn push_refused(&mut self, place: Place, changes: u64) {
        self.entries.push(Entry { place, lsn: Lsn::ZERO, end: self.bytes.len(), changes, refused: true });
    }
}

/// Where in the sequence of transactions the next payload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In front of the first BEGIN; a payload that was refused can have been it.
    Front,
    /// Between transactions.
    Outside,
    /// In a transaction whose BEGIN is in this line.
    Inside { begin: Place, xid: Option<u32> },
    /// Behind a transaction, and perhaps in another: what is in this line, and was refused, can have been its BEGIN.
    Lost { refused: Place },
}

/// What a payload is to the sequence of transactions.
enum Kind {
    Begin { xid: Option<u32> },
    Commit { xid: Option<u32>, at: Option<Timestamp> },
    Prepare { gid: String, xid: Option<u32> },
    CommitPrepared { gid: String, xid: Option<u32>, at: Option<Timestamp> },
    RollbackPrepared { gid: String },
    Changes(u64),
    Alone,
}

/// Turns lines into records.
pub(crate) struct Replay<F, W, E> {
    translator: Translator<F>,
    decoder: Decoder,
    given: Given,
    /// What the file says of the tables.
    tables: HashMap<TableName, Definition>,
    records: W,
    errors: E,
    keep_going: bool,
    outcome: Outcome,
    file: String,
    state: State,
    gathered: Gathered,
    prepared: HashMap<String, (Gathered, Option<u32>)>,
}

impl<F: Format, W: Write, E: Write> Replay<F, W, E> {
    /// Writes records of what will be taken to `records`, and what is wrong with the rest to `errors`.
    pub(crate) fn new(formatter: F, given: Given, records: W, errors: E, keep_going: bool) -> Self {
        let encoding = given.encoding.unwrap_or_default();
        let relations = Relations::new(given.selection.clone(), HashMap::new());
        let decoder = || Decoder::new(encoding, given.invalid_text);
        Self {
            translator: Translator::new(formatter, relations, decoder(), given.server_major),
            decoder: decoder(),
            given,
            tables: HashMap::new(),
            records,
            errors,
            keep_going,
            outcome: Outcome::Whole,
            file: String::new(),
            state: State::Front,
            gathered: Gathered::default(),
            prepared: HashMap::new(),
        }
    }

    /// Begins a file of this name.
    pub(crate) fn begin_file(&mut self, name: String) {
        self.file = name;
        self.state = State::Front;
        self.gathered = Gathered::default();
        self.prepared.clear();
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// A transaction without its end is refused.
    pub(crate) fn end_file(&mut self) -> Result<(), Stop> {
        self.end_unfinished()
    }

    /// What came of all so far.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Writes what is left to be written, and tells what came of all.
    ///
    /// # Errors
    ///
    /// Fails where the writer does.
    pub(crate) fn finish(mut self) -> io::Result<Outcome> {
        self.records.flush()?;
        Ok(self.outcome)
    }

    /// Tells of a line that holds no payload.
    ///
    /// # Errors
    ///
    /// [`Stop::Refused`], unless it is to go on.
    pub(crate) fn refuse_line(&mut self, place: Place, reason: &impl Display) -> Result<(), Stop> {
        self.leave_out(place, 1);
        self.refuse(place, reason)
    }

    /// Counts what was refused as so many changes.
    fn leave_out(&mut self, place: Place, changes: u64) {
        match self.state {
            State::Outside => self.state = State::Lost { refused: place },
            State::Front | State::Inside { .. } | State::Lost { .. } => self.gathered.push_refused(place, changes),
        }
    }

    /// Takes the payload of a line.
    ///
    /// # Errors
    ///
    /// See [`Stop`].
    pub(crate) fn take(&mut self, place: Place, captured: Captured) -> Result<(), Stop> {
        let Captured { lsn, payload, context } = captured;
        if let Some(context) = context
            && let Err(reason) = self.adopt(context)
        {
            self.refuse(place, &reason)?;
        }
        let kind = match self.decoder.decode(&payload) {
            Ok(event) => kind(&event),
            Err(error) => {
                let hint = if error.is_of_invalid_text() { "; --encoding or --invalid-text may help" } else { "" };
                self.leave_out(place, tables(&payload));
                return self.refuse(place, &format!("{error}{hint}"));
            }
        };
        match kind {
            Kind::Begin { xid } => {
                self.end_unfinished()?;
                self.state = State::Inside { begin: place, xid };
                Ok(())
            }
            Kind::Commit { xid, at } => self.commit(place, Header { xid, end_lsn: lsn, committed_at: at }),
            Kind::Prepare { gid, xid } => self.prepare(place, gid, xid),
            Kind::CommitPrepared { gid, xid, at } => match self.prepared.remove(&gid) {
                Some((_, Some(prepared))) if xid.is_some_and(|xid| xid != prepared) => {
                    self.refuse(place, &mismatch("COMMIT PREPARED", prepared, xid))
                }
                Some((gathered, prepared)) => {
                    self.publish(gathered, &Header { xid: xid.or(prepared), end_lsn: lsn, committed_at: at })
                }
                None => self
                    .refuse(place, &"expected the PREPARE TRANSACTION of this COMMIT PREPARED before it, found none"),
            },
            // Where it was prepared in front of the file, there is nothing to forget.
            Kind::RollbackPrepared { gid } => {
                self.prepared.remove(&gid);
                Ok(())
            }
            Kind::Changes(_) if self.state == State::Outside => {
                self.refuse(place, &"expected BEGIN, found a change outside of transactions")
            }
            Kind::Changes(changes) => {
                self.gathered.push(place, lsn, &payload, changes);
                Ok(())
            }
            Kind::Alone if self.state == State::Front => {
                self.gathered.push(place, lsn, &payload, 1);
                Ok(())
            }
            Kind::Alone if self.state != State::Outside => {
                self.refuse(place, &"expected a change or COMMIT, found a message outside of transactions")
            }
            Kind::Alone => {
                let mut alone = Gathered::default();
                alone.push(place, lsn, &payload, 1);
                self.publish(alone, &Header { xid: None, end_lsn: lsn, committed_at: None })
            }
        }
    }

    fn prepare(&mut self, place: Place, gid: String, xid: Option<u32>) -> Result<(), Stop> {
        if let State::Front | State::Outside = self.state {
            return self.refuse(place, &"expected BEGIN, found PREPARE TRANSACTION");
        }
        let gathered = std::mem::take(&mut self.gathered);
        let before = std::mem::replace(&mut self.state, State::Outside);
        let begun = if let State::Inside { xid, .. } = before { xid } else { None };
        if let (Some(begun), true) = (begun, begun.is_some() && xid.is_some() && xid != begun) {
            return self.refuse(place, &mismatch("PREPARE TRANSACTION", begun, xid));
        }
        if self.prepared.contains_key(&gid) {
            return self.refuse(
                place,
                &"expected the end of the prepared transaction of this name, found another of that name",
            );
        }
        self.prepared.insert(gid, (gathered, xid.or(begun)));
        Ok(())
    }

    fn commit(&mut self, place: Place, header: Header) -> Result<(), Stop> {
        let gathered = std::mem::take(&mut self.gathered);
        let before = std::mem::replace(&mut self.state, State::Outside);
        match before {
            State::Inside { xid: Some(begun), .. } if header.xid.is_some_and(|xid| xid != begun) => {
                self.refuse(place, &mismatch("COMMIT", begun, header.xid))
            }
            State::Inside { xid, .. } => self.publish(gathered, &Header { xid: xid.or(header.xid), ..header }),
            State::Lost { .. } => self.publish(gathered, &header),
            State::Front if gathered.entries.first().is_some_and(|entry| entry.refused) => {
                self.publish(gathered.without_first(), &header)
            }
            State::Front | State::Outside => {
                self.refuse(place, &"expected BEGIN, found COMMIT: the beginning of the transaction is not in the file")
            }
        }
    }

    /// Deals with what waits for an end that does not come.
    fn end_unfinished(&mut self) -> Result<(), Stop> {
        let gathered = std::mem::take(&mut self.gathered);
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside => Ok(()),
            State::Front => self.publish_bare(gathered),
            State::Inside { begin, .. } => self.refuse(begin, &"expected a COMMIT of this transaction, found none"),
            State::Lost { .. } if gathered.entries.is_empty() => Ok(()),
            State::Lost { refused } => {
                self.refuse(refused, &"expected a COMMIT for the changes behind this line, found none")
            }
        }
    }

    /// Publishes payloads that are in no transaction, each at its own LSN.
    fn publish_bare(&mut self, gathered: Gathered) -> Result<(), Stop> {
        let mut begin = 0;
        for entry in gathered.entries {
            let payload = gathered.bytes.get(begin..entry.end).unwrap_or_default().to_vec();
            begin = entry.end;
            if entry.refused {
                continue;
            }
            let mut alone = Gathered::default();
            alone.push(entry.place, entry.lsn, &payload, entry.changes);
            self.publish(alone, &Header { xid: None, end_lsn: entry.lsn, committed_at: None })?;
        }
        Ok(())
    }

    fn publish(&mut self, gathered: Gathered, header: &Header) -> Result<(), Stop> {
        let (mut begin, mut index) = (0, 0);
        for entry in &gathered.entries {
            let payload = gathered.bytes.get(begin..entry.end).unwrap_or_default();
            begin = entry.end;
            let next = index + entry.changes;
            if !entry.refused {
                self.translate(entry.place, header, payload, &mut index)?;
            }
            // The same as in a run in which nothing is refused.
            index = next;
        }
        Ok(())
    }

    fn translate(&mut self, place: Place, header: &Header, payload: &[u8], index: &mut u64) -> Result<(), Stop> {
        loop {
            match self.translator.translate(header, payload, index, 0) {
                Ok(Translated::Done) => break,
                Ok(Translated::Unknown(tables)) => {
                    for table in tables {
                        let definition = self.definition(&table);
                        self.translator.learn(table, Catalogued::Present(definition));
                    }
                }
                Err(error) => return self.refuse(place, &error),
            }
        }
        let records = &mut self.records;
        let mut written = self.translator.records.iter().map(|(data, _)| data);
        written
            .try_for_each(|data| records.write_all(data).and_then(|()| records.write_all(b"\n")))
            .map_err(Stop::Output)
    }

    fn definition(&self, table: &TableName) -> Definition {
        let said = self.tables.get(table).cloned().unwrap_or_default();
        match &self.given.keys {
            Some(keys) => Definition { key: keys.of(table), ..said },
            None => said,
        }
    }

    /// Goes by what the file says from here on.
    fn adopt(&mut self, context: Context) -> Result<(), String> {
        let Context { server_version, encoding, tables } = context;
        let said = encoding.parse().map_err(|error| format!("context: {error}"))?;
        let encoding = self.given.encoding.unwrap_or(said);
        let said = major(&server_version).map_err(|error| format!("context: server_version: {error}"))?;
        let server_major = self.given.server_major.or(Some(said));
        let definition = |table: crate::captured::Table| {
            let name = TableName { schema: table.schema, table: table.table };
            (name, Definition { key: table.key, virtual_columns: table.virtual_columns })
        };
        self.tables = tables.into_iter().map(definition).collect();
        self.decoder = Decoder::new(encoding, self.given.invalid_text);
        let relations = Relations::new(self.given.selection.clone(), HashMap::new());
        let decoder = Decoder::new(encoding, self.given.invalid_text);
        self.translator.read_from(relations, decoder, server_major);
        Ok(())
    }

    fn refuse(&mut self, place: Place, reason: &impl Display) -> Result<(), Stop> {
        self.outcome = Outcome::Refused;
        let Self { records, errors, file, .. } = self;
        // In the order in which things were found, also on a terminal.
        records.flush().map_err(Stop::Output)?;
        let Place(line) = place;
        // Without standard error there is nobody to tell; the exit code says it too.
        let reason = reason.to_string().replace(['\r', '\n'], " ");
        writeln!(errors, "{file}:{line}: {reason}").unwrap_or_default();
        if self.keep_going { Ok(()) } else { Err(Stop::Refused) }
    }
}

/// How many tables a damaged payload seems to be of: a truncate is one change for each.
fn tables(payload: &[u8]) -> u64 {
    let (mut tables, mut in_quotes, mut before) = (1, false, b' ');
    for &byte in payload.strip_prefix(b"table ").unwrap_or_default() {
        match (before, byte) {
            (_, b'"') => in_quotes = !in_quotes,
            (b',', b' ') if !in_quotes => tables += 1,
            (b':', b' ') if !in_quotes => break,
            _ => {}
        }
        before = byte;
    }
    tables
}

fn mismatch(what: &str, expected: u32, found: Option<u32>) -> String {
    let found = found.map_or("none".to_owned(), |xid| format!("that of {xid}"));
    format!("expected the {what} of transaction {expected}, found {found}")
}

fn kind(event: &Event<'_>) -> Kind {
    match event {
        Event::Begin { xid } => Kind::Begin { xid: *xid },
        Event::Commit { xid, at } => Kind::Commit { xid: *xid, at: *at },
        Event::Prepare { gid, xid, .. } => Kind::Prepare { gid: (*gid).to_owned(), xid: *xid },
        Event::CommitPrepared { gid, xid, at } => Kind::CommitPrepared { gid: (*gid).to_owned(), xid: *xid, at: *at },
        Event::RollbackPrepared { gid, .. } => Kind::RollbackPrepared { gid: (*gid).to_owned() },
        Event::Row(_) => Kind::Changes(1),
        Event::Truncate(truncate) => Kind::Changes(truncate.relations().count() as u64),
        Event::Message(message) if message.transactional => Kind::Changes(1),
        Event::Message(_) => Kind::Alone,
    }
}

#[cfg(test)]
mod tests;
