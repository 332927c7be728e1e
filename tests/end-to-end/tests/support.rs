//! The support code itself, without the program: what the other tests compare with has to be right.

use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{deduplicate, replay, rows};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{self, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_witness_tells_what_the_tables_hold() {
    let mut random = Random::from_environment();
    let mut server = Server::new().await;
    load::create_tables(&server).await;
    server.create_slot("witness").await;
    let extent = Extent { sessions: 8, transactions: u64::MAX, pace: Duration::from_millis(1) };
    let load = Load::start(&server, &mut random, extent);
    for _ in 0..2 {
        let before = server.wal_end().await.0;
        wait::until("a megabyte of WAL", SOON, async || (server.wal_end().await.0 > before + 1_000_000).then_some(()))
            .await;
        server.stop_immediate();
        server.start().await;
    }
    let committed = load.stop().await;
    let expected = expected(&server, "witness", &load::keys()).await;
    assert!(u64::try_from(expected.len()).unwrap() > committed, "{committed} transactions, {} changes", expected.len());
    let csv: Vec<_> = expected.iter().flat_map(Expected::csv).collect();
    for operation in ["INSERT", "UPDATE", "DELETE", "TRUNCATE"] {
        assert!(expected.iter().any(|change| change.operation == operation), "no {operation}");
    }
    assert!(expected.iter().any(|change| change.old_key.is_some()), "no key was changed");
    let tables = rows(&server, &load::keys()).await;
    // A table may have been truncated last of all.
    assert!(tables.values().any(|rows| !rows.is_empty()), "empty tables tell nothing");
    assert_eq!(replay(&csv), tables);
    let found = deduplicate(expected.iter().map(Expected::minimal).collect());
    assert_eq!((found.first.len(), found.duplicates), (expected.len(), 0));
}
