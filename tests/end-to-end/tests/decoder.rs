//! The decoder against what servers of several majors really print, and against what the same servers tell in pgoutput.
//!
//! `PG2K_TEST_MAJORS` says which: `system`, or numbers of majors that `tests/run.sh` installed.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation ends the test, in helpers too"
)]

use std::collections::BTreeSet;

use pg2k_test_end_to_end::copies::Copy;
use pg2k_test_end_to_end::damage::damaged;
use pg2k_test_end_to_end::history::{Change, Columns, Event, Operation, Value, assert_same_history};
use pg2k_test_end_to_end::pgoutput::ReadText;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::records::{self, Record};
use pg2k_test_end_to_end::server::{Server, Version};
use pg2k_test_end_to_end::tool::{self, Line};
use pg2k_test_end_to_end::watched::{self, EVERYTHING, Watched};
use pg2k_test_end_to_end::workload::messages::Emitted;
use pg2k_test_end_to_end::workload::{self, repertoire};
use tokio::time::Instant;
use tokio_postgres::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_payload_is_what_pgoutput_tells() {
    let mut random = Random::from_environment();
    for version in Version::asked_for() {
        let begun = Instant::now();
        let server = watched::start(version).await;
        let major = server.major();
        println!("PostgreSQL {major}, {version:?}");
        let client = server.client().await;
        workload::prepare(&client, major).await;
        let watched = Watched::begin(&server, client).await;
        let client = watched.client();
        let emitted = workload::run(client, major, &mut random).await;

        let capture = watched.capture().await;
        let records = records::parse(&tool::format_lines(EVERYTHING, &capture).await.succeeded());
        let found = records::history(&records);
        assert_covers(&found, &capture, major);
        let expected = watched.told("UTF8", ReadText::UTF8).await;
        watched.assert_told("all", found.clone(), expected);
        assert_known_differences(&found, major);
        assert_messages(&records, &emitted);
        assert_indices(&records, major);
        watched.assert_keys(&records).await;
        assert_copy(&server, client, &found).await;
        let damaged = assert_damage_is_refused(&capture, &records, &mut random).await;
        let payloads = Line::parse_all(&capture).len();
        println!("{payloads} payloads were read and {damaged} damaged ones refused, in {:?}", begun.elapsed());
    }
}

/// Checks that the workload has what it is there for.
fn assert_covers(history: &[Event], capture: &[u8], major: u32) {
    let changes: Vec<_> = history.iter().flat_map(Event::changes).collect();
    let count = |what: &str, least: usize, matches: &dyn Fn(&Change) -> bool| {
        let found = changes.iter().filter(|change| matches(change)).count();
        assert!(found >= least, "expected at least {least} changes with {what}, found {found}");
    };
    let new = |change: &Change, value: &Value| change.new.iter().flat_map(Columns::values).any(|new| new == value);
    count("a NULL", 500, &|change| new(change, &Value::Null));
    count("an unchanged value", 10, &|change| new(change, &Value::Unchanged));
    count("those words for a text", 5, &|change| new(change, &Value::Text("unchanged-toast-datum".to_owned())));
    count("an update that tells an old row", 100, &|change| {
        change.operation == Operation::Update && change.old.as_ref().is_some_and(|old| !old.is_empty())
    });
    count("an update that tells nothing of an old row", 100, &|change| {
        change.operation == Operation::Update && change.old.is_none()
    });
    count("an old row that is NULL all over", 2, &|change| change.old.as_ref().is_some_and(Columns::is_empty));
    count("a large value", 5, &|change| change.old.iter().flat_map(Columns::values).any(|text| text.len() > 50_000));
    count("a message", 130, &|change| matches!(change.operation, Operation::Message { .. }));
    for (cascade, restart_identity) in [(false, false), (true, false), (false, true), (true, true)] {
        let operation = Operation::Truncate { cascade, restart_identity };
        let least = if major >= 11 { 2 } else { 0 };
        count("a truncate", least, &|change| change.operation == operation);
    }
    let rewritten = |line: &&Line| line.payload.starts_with(b"table changing.pg_temp_");
    let phantoms = Line::parse_all(capture).iter().filter(rewritten).count();
    assert_eq!(phantoms > 0, major <= 10, "{phantoms} rows of tables that are rewritten");
}

