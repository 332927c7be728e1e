//! The aggregated records, taken apart by a reader that is not ours: `aws_kinesis_agg`, from PyPI.
//!
//! tests/run.sh installs it in `target/python`; `PG2K_TEST_PYTHON` names another Python that has it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::LATER;
use pg2k_test_end_to_end::witness::{expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use pg2k_test_kinesis::{StoredRecord, user_records};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deaggregate.py");

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Gives the partition key, the explicit hash key, the data, and whether it was in an aggregate, of every user record.
async fn taken_apart_elsewhere(records: &[StoredRecord]) -> Vec<Value> {
    let python = env::var_os("PG2K_TEST_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| artifacts::target().join("python/bin/python3"));
    let mut command = Command::new(&python);
    command.arg(READER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let install = "tests/run.sh installs a Python with aws_kinesis_agg";
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}: {install}", python.display()));
    let mut input = child.stdin.take().unwrap();
    let lines: String = records
        .iter()
        .map(|record| format!("{}\n", json!([record.partition_key, hexadecimal(&record.data)])))
        .collect();
    let feeder = tokio::spawn(async move { input.write_all(lines.as_bytes()).await });
    let output = child.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // The package prints what it cannot take apart, and goes on.
    assert!(
        output.status.success() && errors.is_empty(),
        "{}: {}: {install}\n{errors}",
        python.display(),
        output.status
    );
    feeder.await.unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_kinesis_agg_finds_the_same_records() {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(4));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    let extent = Extent { sessions: 2, transactions: 500, pace: Duration::ZERO };
    Load::start(&server, &mut random, extent).finish().await;
    // A backlog of more than one Kinesis record takes, and later single transactions.
    server.execute(&["INSERT INTO ledger SELECT 'many', generate_series(5000000000, 5000050000)"]).await;
    let program = Launch::new(&server, &endpoint).with("-f", "csv-payload").start();
    let end = last_commit(&expected(&server, "witness", &load::keys()).await);
    server.wait_confirmed(NAME, end, LATER).await;
    let extent = Extent { sessions: 1, transactions: 20, pace: Duration::from_millis(20) };
    Load::start(&server, &mut random, extent).finish().await;
    server.execute(&["INSERT INTO ledger VALUES ('the last', 6000000000)"]).await;
    server.wait_confirmed(NAME, last_commit(&expected(&server, "witness", &load::keys()).await), LATER).await;
    program.terminate().await.assert_drained();

    let records = endpoint.records(NAME);
    let elsewhere = taken_apart_elsewhere(&records).await;
    let here = user_records(&records).unwrap();
    assert!(here.len() > 50_000, "{} records", here.len());
    assert!(records.len() > 5, "{} Kinesis records", records.len());
    assert_eq!(elsewhere.len(), here.len());
    for (elsewhere, here) in elsewhere.iter().zip(&here) {
        let aggregated = elsewhere[3].as_bool().unwrap();
        // Outside an aggregate the hash key is not in the data, so that the other reader cannot know it.
        let hash_key = here.explicit_hash_key.as_ref().filter(|_| aggregated);
        let expected = json!([here.partition_key, hash_key, hexadecimal(&here.data), aggregated]);
        assert_eq!(*elsewhere, expected);
    }
    let outer: Vec<_> = records.iter().map(|record| &record.explicit_hash_key).collect();
    assert!(here.iter().all(|inner| inner.explicit_hash_key == *outer[0]), "an inner hash key is not the outer one");
    assert!(outer.iter().all(|&key| key.is_some() && key == outer[0]), "expected one lane, found {outer:?}");
    let distinct: std::collections::BTreeSet<_> = here.iter().map(|record| &record.partition_key).collect();
    assert!(distinct.iter().all(|key| (1..=256).contains(&key.chars().count())), "a partition key is too long");
}
