//! Crashes of the program: nothing is missing, and what comes twice is recognised.

use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, deduplicate, lines};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{LATER, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use tokio::time::sleep;

const CRASHES: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let mut random = Random::from_environment();
    let (server, endpoint) = (Server::new().await, endpoint(2));
    load::create_tables(&server).await;
    server.create_slot(NAME).await;
    server.copy_slot(NAME, "witness").await;
    let extent = Extent { sessions: 4, transactions: u64::MAX, pace: Duration::from_millis(10) };
    let load = Load::start(&server, &mut random, extent);

    let launch = Launch::new(&server, &endpoint).with("-f", artifacts::formatter("minimal_formatter"));
    for crash in 0..CRASHES {
        let program = launch.start();
        if crash % 2 == 0 {
            // Any moment, from the first instruction on.
            sleep(Duration::from_millis(random.below(600))).await;
        } else {
            // A moment at which it publishes.
            let puts = endpoint.put_requests() + 1 + random.below(40);
            endpoint.wait_for_puts(puts, SOON).unwrap_or_else(|error| panic!("{error}:\n{}", program.log()));
        }
        program.kill9().await;
    }
    load.stop().await;

    let expected = expected(&server, "witness", &load::keys()).await;
    let program = launch.start();
    server.wait_confirmed(NAME, last_commit(&expected), LATER).await;
    program.terminate().await.assert_drained();
    let found = deduplicate(lines(&endpoint.records(NAME)));
    assert_same(&found.first, &expected.iter().map(Expected::minimal).collect::<Vec<_>>());
    assert!(found.duplicates > 0, "expected a crash between publishing and confirming, found no duplicate");
}
