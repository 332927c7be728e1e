use std::collections::HashMap;
use std::fmt::Write;

use pg2k_abi::{Change, Error, RecordBuffer, Records, Value};

use super::*;
use crate::decode::Decoder;
use crate::relations::Relations;
use crate::selection::Selection;

/// What the slot has confirmed when a test begins.
pub(super) const CONFIRMED: Lsn = Lsn::ZERO;

/// `POSITION OPERATION TABLE KEY` for each change; `copies` records of it, with their number if that is asked for.
pub(super) struct Lines {
    copies: usize,
    numbered: bool,
}

impl Lines {
    pub(super) fn numbered(copies: usize) -> Self {
        Self { copies, numbered: true }
    }
}

impl Format for Lines {
    fn format(&mut self, change: Change<'_>, buffer: &mut RecordBuffer) -> Result<(), Error> {
        let mut records = Records::new(buffer);
        for copy in 0..self.copies {
            for (operation, key) in change.by_key() {
                let mut record = records.record();
                write!(record, "{} {operation} {}", change.position(), change.table())?;
                if let Some(message) = change.message() {
                    write!(record, "{}", message.prefix)?;
                }
                for column in key {
                    let Value::Text(text) = column.value() else { return Err(Error::new("no key")) };
                    write!(record, " {text}")?;
                }
                if self.numbered {
                    write!(record, " {copy}")?;
                }
                record.finish();
            }
        }
        Ok(())
    }
}

fn flow(copies: usize, transaction_buffer: usize, max_record_size: usize) -> Flow<Lines> {
    let name = |table: &str| TableName { schema: "s".to_owned(), table: table.to_owned() };
    let catalog = HashMap::from([
        (name("t"), Catalogued::keyed(&["id"])),
        (name("two"), Catalogued::keyed(&["b", "a"])),
        (name("unkeyed"), Catalogued::unkeyed()),
    ]);
    let relations = Relations::new(Selection::rows_and_messages(), catalog);
    let translator = Translator::new(Lines { copies, numbered: false }, relations, Decoder::default(), Some(18));
    Flow::new(translator, CONFIRMED, transaction_buffer, max_record_size)
}

/// Payloads at their LSNs, and keepalives where there is none.
fn chunk(messages: &[(u64, &str)]) -> Event {
    let mut chunk = Chunk::default();
    for (lsn, payload) in messages {
        let begin = chunk.bytes.len();
        chunk.bytes.extend_from_slice(payload.as_bytes());
        chunk.messages.push(match *payload {
            "" => Message::Keepalive { wal_end: Lsn::new(*lsn), reply_requested: false },
            _ => Message::Data { lsn: Lsn::new(*lsn), range: begin..chunk.bytes.len() },
        });
    }
    Event::Received(chunk)
}

/// A transaction of these changes, as test_decoding prints it.
fn transaction(xid: u32, end_lsn: u64, changes: &[&str]) -> Event {
    let begin = format!("BEGIN {xid}");
    let commit = format!("COMMIT {xid} (at 2026-11-21 08:43:23+00)");
    let changes = changes.iter().map(|change| (end_lsn - 1, *change));
    chunk(
        &std::iter::once((end_lsn - 2, begin.as_str()))
            .chain(changes)
            .chain([(end_lsn, commit.as_str())])
            .collect::<Vec<_>>(),
    )
}

const INSERT: &str = "table s.t: INSERT: id[integer]:1";

fn apply(flow: &mut Flow<Lines>, event: Event) {
    flow.apply(event).expect("an event that can be applied");
}

/// Answers requests until there is none; returns the data of the records, in the order in which they were acknowledged.
fn acknowledge(flow: &mut Flow<Lines>) -> Vec<String> {
    let mut records = Vec::new();
    while let Some(request) = flow.next_request() {
        records.extend(lines(&request.data));
        apply(flow, Event::Acknowledged(SequenceNumber::new("1")));
    }
    records
}

