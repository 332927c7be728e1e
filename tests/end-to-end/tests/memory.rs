//! Memory does not grow with a transaction.

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::LATER;
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use pg2k_test_kinesis::take_apart;

const ROWS: u64 = 2_000_000;
const LIMIT: u64 = 150 * 1000 * 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_two_million_rows() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE t (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    server.execute(&[&format!("INSERT INTO t SELECT generate_series(1, {ROWS})")]).await;
    let end = server.wal_end().await;

    let program = Launch::new(&server, &endpoint).with("-f", artifacts::formatter("minimal_formatter")).start();
    server.wait_confirmed(NAME, end, 2 * LATER).await;
    let peak = program.peak_memory();
    program.terminate().await.assert_drained();
    assert!(peak < LIMIT, "expected less than {LIMIT} bytes of memory at a time, found {peak}");

    // One aggregate after another: all at once they would take far more memory than the program did.
    let mut rows = 0;
    for record in endpoint.records(NAME) {
        for record in take_apart(&record).unwrap() {
            let line = std::str::from_utf8(&record.data).unwrap();
            let expected = format!("/{rows} INSERT public.t id={}", rows + 1);
            assert!(line.ends_with(&expected), "expected `{expected}`, found `{line}`");
            rows += 1;
        }
    }
    assert_eq!(rows, ROWS);
}
