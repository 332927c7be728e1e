//! From the start to the end: slots and streams that are made, draining, an idle database, large transactions.

use std::time::{Duration, Instant};

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, lines};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{self, LATER, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use pg2k_test_kinesis::{Endpoint, Fault, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_and_the_stream_are_made() {
    let server = Server::new().await;
    let endpoint = Endpoint::start(Options::default()).unwrap();
    server.execute(&["CREATE TABLE users (id int PRIMARY KEY)"]).await;
    let launch = Launch::new(&server, &endpoint).with("-f", "csv").with("--create-stream", "2");
    let fields = |endpoint: &Endpoint| -> Vec<String> {
        lines(&endpoint.records(NAME)).iter().map(|line| line.split(',').next_back().unwrap().to_owned()).collect()
    };
    let insert = async |id: u32| {
        server.execute(&[&format!("INSERT INTO users VALUES ({id})")]).await;
        server.wal_end().await
    };

    let program = launch.clone().flag("--create-slot").start();
    server.wait_active(NAME, SOON).await;
    let end = insert(1).await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
    assert_eq!(fields(&endpoint), ["1"]);

    // A slot and a stream that exist are fine, and what was committed in between is not lost.
    insert(2).await;
    let program = launch.clone().flag("--create-slot").start();
    let end = insert(3).await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
    assert_eq!(fields(&endpoint), ["1", "2", "3"]);

    // A slot that is made again begins now.
    insert(4).await;
    let program = launch.flag("--recreate-slot").start();
    server.wait_active(NAME, SOON).await;
    let end = insert(5).await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
    assert_eq!(fields(&endpoint), ["1", "2", "3", "5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_drains() {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(1));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    let launch = Launch::new(&server, &endpoint).with("-f", artifacts::formatter("minimal_formatter"));

    // Quiet: what was committed is published and confirmed at once, and the last word to the slot is said before the end.
    let extent = Extent { sessions: 2, transactions: 100, pace: Duration::ZERO };
    Load::start(&server, &mut random, extent).finish().await;
    let quiet = expected(&server, "witness", &load::keys()).await;
    let program = launch.start();
    let found = endpoint.wait_for(NAME, SOON, |records| {
        let found = lines(records);
        found.last() == quiet.last().map(Expected::minimal).as_ref()
    });
    found.unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
    program.terminate().await.assert_drained();
    assert!(server.confirmed(NAME).await >= last_commit(&quiet), "the end is not confirmed");

    // Under load: nothing comes twice when it is started again.
    let extent = Extent { sessions: 4, transactions: u64::MAX, pace: Duration::from_millis(2) };
    let load = Load::start(&server, &mut random, extent);
    for signal in 0..4 {
        let program = launch.start();
        let puts = endpoint.put_requests() + 20;
        endpoint.wait_for_puts(puts, SOON).unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
        if signal % 2 == 0 {
            program.signal_interrupt();
            program.exit(SOON).await.assert_drained();
        } else {
            program.terminate().await.assert_drained();
        }
    }
    load.stop().await;
    let expected = expected(&server, "witness", &load::keys()).await;
    let program = launch.start();
    server.wait_confirmed(NAME, last_commit(&expected), LATER).await;
    program.terminate().await.assert_drained();
    let all: Vec<_> = expected.iter().map(Expected::minimal).collect();
    assert_same(&lines(&endpoint.records(NAME)), &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_is_bounded() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE users (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    let launch = Launch::new(&server, &endpoint).with("-f", "csv");
    endpoint.fail_next(usize::MAX, Fault::Hang);
    server.execute(&["INSERT INTO users VALUES (1)"]).await;
    let start = server.confirmed(NAME).await;
    let hanging = async |launch: &Launch| {
        let puts = endpoint.put_requests() + 1;
        let program = launch.start();
        endpoint.wait_for_puts(puts, SOON).unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
        program
    };

    // By time. That something is left for the next start is said, and not confirmed.
    let program = hanging(&launch.clone().with("--drain-timeout", "2")).await;
    let begun = Instant::now();
    let outcome = program.terminate().await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}:\n{}", begun.elapsed(), outcome.log);
    outcome.assert_drained();
    assert_eq!(outcome.warnings().len(), 1, "{}", outcome.log);
    assert_eq!(server.confirmed(NAME).await, start, "something was confirmed");

    // By a second signal, long before the time is over.
    let program = hanging(&launch.clone().with("--drain-timeout", "600")).await;
    program.signal_terminate();
    let mut program = program;
    program.wait_for_log("drain", SOON).await;
    assert!(program.is_running(), "{}", program.log());
    program.signal_terminate();
    let outcome = program.exit(SOON).await;
    assert_eq!(outcome.warnings().len(), 1, "{}", outcome.log);
    assert_eq!(server.confirmed(NAME).await, start, "something was confirmed");

    endpoint.clear_faults();
    let program = launch.start();
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
    assert_eq!(lines(&endpoint.records(NAME)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_database_holds_back_no_wal() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE DATABASE busy"]).await;
    server.create_slot(NAME).await;
    let program = Launch::new(&server, &endpoint).start();
    server.wait_active(NAME, SOON).await;
    let busy = server.client_of("busy").await;
    busy.batch_execute("CREATE TABLE users (id serial PRIMARY KEY, text text)").await.unwrap();
    for _ in 0..3 {
        busy.batch_execute("INSERT INTO users (text) SELECT repeat('x', 100) FROM generate_series(1, 20000)")
            .await
            .unwrap();
        let end = server.wal_end().await;
        server.wait_confirmed(NAME, end, SOON).await;
    }
    program.terminate().await.assert_drained();
    assert_eq!(endpoint.records(NAME), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_beyond_the_buffer_give_the_same_records() {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(1));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    server.copy_slot(NAME, "whole").await;
    let extent = Extent { sessions: 4, transactions: 200, pace: Duration::ZERO };
    for first in [1_000_000_000_000_u64, 2_000_000_000_000] {
        let load = Load::start(&server, &mut random, extent);
        // Two large ones, the second mixed with small ones that are committed before it.
        let client = server.client().await;
        let large = format!("INSERT INTO ledger SELECT 'large', generate_series({first}, {})", first + 20_000);
        client
            .batch_execute(&format!("BEGIN; {large}; UPDATE ledger SET note = 'more' WHERE id > {first}"))
            .await
            .unwrap();
        load.finish().await;
        client.batch_execute("DELETE FROM ledger WHERE note = 'large'; COMMIT").await.unwrap();
        Load::start(&server, &mut random, Extent { transactions: 50, ..extent }).finish().await;
    }
    let client = server.client().await;
    let last = "INSERT INTO ledger VALUES ('the last', 9000000000000)";
    client.batch_execute(last).await.unwrap();
    let end = server.wal_end().await;

    let mut found = Vec::new();
    for (slot, buffer) in [(NAME, "64KiB"), ("whole", "64MiB")] {
        if slot != NAME {
            endpoint.create_stream(slot, 1).unwrap();
        }
        let launch = Launch::new(&server, &endpoint).with("-s", slot).with("-k", slot);
        let launch = launch.with("-f", artifacts::formatter("minimal_formatter")).with("--transaction-buffer", buffer);
        let program = launch.start();
        server.wait_confirmed(slot, end, LATER).await;
        program.terminate().await.assert_drained();
        found.push(lines(&endpoint.records(slot)));
    }
    assert!(found[0].len() > 80_000, "{} records", found[0].len());
    assert_same(&found[0], &found[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_in_json() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.create_slot(NAME).await;
    let program = Launch::new(&server, &endpoint).with("--log-format", "json").start();
    server.wait_active(NAME, SOON).await;
    let outcome = program.terminate().await;
    outcome.assert_drained();
    assert!(!outcome.log.is_empty());
    for line in outcome.log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string(), "{line}");
    }
    // The same error as one line of JSON.
    let outcome = Launch::new(&server, &endpoint).with("--log-format", "json").with("-s", "missing").run().await;
    assert_ne!(outcome.code, 0);
    assert!(outcome.error().contains("--create-slot"), "{}", outcome.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_waits_for_the_first() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE users (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    let launch = Launch::new(&server, &endpoint).with("-f", "csv");
    let first = launch.start();
    let reader = server.wait_active(NAME, SOON).await;
    let second = launch.start();
    // The server tells the second one that the slot is taken.
    wait::until("the second instance at the slot", SOON, async || {
        server.log().contains("is active for PID").then_some(())
    })
    .await;
    server.execute(&["INSERT INTO users VALUES (1)"]).await;
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    first.kill9().await;
    wait::until("the second instance as the slot's reader", SOON, async || {
        (server.wait_active(NAME, SOON).await != reader).then_some(())
    })
    .await;
    server.execute(&["INSERT INTO users VALUES (2)"]).await;
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    second.terminate().await.assert_drained();
    let mut found = lines(&endpoint.records(NAME));
    found.dedup();
    assert_eq!(found.len(), 2, "{found:?}");
}
