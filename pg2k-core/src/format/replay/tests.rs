use pg2k_abi::{Change, Error, RecordBuffer, Records, Value};
use regex::Regex;

use super::*;
use crate::captured::Table;
use crate::selection::Unkeyed;

/// `POSITION XID OPERATION TABLE KEY` and, behind a bar, the columns.
struct Plain;

impl Format for Plain {
    fn format(&mut self, change: Change<'_>, buffer: &mut RecordBuffer) -> Result<(), Error> {
        let mut records = Records::new(buffer);
        let mut record = records.record();
        write!(record, "{} {:?} {} {}", change.position(), change.xid(), change.operation(), change.table())?;
        for column in change.key() {
            let Value::Text(text) = column.value() else { return Err(Error::new("no key")) };
            write!(record, " {text}")?;
        }
        write!(record, " |")?;
        for column in change.columns() {
            write!(record, " {}={:?}", column.name(), column.value())?;
        }
        record.finish();
        Ok(())
    }
}

fn given() -> Given {
    let selection = Selection {
        messages: Some(Regex::new("").expect("a pattern")),
        unkeyed: Unkeyed::Publish,
        ..Selection::rows()
    };
    Given { selection, invalid_text: InvalidText::Fail, encoding: None, server_major: None, keys: None }
}

/// A line of its number, from 1 on, as LSN.
fn captured(number: usize, payload: &str) -> Captured {
    Captured { lsn: Lsn::new(number as u64), payload: payload.as_bytes().to_vec(), context: None }
}

/// The records, and what is refused, of a file that goes on after errors.
fn replay_with(given: Given, lines: Vec<Captured>) -> (Vec<String>, Vec<String>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut replay = Replay::new(Plain, given, &mut records, &mut errors, true);
    replay.begin_file("f".to_owned());
    for (number, line) in lines.into_iter().enumerate() {
        replay.take(Place(number as u64 + 1), line).expect("it goes on");
    }
    replay.end_file().expect("it goes on");
    let outcome = replay.finish().expect("memory");
    assert_eq!(outcome == Outcome::Refused, !errors.is_empty());
    let lines = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect();
    (lines(records), lines(errors))
}

fn replay(payloads: &[&str]) -> (Vec<String>, Vec<String>) {
    let lines = payloads.iter().enumerate().map(|(number, payload)| captured(number + 1, payload));
    replay_with(given(), lines.collect())
}

const NONE: [&str; 0] = [];
const COMMIT: &str = "COMMIT 7 (at 2026-11-21 08:43:23+00)";

fn insert(id: u32) -> String {
    format!("table s.t: INSERT: id[integer]:{id}")
}

#[test]
fn changes_get_their_position_from_the_commit() {
    let (one, two) = (insert(1), insert(2));
    let message = "message: transactional: 1 prefix: p, sz: 1 content:x";
    let (records, errors) = replay(&["BEGIN 7", &one, "table s.t, s.u: TRUNCATE: (no-flags)", message, &two, COMMIT]);
    assert_eq!(errors, NONE);
    assert_eq!(
        records,
        [
            "0/6/0 Some(7) INSERT t | id=Text(\"1\")",
            "0/6/1 Some(7) TRUNCATE t |",
            "0/6/2 Some(7) TRUNCATE u |",
            "0/6/3 Some(7) MESSAGE  |",
            "0/6/4 Some(7) INSERT t | id=Text(\"2\")",
        ]
    );
}

#[test]
fn what_payloads_do_not_tell_is_left_open() {
    let one = insert(1);
    let (records, errors) = replay(&["BEGIN", &one, "COMMIT", "BEGIN", &one, "COMMIT 8", "BEGIN 9", &one, "COMMIT"]);
    assert_eq!(errors, NONE);
    assert_eq!(records.len(), 3);
    assert!(records[0].starts_with("0/3/0 None INSERT"), "{records:?}");
    assert!(records[1].starts_with("0/6/0 Some(8) INSERT"), "{records:?}");
    assert!(records[2].starts_with("0/9/0 Some(9) INSERT"), "{records:?}");
}