/// The data of an aggregate's records, by a reader that knows the three fields it needs and skips the others.
pub(super) fn lines(aggregate: &[u8]) -> Vec<String> {
    fn varint(bytes: &mut &[u8]) -> usize {
        let (mut number, mut shift) = (0, 0);
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            number |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }
    fn fields(mut bytes: &[u8], wanted: usize) -> Vec<&[u8]> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = varint(&mut bytes);
            if tag & 7 == 2 {
                let (contents, rest) = bytes.split_at(length);
                bytes = rest;
                found.extend((tag >> 3 == wanted).then_some(contents));
            }
        }
        found
    }
    let message = &aggregate[4..aggregate.len() - 16];
    let records = fields(message, 3).into_iter().flat_map(|record| fields(record, 3));
    records.map(|data| String::from_utf8(data.to_vec()).expect("text")).collect()
}

#[test]
fn a_transaction_becomes_records_and_is_confirmed_when_they_are_acknowledged() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let update = "table s.two: UPDATE: old-key: a[integer]:1 b[integer]:2 new-tuple: a[integer]:3 b[integer]:2";
    apply(
        &mut flow,
        transaction(
            7,
            100,
            &[INSERT, "table s.unkeyed: INSERT: x[integer]:1", update, "table s.t: DELETE: id[integer]:1"],
        ),
    );
    assert_eq!(flow.confirmable(), Lsn::ZERO);
    assert_eq!(
        acknowledge(&mut flow),
        ["0/64/0 INSERT t 1", "0/64/2 DELETE two 2 1", "0/64/2 INSERT two 2 3", "0/64/3 DELETE t 1"]
    );
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

#[test]
fn nothing_goes_on_before_the_commit() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, chunk(&[(8, "BEGIN 7"), (9, INSERT), (12, "")]));
    assert_eq!((acknowledge(&mut flow), flow.confirmable()), (vec![], Lsn::ZERO));
    apply(&mut flow, chunk(&[(10, "COMMIT 7 (at 2026-11-21 08:43:23+00)"), (15, "")]));
    assert_eq!((acknowledge(&mut flow).len(), flow.confirmable()), (1, Lsn::new(15)));
}

#[test]
fn an_idle_server_is_confirmed_as_far_as_it_has_read_once_nothing_is_pending() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, chunk(&[(50, "")]));
    assert_eq!(flow.confirmable(), Lsn::new(50));
    apply(&mut flow, transaction(7, 100, &[INSERT]));
    apply(&mut flow, chunk(&[(200, "")]));
    assert_eq!(flow.confirmable(), Lsn::new(50));
    acknowledge(&mut flow);
    assert_eq!(flow.confirmable(), Lsn::new(200));
    apply(&mut flow, transaction(8, 300, &["table s.unkeyed: INSERT: x[integer]:1"]));
    assert_eq!(flow.confirmable(), Lsn::new(300));
}

#[test]
fn an_unknown_table_waits_for_the_catalogs() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, transaction(7, 100, &[INSERT, "table s.new: INSERT: id[integer]:2", INSERT]));
    let table = flow.wants_lookup().first().expect("a look-up").clone();
    assert_eq!(table.to_string(), "s.new");
    assert!(!flow.wants_input());
    assert_eq!(acknowledge(&mut flow), ["0/64/0 INSERT t 1"]);
    apply(&mut flow, Event::Looked(vec![(table, Catalogued::keyed(&["id"]))]));
    assert_eq!(acknowledge(&mut flow), ["0/64/1 INSERT new 2", "0/64/2 INSERT t 1"]);
    assert_eq!((flow.wants_lookup().len(), flow.confirmable()), (0, Lsn::new(100)));
}

