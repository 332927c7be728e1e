//! Order and completeness: what is in the stream is what was committed, in the order in which it was committed.

use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, deduplicate, lines, replay, rows};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{LATER, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_streams_order_is_the_commit_order() {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(4));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    server.copy_slot(NAME, "positions").await;

    let program = Launch::new(&server, &endpoint).with("-f", "csv").start();
    server.wait_active(NAME, SOON).await;
    let extent = Extent { sessions: 8, transactions: 20_000, pace: Duration::ZERO };
    let committed = Load::start(&server, &mut random, extent).finish().await;
    assert!((15_000..20_000).contains(&committed), "{committed} of 20,000 transactions were committed");

    let expected = expected(&server, "witness", &load::keys()).await;
    let end = last_commit(&expected);
    server.wait_confirmed(NAME, end, LATER).await;
    program.terminate().await.assert_drained();
    let found = lines(&endpoint.records(NAME));
    let csv: Vec<_> = expected.iter().flat_map(Expected::csv).collect();
    assert_same(&found, &csv);
    // Nothing follows from the witness here: the tables themselves tell what is left.
    let tables = rows(&server, &load::keys()).await;
    let mut replayed = replay(&found);
    for table in tables.keys() {
        replayed.entry(table.clone()).or_default();
    }
    assert_eq!(replayed, tables);

    // A backlog, read in one go: every position is above the one before it.
    endpoint.create_stream("positions", 1).unwrap();
    let launch = Launch::new(&server, &endpoint).with("-s", "positions").with("-k", "positions");
    let program = launch.with("-f", artifacts::formatter("minimal_formatter")).start();
    server.wait_confirmed("positions", end, LATER).await;
    program.terminate().await.assert_drained();
    let found = deduplicate(lines(&endpoint.records("positions")));
    assert_eq!(found.duplicates, 0);
    assert_same(&found.first, &expected.iter().map(Expected::minimal).collect::<Vec<_>>());
}