/// Looks at what pgoutput leaves out.
fn assert_known_differences(history: &[Event], major: u32) {
    let changes = || history.iter().flat_map(Event::changes);
    let unidentified: Vec<_> = changes()
        .filter(|change| change.schema == "unidentified" && change.operation != Operation::Insert)
        .map(|change| {
            assert_eq!(change.old, None, "{change:?}");
            let new = change.new.as_ref().map(|new| new.keys().cloned().collect::<String>());
            (&*change.table, change.operation.clone(), new.unwrap_or_default())
        })
        .collect();
    let expected = ["keyless", "nothing"].map(|table| {
        let columns = if table == "keyless" { "ab" } else { "bid" };
        [(table, Operation::Update, columns.to_owned()), (table, Operation::Delete, String::new())]
    });
    assert_eq!(unidentified, expected.concat());
    if major <= 11 {
        let with_oids = |change: &&Change| change.schema == "identities" && change.table.ends_with("_oids");
        let mut found = 0;
        for change in changes().filter(with_oids) {
            found += 1;
            if let Some(new) = &change.new {
                assert!(new.contains_key("oid"), "{change:?}");
            }
            // The number is part of whatever tells the row.
            if let Some(old) = &change.old {
                assert!(old.contains_key("oid"), "{change:?}");
            }
        }
        assert_eq!(found, 9, "changes of tables with numbered rows");
    }
}

/// Compares the messages with those that were emitted.
fn assert_messages(records: &[Record], emitted: &[Emitted]) {
    let mut expected = emitted.iter();
    for record in records {
        if let Operation::Message { prefix, content } = record.change.operation.clone() {
            let found = Emitted { transactional: record.transaction.is_some(), prefix, content };
            assert_eq!(Some(&found), expected.next(), "a message, and the one that was emitted");
        }
    }
    assert_eq!(expected.next(), None, "a message that is not told");
}

/// Checks that changes are counted one by one.
fn assert_indices(records: &[Record], major: u32) {
    let mut last: Option<&Record> = None;
    for record in records {
        let before = last.filter(|last| record.transaction.is_some() && last.lsn == record.lsn);
        let expected = before.map_or(0, |last| last.index + 1);
        // Until 10 the rows of a table that is rewritten count, and are not told.
        let rewritten = major <= 10 && record.change.schema == "changing" && record.index > expected;
        assert!(record.index == expected || rewritten, "expected the index {expected} in {record:?}");
        last = record.transaction.is_some().then_some(record);
    }
}

/// Applies the records to empty tables, and compares all rows.
async fn assert_copy(server: &Server, source: &Client, history: &[Event]) {
    repertoire::create_database(server, "copied", "UTF8").await;
    let target = server.pinned_client_of("copied").await;
    workload::create_types(&target, server.major()).await;
    let source_pinned = server.pinned_client_of("postgres").await;
    let mut copy = Copy::new(source, target, server.major()).await;
    copy.apply(history).await;
    let untold = copy.assert_same(&source_pinned).await;
    let expected = ["unidentified.keyless", "unidentified.nothing", "unpublished.held"].map(str::to_owned);
    assert_eq!(untold, BTreeSet::from(expected), "tables of which the records do not tell the rows");
}

/// Puts damaged copies of payloads beside them, checks that each is refused and nothing else is, and tells how many.
async fn assert_damage_is_refused(capture: &[u8], records: &[Record], random: &mut Random) -> usize {
    let mut lines = String::new();
    let mut number = 0;
    let mut expected = Vec::new();
    let mut inside = false;
    for line in Line::parse_all(capture) {
        // Outside of a transaction, what is refused may be the beginning of one, so that the next ones are in doubt.
        if inside
            && line.payload.len() < 10_000
            && random.percent(40)
            && let Some(payload) = damaged(&line.payload, random)
        {
            lines += &line.with(payload).print();
            number += 1;
            expected.push(number);
        }
        inside = if inside { !line.payload.starts_with(b"COMMIT") } else { line.payload.starts_with(b"BEGIN") };
        lines += &line.print();
        number += 1;
    }
    assert!(expected.len() > 1000, "expected a few thousand payloads to damage, found {}", expected.len());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let arguments = [EVERYTHING, &["--keep-going"]].concat();
    let ran = tool::format(&arguments, file.path()).await;
    let refused = ran.refused_lines(file.path());
    let missing = expected.iter().find(|number| !refused.contains(number));
    if let Some(number) = missing {
        let text = std::fs::read_to_string(file.path()).unwrap();
        panic!("a damaged payload was taken: {}", text.lines().nth(number - 1).unwrap());
    }
    assert_eq!(refused, expected, "the lines that were refused, and those that were damaged");
    assert_eq!(ran.code, 1, "the exit code");
    // What is refused counts as a change, so the indices are others.
    let found = records::history(&records::parse(&ran.output));
    assert_same_history("beside damaged payloads", &found, &records::history(records));
    expected.len()
}