#[test]
fn a_full_lane_stops_the_input_and_loses_nothing() {
    let mut flow = flow(5, 100_000, 300);
    let rows = (0..40).map(|id| format!("table s.t: INSERT: id[integer]:{id}")).collect::<Vec<_>>();
    apply(&mut flow, transaction(7, 100, &rows.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(!flow.wants_input());
    let expected = (0..40).flat_map(|id| vec![format!("0/64/{id} INSERT t {id}"); 5]).collect::<Vec<_>>();
    assert_eq!(acknowledge(&mut flow), expected);
    assert!(flow.wants_input());
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

#[test]
fn a_transaction_larger_than_the_buffer_is_read_twice() {
    let mut flow = flow(1, 200, 1 << 20);
    let rows = (0..40).map(|id| format!("table s.t: INSERT: id[integer]:{id}")).collect::<Vec<_>>();
    let rows = rows.iter().map(String::as_str).collect::<Vec<_>>();
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, transaction(7, 100, &rows));
    // What is before it has to be acknowledged first.
    assert!(!flow.wants_input() && !flow.take_restart());
    assert_eq!(acknowledge(&mut flow), ["0/32/0 INSERT t 1"]);
    assert!(flow.take_restart() && !flow.take_restart());
    assert_eq!(flow.confirmable(), Lsn::new(50));
    // What the source had read before it began again does not count.
    apply(&mut flow, transaction(8, 150, &[INSERT]));
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, transaction(7, 100, &rows));
    apply(&mut flow, transaction(8, 150, &[INSERT]));
    let expected = (0..40).map(|id| format!("0/64/{id} INSERT t {id}")).chain(["0/96/0 INSERT t 1".to_owned()]);
    assert_eq!(acknowledge(&mut flow), expected.collect::<Vec<_>>());
    assert_eq!(flow.confirmable(), Lsn::new(150));
}

#[test]
fn what_was_handed_over_is_not_taken_again_after_a_new_beginning() {
    let mut flow = flow(1, 200, 1 << 20);
    let rows = (0..40).map(|id| format!("table s.t: INSERT: id[integer]:{id}")).collect::<Vec<_>>();
    let rows = rows.iter().map(String::as_str).collect::<Vec<_>>();
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, transaction(7, 100, &rows));
    assert_eq!(acknowledge(&mut flow).len(), 1);
    assert!(flow.take_restart());
    apply(&mut flow, Event::Started);
    // The connection is lost in the middle of the large transaction.
    apply(&mut flow, chunk(&[(98, "BEGIN 7"), (99, rows[0]), (99, rows[1])]));
    assert_eq!(acknowledge(&mut flow).len(), 2);
    assert_eq!(flow.confirmable(), Lsn::new(50));
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(7, 100, &rows));
    assert_eq!(acknowledge(&mut flow).first().map(String::as_str), Some("0/64/2 INSERT t 2"));
    assert_eq!(flow.confirmable(), Lsn::new(100));
    // All of it is acknowledged, so being large it need not even be read twice.
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(7, 100, &rows));
    assert!(flow.wants_input() && acknowledge(&mut flow).is_empty());
}

#[test]
fn truncated_tables_are_changes_of_their_own() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, transaction(7, 100, &["table s.t, s.unkeyed, s.two: TRUNCATE: (no-flags)", INSERT]));
    assert_eq!(acknowledge(&mut flow), ["0/64/0 TRUNCATE t", "0/64/2 TRUNCATE two", "0/64/3 INSERT t 1"]);
}

#[test]
fn messages_count_in_positions() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, transaction(7, 100, &["message: transactional: 1 prefix: p, sz: 1 content:x", INSERT]));
    assert_eq!(acknowledge(&mut flow), ["0/64/0 MESSAGE p", "0/64/1 INSERT t 1"]);
}

#[test]
fn a_message_outside_of_transactions_is_confirmed_by_itself() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let message = "message: transactional: 0 prefix: p, sz: 1 content:x";
    apply(&mut flow, chunk(&[(100, message)]));
    assert_eq!(flow.confirmable(), CONFIRMED);
    assert_eq!(acknowledge(&mut flow), ["0/64/0 MESSAGE p"]);
    assert_eq!(flow.confirmable(), Lsn::new(100));
    // Read again, it is known.
    apply(&mut flow, Event::Started);
    apply(&mut flow, chunk(&[(100, message), (200, message)]));
    assert_eq!(acknowledge(&mut flow), ["0/C8/0 MESSAGE p"]);
}

