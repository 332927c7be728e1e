//! A quiet system: from the return of a COMMIT to the arrival of its PutRecord at the endpoint.
//!
//! One machine, one clock. A record may arrive before the client has the answer to its COMMIT; that counts as 0.

use std::time::{Duration, SystemTime};

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::SOON;
use pg2k_test_end_to_end::{NAME, endpoint};
use pg2k_test_kinesis::take_apart;
use tokio::time::sleep;

use crate::options::Options;

/// The bound that pg2k is meant to keep, in milliseconds.
const MOST_MEDIAN: f64 = 5.0;

/// Measures, and prints a line.
pub(crate) async fn measure(options: &Options) {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE t (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    let program = Launch::new(&server, &endpoint).with("-f", options.formatter.as_str()).start();
    server.wait_active(NAME, SOON).await;
    let client = server.client().await;
    let insert = client.prepare("INSERT INTO t VALUES ($1)").await.expect("SQL");
    let mut committed = Vec::new();
    for id in 0..options.commits {
        // Quiet means that nothing is under way.
        sleep(Duration::from_millis(10 + random.below(60))).await;
        client.execute(&insert, &[&i32::try_from(id).expect("a key")]).await.expect("an insert");
        committed.push(SystemTime::now());
    }
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();

    let mut arrived = Vec::new();
    for record in endpoint.records(NAME) {
        let inner = take_apart(&record).expect("an aggregate that can be taken apart");
        arrived.extend(inner.iter().map(|_| record.arrived));
    }
    assert_eq!(arrived.len(), committed.len(), "a record for each commit");
    let pairs = arrived.iter().zip(&committed);
    let mut latencies: Vec<f64> = pairs
        .map(|(arrived, committed)| arrived.duration_since(*committed).unwrap_or_default().as_secs_f64() * 1e3)
        .collect();
    latencies.sort_by(f64::total_cmp);
    let (median, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    let verdict = if median < MOST_MEDIAN { "kept" } else { "NOT KEPT" };
    println!(
        "\nquiet system, commit to PutRecord received, {} commits: median {median:.2} ms, p99 {p99:.2} ms, most {:.2} ms; \
         median below {MOST_MEDIAN} ms: {verdict}",
        latencies.len(),
        latencies[latencies.len() - 1]
    );
}
