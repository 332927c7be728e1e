//! Crashes of the server: the program waits for it, reads on, and nothing is missing.

use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, deduplicate, lines};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{LATER, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_in_immediate_mode_under_load() {
    let mut random = Random::from_environment();
    let (mut server, endpoint) = (Server::new().await, endpoint(1));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    let extent = Extent { sessions: 4, transactions: u64::MAX, pace: Duration::from_millis(5) };
    let load = Load::start(&server, &mut random, extent);

    let launch = Launch::new(&server, &endpoint).with("-f", artifacts::formatter("minimal_formatter"));
    let mut program = launch.start();
    for _ in 0..3 {
        let puts = endpoint.put_requests() + 50 + random.below(100);
        endpoint.wait_for_puts(puts, SOON).unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
        server.stop_immediate();
        server.start().await;
        server.wait_active(NAME, SOON).await;
    }
    let puts = endpoint.put_requests() + 50;
    endpoint.wait_for_puts(puts, SOON).unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
    load.stop().await;
    assert!(program.is_running(), "the same process goes on:\n{}", program.log());

    let expected = expected(&server, "witness", &load::keys()).await;
    server.wait_confirmed(NAME, last_commit(&expected), LATER).await;
    program.terminate().await.assert_drained();
    let found = deduplicate(lines(&endpoint.records(NAME)));
    assert_same(&found.first, &expected.iter().map(Expected::minimal).collect::<Vec<_>>());
}