#[test]
fn a_drain_ends_when_what_was_taken_is_acknowledged() {
    let mut flow = flow(5, 100_000, 300);
    let rows = [INSERT; 20];
    apply(&mut flow, transaction(7, 100, &rows));
    apply(&mut flow, Event::Drain);
    assert!(!flow.wants_input() && !flow.is_drained());
    assert_eq!(acknowledge(&mut flow).len(), 100);
    assert!(flow.is_drained());
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

#[test]
fn an_error_confirms_what_is_before_it_and_nothing_else() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    let error = flow.apply(transaction(7, 100, &[INSERT, "table s.t: INSERT: id[integer]:?"])).expect_err("no value");
    assert_eq!(
        error.to_string(),
        "change 1 of the transaction that ends at 0/64: byte 31 of the payload: expected null or an integer, found the byte 0x3f; \
         nothing from it on is confirmed"
    );
    flow.abandon();
    acknowledge(&mut flow);
    assert!(flow.is_drained());
    assert_eq!(flow.confirmable(), Lsn::new(50));
}

#[test]
fn a_row_that_does_not_fit_to_the_key_makes_the_catalogs_be_asked_again() {
    for (key, expected) in [("renamed", Some("0/64/0 INSERT t 1")), ("id", None)] {
        let mut flow = flow(1, 1_000, 1 << 20);
        apply(&mut flow, transaction(7, 100, &["table s.t: INSERT: renamed[integer]:1"]));
        let table = flow.wants_lookup().first().expect("a look-up").clone();
        match (flow.apply(Event::Looked(vec![(table, Catalogued::keyed(&[key]))])), expected) {
            (Ok(()), Some(record)) => assert_eq!(acknowledge(&mut flow), [record]),
            (Err(error), None) => assert!(error.to_string().contains("s.t: expected the key column id"), "{error}"),
            (other, _) => panic!("{key}: {other:?}"),
        }
    }
}

/// The server crashed: the slot is back at what it had saved, and sends again what was confirmed.
#[test]
fn a_large_transaction_in_two_pieces_is_confirmed_only_when_its_first_piece_is_acknowledged() {
    let mut flow = flow(1, 200, 1 << 20);
    let rows = (0..40).map(|id| format!("table s.t: INSERT: id[integer]:{id}")).collect::<Vec<_>>();
    let rows = rows.iter().map(String::as_str).collect::<Vec<_>>();
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, transaction(7, 100, &rows));
    assert_eq!(acknowledge(&mut flow).len(), 1);
    assert!(flow.take_restart());
    apply(&mut flow, Event::Started);
    // All changes of the large one are handed over; its COMMIT is not here when the connection is lost.
    let piece = std::iter::once((98, "BEGIN 7")).chain(rows.iter().map(|row| (99, *row)));
    apply(&mut flow, chunk(&piece.collect::<Vec<_>>()));
    let request = flow.next_request().expect("the records of 7");
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(6, 50, &[INSERT]));
    apply(&mut flow, transaction(7, 100, &rows));
    assert_eq!((lines(&request.data).len(), flow.confirmable()), (40, Lsn::new(50)));
    apply(&mut flow, Event::Acknowledged(SequenceNumber::new("2")));
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

/// Another run of ours had published it; this one has only seen a keepalive when the server crashes.
#[test]
fn a_server_that_went_back_is_followed_and_nothing_lower_is_confirmed() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, chunk(&[(120, "")]));
    apply(&mut flow, Event::Started);
    apply(&mut flow, transaction(7, 100, &[INSERT]));
    assert_eq!((acknowledge(&mut flow).len(), flow.confirmable()), (1, Lsn::new(120)));
}

#[test]
fn a_known_key_outlives_its_table() {
    let mut flow = flow(1, 1_000, 1 << 20);
    apply(&mut flow, transaction(7, 100, &["table s.t: DELETE: (no-tuple-data)", INSERT]));
    let table = flow.wants_lookup().first().expect("a look-up").clone();
    apply(&mut flow, Event::Looked(vec![(table, Catalogued::Missing)]));
    assert_eq!(acknowledge(&mut flow), ["0/64/1 INSERT t 1"]);
}

