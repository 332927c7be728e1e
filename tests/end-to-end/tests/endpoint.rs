//! An endpoint that goes away and misbehaves: it is waited for, nothing is lost, and the order is kept.

#![allow(clippy::panic, reason = "a broken expectation ends the test, in helpers too")]

use std::time::Duration;

use pg2k_test_end_to_end::load::{self, Extent, Load};
use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, deduplicate, lines};
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::wait::{LATER, SOON};
use pg2k_test_end_to_end::witness::{Expected, expected, last_commit};
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use pg2k_test_kinesis::{Endpoint, Fault, FaultPlan};

/// Holds what the tests here have in common: a load under way, and a program that publishes it.
struct Published {
    server: Server,
    endpoint: Endpoint,
    load: Load,
    program: pg2k_test_end_to_end::program::Pg2k,
}

impl Published {
    async fn start(random: &mut Random) -> Self {
        let (server, endpoint) = (Server::new().await, endpoint(3));
        load::create_tables(&server).await;
        server.create_slot(NAME).await;
        server.copy_slot(NAME, "witness").await;
        let extent = Extent { sessions: 2, transactions: u64::MAX, pace: Duration::from_millis(4) };
        let load = Load::start(&server, random, extent);
        let formatter = artifacts::formatter("minimal_formatter");
        let program = Launch::new(&server, &endpoint).with("-f", formatter).start();
        Self { server, endpoint, load, program }
    }

    fn wait_for_puts(&self, more: u64) {
        let puts = self.endpoint.put_requests() + more;
        let waited = self.endpoint.wait_for_puts(puts, LATER);
        waited.unwrap_or_else(|error| panic!("{error}:\n{}", self.program.log()));
    }

    /// Ends the load, and checks that all of it is in the stream. Gives the number of duplicates.
    async fn check(mut self) -> usize {
        self.load.stop().await;
        let expected = expected(&self.server, "witness", &load::keys()).await;
        self.server.wait_confirmed(NAME, last_commit(&expected), LATER).await;
        assert!(self.program.is_running(), "the same process goes on:\n{}", self.program.log());
        self.program.terminate().await.assert_drained();
        let found = deduplicate(lines(&self.endpoint.records(NAME)));
        assert_same(&found.first, &expected.iter().map(Expected::minimal).collect::<Vec<_>>());
        found.duplicates
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_goes_down_is_waited_for() {
    let mut random = Random::from_environment();
    let mut test = Published::start(&mut random).await;
    for _ in 0..3 {
        test.wait_for_puts(20);
        test.endpoint.pause();
        // The load goes on, and says so by the WAL that it writes.
        let confirmed = test.server.confirmed(NAME).await;
        let wal = test.server.wal_end().await;
        pg2k_test_end_to_end::wait::until("100 kB of WAL without the endpoint", SOON, async || {
            (test.server.wal_end().await.0 > wal.0 + 100_000).then_some(())
        })
        .await;
        assert!(
            test.server.confirmed(NAME).await <= wal.max(confirmed),
            "something was confirmed without the endpoint"
        );
        assert!(test.program.is_running(), "{}", test.program.log());
        test.endpoint.resume().unwrap();
    }
    test.wait_for_puts(20);
    test.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_every_kind_keep_the_order() {
    let mut random = Random::from_environment();
    let test = Published::start(&mut random).await;
    let mut faults = random.clone();
    // Two of three puts go wrong until the plan is over: not so many in a row that the pauses between attempts grow long.
    let plan = (0..120_u64).map(move |put| {
        let late = Duration::from_millis(faults.below(300));
        (put % 3 != 2).then(|| match faults.below(8) {
            0 => Fault::throttled(),
            1 => Fault::unavailable(),
            2 => Fault::ErrorAfter,
            3 => Fault::DropBefore,
            4 => Fault::DropAfter,
            5 => Fault::Delay(late),
            6 => Fault::DropThenApply(late),
            _ => Fault::Error {
                status: 500,
                code: "InternalFailure".to_owned(),
                message: "before it was applied".to_owned(),
            },
        })
    });
    test.endpoint.inject(FaultPlan::new(plan));
    test.wait_for_puts(150);
    let duplicates = test.check().await;
    assert!(duplicates > 0, "expected puts that were applied without an answer, found no duplicate");
}
