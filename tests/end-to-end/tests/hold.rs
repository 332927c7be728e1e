//! Where it must not go on, and where it must let go.

#![allow(clippy::panic, reason = "a broken expectation ends the test, in helpers too")]

use std::time::Duration;

use pg2k_test_end_to_end::child::{self, SIGCONT, SIGSTOP};
use pg2k_test_end_to_end::program::{Launch, Pg2k};
use pg2k_test_end_to_end::replay::lines;
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{LATER, SOON};
use pg2k_test_end_to_end::{NAME, endpoint};
use pg2k_test_kinesis::Endpoint;

/// Holds a server with a table, and a program that publishes it as `csv`.
struct Published {
    server: Server,
    endpoint: Endpoint,
    program: Pg2k,
}

impl Published {
    async fn start() -> Self {
        let (server, endpoint) = (Server::new().await, endpoint(1));
        server.execute(&["CREATE TABLE users (id int PRIMARY KEY)"]).await;
        server.create_slot(NAME).await;
        let program = Launch::new(&server, &endpoint).with("-f", "csv").start();
        Self { server, endpoint, program }
    }

    /// Executes these statements, each in a transaction of its own, and waits until they are confirmed.
    async fn execute(&self, statements: &[&str]) {
        for statement in statements {
            self.server.execute(&[statement]).await;
        }
        let end = self.server.wal_end().await;
        self.server.wait_confirmed(NAME, end, SOON).await;
    }

    /// Gives table, operation and key of the records.
    fn records(&self) -> Vec<String> {
        let fields = |line: &String| line.splitn(4, ',').last().map(str::to_owned);
        lines(&self.endpoint.records(NAME)).iter().filter_map(fields).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_in_the_same_place_is_not_followed() {
    let mut test = Published::start().await;
    // So much WAL that the other server, which is new, is far behind.
    test.execute(&["INSERT INTO users SELECT generate_series(1, 200000)", "INSERT INTO users VALUES (0)"]).await;
    test.server.replace().await;
    test.server.execute(&["CREATE TABLE users (id int PRIMARY KEY)"]).await;
    test.server.create_slot(NAME).await;
    let before = test.server.confirmed(NAME).await;
    test.server.execute(&["INSERT INTO users VALUES (-1)"]).await;
    let outcome = test.program.exit(SOON).await;
    assert_eq!(outcome.code, 1, "{}", outcome.log);
    assert!(outcome.error().contains("the server is not as it was"), "{}", outcome.log);
    assert_eq!(test.server.confirmed(NAME).await, before);

    // Started again, it goes on from where that server's slot is.
    let program = Launch::new(&test.server, &test.endpoint).with("-f", "csv").start();
    let end = test.server.wal_end().await;
    test.server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
    let lines = lines(&test.endpoint.records(NAME));
    assert!(lines.last().is_some_and(|line| line.ends_with("public.users,INSERT,-1")), "{:?}", lines.last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_was_made_anew_meanwhile_is_not_followed() {
    let test = Published::start().await;
    test.execute(&["INSERT INTO users VALUES (1)"]).await;
    // While it cannot notice: the slot's end and a new beginning.
    child::send(test.program.pid(), SIGSTOP);
    let walsender = test.server.wait_active(NAME, SOON).await;
    test.server.query_one(&format!("SELECT pg_terminate_backend({walsender}, 10000)::text")).await;
    test.server.query_one(&format!("SELECT pg_drop_replication_slot('{NAME}')::text")).await;
    test.server.execute(&["INSERT INTO users VALUES (2)"]).await;
    test.server.create_slot(NAME).await;
    child::send(test.program.pid(), SIGCONT);
    let outcome = test.program.exit(SOON).await;
    assert_eq!(outcome.code, 1, "{}", outcome.log);
    assert!(outcome.error().contains("the server is not as it was"), "{}", outcome.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_later_is_noticed() {
    let test = Published::start().await;
    test.execute(&[
        "CREATE TABLE restored (id int NOT NULL)",
        "INSERT INTO restored VALUES (1)",
        "ALTER TABLE restored ADD PRIMARY KEY (id)",
        "INSERT INTO restored VALUES (2)",
    ])
    .await;
    let found = test.records();
    // The first row may have been read when the key was there already.
    assert_eq!(found.last().map(String::as_str), Some("public.restored,INSERT,2"), "{found:?}");
    test.program.terminate().await.assert_drained();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_kinesis_does_not_hold_up_the_server() {
    let mut test = Published::start().await;
    test.execute(&["INSERT INTO users VALUES (0)"]).await;
    test.endpoint.pause();
    // More than the program and the sockets hold.
    test.server.execute(&["INSERT INTO users SELECT generate_series(1, 300000)"]).await;
    test.program.wait_for_log("leaving the server alone", LATER).await;
    test.server.stop_fast(SOON).await;
    test.server.start().await;
    test.endpoint.resume().unwrap();
    let end = test.server.wal_end().await;
    test.server.wait_confirmed(NAME, end, LATER).await;
    test.program.terminate().await.assert_drained();
    let mut keys: Vec<u32> = lines(&test.endpoint.records(NAME))
        .iter()
        .filter_map(|line| line.rsplit(',').next().and_then(|key| key.parse().ok()))
        .collect();
    keys.dedup();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 300_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_order_is_refused() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.create_slot(NAME).await;
    endpoint.set_automatic_distribution(NAME, true).unwrap();
    let outcome = Launch::new(&server, &endpoint).run().await;
    assert_eq!(outcome.code, 1, "{}", outcome.log);
    assert!(outcome.error().contains("AUTO"), "{}", outcome.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_can_be_cut_short_while_the_server_is_stopped() {
    let mut test = Published::start().await;
    test.execute(&["INSERT INTO users VALUES (1)"]).await;
    test.endpoint.pause();
    test.server.execute(&["INSERT INTO users VALUES (2)"]).await;
    test.program.wait_for_log("PutRecord failed", SOON).await;
    test.program.signal_terminate();
    test.program.wait_for_log("draining", SOON).await;
    test.program.signal_interrupt();
    let outcome = test.program.exit(Duration::from_secs(3)).await;
    assert_eq!(outcome.code, 0, "{}", outcome.log);
    assert!(outcome.log.contains("a second signal"), "{}", outcome.log);
}