#[test]
fn payloads_in_front_of_all_transactions_stand_for_themselves() {
    let (one, two) = (insert(1), insert(2));
    let alone = ["0/1/0 None INSERT t | id=Text(\"1\")", "0/2/0 None INSERT t | id=Text(\"2\")"];
    assert_eq!(replay(&[&one, &two]).0, alone);
    let (records, errors) = replay(&[&one, &two, "BEGIN 7", &one, COMMIT]);
    assert_eq!((&records[..2], errors.len()), (&alone.map(str::to_owned)[..], 0));
    assert!(records[2].starts_with("0/5/0 Some(7)"));
    // With a COMMIT, they are the rest of a transaction, and where they stand in it nobody knows.
    let (records, errors) = replay(&[&one, &two, COMMIT, "BEGIN 8", &one, "COMMIT 8"]);
    assert_eq!(records.len(), 1);
    assert_eq!(errors, ["f:3: expected BEGIN, found COMMIT: the beginning of the transaction is not in the file"]);
}

#[test]
fn a_bad_payload_is_refused_and_the_others_keep_their_positions() {
    let (one, two) = (insert(1), insert(2));
    let (records, errors) = replay(&["BEGIN 7", &one, "table s.t: INSERT: id[integer]:x", &two, COMMIT]);
    assert_eq!(records, ["0/5/0 Some(7) INSERT t | id=Text(\"1\")", "0/5/2 Some(7) INSERT t | id=Text(\"2\")"]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("f:3: byte 31 of the payload: expected"), "{errors:?}");
    // A bad BEGIN: all that is needed is in the COMMIT. A bad COMMIT: nothing is known of where the changes stand.
    let (records, errors) =
        replay(&["BEGIM 7", &one, COMMIT, "BEGIN 8", &two, "COMMIT_8", "BEGIN 9", &one, "COMMIT 9"]);
    assert_eq!(records, ["0/3/0 Some(7) INSERT t | id=Text(\"1\")", "0/9/0 Some(9) INSERT t | id=Text(\"1\")"]);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("f:1: ") && errors[1].starts_with("f:6: "), "{errors:?}");
    assert_eq!(errors[2], "f:4: expected a COMMIT of this transaction, found none");
}

#[test]
fn a_bad_payload_among_bare_ones_is_left_out() {
    let (one, two) = (insert(1), insert(2));
    let (records, errors) = replay(&[&one, "table s.t: INSERT: id[integer]:x", &two, "no payload", &one]);
    assert_eq!(records.len(), 3, "{errors:?}");
    assert!(records[1].starts_with("0/3/0 None"), "{records:?}");
    assert_eq!(errors.len(), 2);
    assert!(errors[0].starts_with("f:2: ") && errors[1].starts_with("f:4: "), "{errors:?}");
}

