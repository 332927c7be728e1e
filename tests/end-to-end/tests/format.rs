//! `pg2k capture` and `pg2k format` against `pg2k` itself: what is formatted is what is published, byte for byte.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::random::Random;
use pg2k_test_end_to_end::replay::{assert_same, lines};
use pg2k_test_end_to_end::server::Version;
use pg2k_test_end_to_end::wait::LATER;
use pg2k_test_end_to_end::watched::{self, Watched};
use pg2k_test_end_to_end::{endpoint, tool, workload};

/// What records are made with. What becomes of changes without a key is the one thing that has another default in `format`.
const CHOICES: [(&str, &[&str]); 5] = [
    ("by_default", &["--unkeyed", "skip"]),
    ("whole_rows", &["--full-change", "--unkeyed", "publish"]),
    ("json", &["--formatter", "json", "--messages", "--unkeyed", "publish"]),
    ("json_of_some", &["--formatter", "json", "--messages=^p", "--operations", "update", "--unkeyed", "skip"]),
    ("csv", &["--formatter", "csv", "--unkeyed", "publish"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_formatted_is_what_is_published() {
    let mut random = Random::from_environment();
    let server = watched::start(Version::System).await;
    let client = server.client().await;
    workload::prepare(&client, server.major()).await;
    let watched = Watched::begin(&server, client).await;
    workload::run(watched.client(), server.major(), &mut random).await;
    let capture = watched.capture().await;
    let end = server.wal_end().await;
    let endpoint = endpoint(1);
    for (name, arguments) in CHOICES {
        let formatted = tool::format_lines(arguments, &capture).await.succeeded_with_warnings();
        server.copy_slot(&watched.slot(), name).await;
        endpoint.create_stream(name, 1).unwrap();
        let mut launch = Launch::new(&server, &endpoint).with("-s", name).with("-k", name);
        for argument in arguments {
            launch = launch.flag(argument);
        }
        let program = launch.start();
        server.wait_confirmed(name, end, LATER).await;
        program.terminate().await.assert_drained();
        let published: String = lines(&endpoint.records(name)).iter().flat_map(|record| [record, "\n"]).collect();
        if published.as_bytes() != formatted {
            let pieces = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
            assert_same(&pieces(&String::from_utf8_lossy(&formatted)), &pieces(&published));
            panic!("{name}: what is formatted is no text");
        }
        assert!(formatted.len() > 100_000, "{name}: expected many records, found {} bytes", formatted.len());
    }
}