#[test]
fn a_table_that_gets_its_key_later_is_published_from_then_on() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let insert = "table s.new: INSERT: id[integer]:1";
    apply(&mut flow, transaction(7, 100, &[insert]));
    let table = flow.wants_lookup().first().expect("a look-up").clone();
    apply(&mut flow, Event::Looked(vec![(table.clone(), Catalogued::unkeyed())]));
    // ALTER TABLE s.new ADD PRIMARY KEY (id): DDL alone is an empty transaction.
    apply(&mut flow, transaction(8, 200, &[]));
    apply(&mut flow, transaction(9, 300, &[insert]));
    assert_eq!(flow.wants_lookup(), std::slice::from_ref(&table));
    apply(&mut flow, Event::Looked(vec![(table.clone(), Catalogued::unkeyed())]));
    // The next empty transaction has to wait until a look-up is allowed again.
    apply(&mut flow, transaction(10, 400, &[]));
    apply(&mut flow, transaction(11, 500, &[insert]));
    assert!(flow.wants_lookup().is_empty());
    flow.allow_doubt();
    apply(&mut flow, transaction(12, 600, &[insert]));
    assert_eq!(flow.wants_lookup(), std::slice::from_ref(&table));
    apply(&mut flow, Event::Looked(vec![(table, Catalogued::keyed(&["id"]))]));
    assert_eq!(acknowledge(&mut flow), ["0/258/0 INSERT new 1"]);
}

#[test]
fn deletes_that_do_not_tell_the_key_are_left_out() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let delete = "table s.t: DELETE: (no-tuple-data)";
    apply(&mut flow, transaction(7, 100, &[delete, INSERT, delete]));
    let table = flow.wants_lookup().first().expect("the catalogs may know better").clone();
    apply(&mut flow, Event::Looked(vec![(table, Catalogued::keyed(&["id"]))]));
    assert_eq!((acknowledge(&mut flow), flow.wants_lookup().len()), (vec!["0/64/1 INSERT t 1".to_owned()], 0));
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

#[test]
fn deletes_are_looked_at_again_after_ddl() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let delete = "table s.t: DELETE: k[integer]:1";
    let table = TableName { schema: "s".to_owned(), table: "t".to_owned() };
    apply(&mut flow, transaction(7, 100, &[delete]));
    apply(&mut flow, Event::Looked(vec![(table.clone(), Catalogued::keyed(&["id"]))]));
    apply(&mut flow, transaction(8, 200, &[delete]));
    assert!(flow.wants_lookup().is_empty(), "it is settled");
    // What may be DDL: now it is not.
    apply(&mut flow, transaction(9, 300, &[]));
    apply(&mut flow, transaction(10, 400, &[delete]));
    assert_eq!(flow.wants_lookup(), std::slice::from_ref(&table));
    apply(&mut flow, Event::Looked(vec![(table, Catalogued::keyed(&["k"]))]));
    assert_eq!(acknowledge(&mut flow), ["0/190/0 DELETE t 1"]);
}

#[test]
fn rows_that_have_lost_their_key_are_rows_without_one() {
    let mut flow = flow(1, 1_000, 1 << 20);
    let row = "table s.t: INSERT: n[text]:'x'";
    let table = TableName { schema: "s".to_owned(), table: "t".to_owned() };
    apply(&mut flow, transaction(7, 100, &[INSERT, row, INSERT, row]));
    // The columns are others, and the key is not among them; then they are those of before; and both again.
    for _ in 0..5 {
        assert_eq!(flow.wants_lookup(), std::slice::from_ref(&table));
        apply(&mut flow, Event::Looked(vec![(table.clone(), Catalogued::unkeyed())]));
    }
    assert_eq!(acknowledge(&mut flow), ["0/64/0 INSERT t 1", "0/64/2 INSERT t 1"]);
    assert_eq!(flow.confirmable(), Lsn::new(100));
}

#[test]
fn a_record_that_the_stream_does_not_take_is_an_error() {
    let mut flow = flow(1, 10_000, 300);
    let large = format!("table s.t: INSERT: id[text]:'{}'", "x".repeat(300));
    apply(&mut flow, transaction(7, 100, &[INSERT, &large]));
    // Its columns are others than those of the row before.
    let table = flow.wants_lookup().first().expect("the key may be another").clone();
    let error = flow.apply(Event::Looked(vec![(table, Catalogued::keyed(&["id"]))])).expect_err("too large");
    assert!(
        error
            .to_string()
            .starts_with("change 1 of the transaction that ends at 0/64: expected a record of at most 300"),
        "{error}"
    );
}