#[test]
fn a_damaged_truncate_counts_for_its_tables() {
    let (one, two) = (insert(1), insert(2));
    let damaged = r#"table s.t, s."u, : v", s.w: TRUNCATE: (no-flagz)"#;
    let (records, errors) = replay(&["BEGIN 7", &one, damaged, &two, COMMIT]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(records[1].starts_with("0/5/4 Some(7)"), "{records:?}");
}

#[test]
fn the_first_bad_payload_ends_it_unless_it_is_to_go_on() {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut replay = Replay::new(Plain, given(), &mut records, &mut errors, false);
    replay.begin_file("f".to_owned());
    assert!(matches!(replay.take(Place(1), captured(1, "BEGIN x")), Err(Stop::Refused)));
    assert_eq!(replay.finish().expect("memory"), Outcome::Refused);
    assert!(String::from_utf8(errors).expect("text").starts_with("f:1: byte 6 of the payload"));
}

#[test]
fn sequences_that_no_server_sends() {
    let one = insert(1);
    for (payloads, error) in [
        (&["BEGIN 7", COMMIT, &one][..], "f:3: expected BEGIN, found a change outside of transactions"),
        (&["BEGIN 7", &one], "f:1: expected a COMMIT of this transaction, found none"),
        (&["BEGIN 6", COMMIT], "f:2: expected the COMMIT of transaction 6, found that of 7"),
        (&["PREPARE TRANSACTION 'g', txid 7"], "f:1: expected BEGIN, found PREPARE TRANSACTION"),
        (
            &["COMMIT PREPARED 'g', txid 7"],
            "f:1: expected the PREPARE TRANSACTION of this COMMIT PREPARED before it, found none",
        ),
        (
            &["BEGIN 7", &one, "PREPARE TRANSACTION 'g', txid 9"],
            "f:3: expected the PREPARE TRANSACTION of transaction 7, found that of 9",
        ),
        (
            &["BEGIN 7", "PREPARE TRANSACTION 'g', txid 7", "COMMIT PREPARED 'g', txid 8"],
            "f:3: expected the COMMIT PREPARED of transaction 7, found that of 8",
        ),
        (
            &["BEGIN 7", "PREPARE TRANSACTION 'g', txid 7", "BEGIN 8", "PREPARE TRANSACTION 'g', txid 8"],
            "f:4: expected the end of the prepared transaction of this name, found another of that name",
        ),
        (
            &["BEGIN 7", "message: transactional: 0 prefix: p, sz: 1 content:x", COMMIT],
            "f:2: expected a change or COMMIT, found a message outside of transactions",
        ),
    ] {
        let (records, errors) = replay(payloads);
        assert_eq!((records.len(), errors), (0, vec![error.to_owned()]), "{payloads:?}");
    }
}

#[test]
fn a_prepared_transaction_is_published_when_it_is_committed() {
    let (one, two) = (insert(1), insert(2));
    let (records, errors) = replay(&[
        "BEGIN 7",
        &one,
        "PREPARE TRANSACTION 'it''s', txid 7",
        "BEGIN 8",
        &two,
        "PREPARE TRANSACTION 'gone', txid 8",
        "ROLLBACK PREPARED 'gone', txid 8",
        "ROLLBACK PREPARED 'of before', txid 2",
        "COMMIT PREPARED 'it''s', txid 7 (at 2026-11-21 08:43:23+00)",
    ]);
    assert_eq!(errors, NONE);
    assert_eq!(records, ["0/9/0 Some(7) INSERT t | id=Text(\"1\")"]);
}

#[test]
fn a_message_outside_of_transactions_has_a_position_of_its_own() {
    let one = insert(1);
    let message = "message: transactional: 0 prefix: p, sz: 1 content:x";
    let (records, errors) = replay(&[message, "BEGIN 7", &one, COMMIT, message]);
    assert_eq!(errors, NONE);
    assert_eq!(records, ["0/1/0 None MESSAGE  |", "0/4/0 Some(7) INSERT t | id=Text(\"1\")", "0/5/0 None MESSAGE  |"]);
}

fn context(server_version: &str, encoding: &str) -> Context {
    let tables = vec![Table {
        schema: "s".to_owned(),
        table: "t".to_owned(),
        key: vec!["id".to_owned()],
        virtual_columns: vec!["v".to_owned()],
    }];
    Context { server_version: server_version.to_owned(), encoding: encoding.to_owned(), tables }
}

#[test]
fn a_context_tells_keys_virtual_columns_encoding_and_version() {
    let row = "table s.t: INSERT: id[integer]:1 v[integer]:null n[text]:null";
    let lines = |context| {
        let mut lines = [row, "table s.pg_temp_123: INSERT: a[integer]:1"].map(|payload| captured(1, payload));
        lines[0].context = Some(context);
        Vec::from(lines)
    };
    let (records, errors) = replay_with(given(), lines(context("18.4", "UTF8")));
    assert_eq!(errors, NONE);
    assert_eq!(records[0], "0/1/0 None INSERT t 1 | id=Text(\"1\") n=Null");
    assert_eq!(records.len(), 2, "a table of the user's, from 11 on");
    let (records, _) = replay_with(given(), lines(context("10.23", "UTF8")));
    assert_eq!(records.len(), 1, "a table that is being rewritten, up to 10");
    let (records, _) = replay_with(Given { server_major: Some(11), ..given() }, lines(context("10.23", "UTF8")));
    assert_eq!(records.len(), 2, "the user knows better");
    let (records, _) =
        replay(&["table s.pg_temp_123: INSERT: a[integer]:1", "table s.pg_temp_x: INSERT: a[integer]:1"]);
    assert_eq!(records.len(), 1, "nobody says a version");
    for (context, error) in [
        (context("18.4", "EBCDIC"), "f:1: context: encoding: "),
        (context("new", "UTF8"), "f:1: context: server_version: "),
    ] {
        let (_, errors) = replay_with(given(), lines(context));
        assert!(errors[0].starts_with(error), "{errors:?}");
    }
}
