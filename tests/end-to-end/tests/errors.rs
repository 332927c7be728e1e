//! Wrong use and wrong configuration: one line that says what to do, an exit code, and nothing confirmed.

#![allow(clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use std::fs;
use std::net::TcpListener;

use pg2k_test_end_to_end::lsn::Lsn;
use pg2k_test_end_to_end::program::{Launch, Outcome};
use pg2k_test_end_to_end::server::{Server, Settings};
use pg2k_test_end_to_end::{NAME, endpoint};
use pg2k_test_kinesis::Endpoint;

/// Holds a server with something to publish, and where the slot stands.
struct Refusing {
    server: Server,
    endpoint: Endpoint,
    start: Lsn,
}

impl Refusing {
    async fn new() -> Self {
        let server = Settings::default().authenticate("host all locked 127.0.0.1/32 scram-sha-256").start().await;
        server
            .execute(&[
                "CREATE ROLE locked LOGIN REPLICATION PASSWORD 'right'",
                "CREATE ROLE weak LOGIN",
                "CREATE TABLE users (id int PRIMARY KEY)",
            ])
            .await;
        server.create_slot(NAME).await;
        server.query_one("SELECT pg_create_logical_replication_slot('other_plugin', 'pgoutput')::text").await;
        server.execute(&["INSERT INTO users VALUES (1)"]).await;
        let start = server.confirmed(NAME).await;
        Self { server, endpoint: endpoint(1), start }
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.server, &self.endpoint)
    }

    /// Runs to the end, and checks that it is a refusal with these words in its one line.
    async fn refuses(&self, what: &str, launch: Launch, words: &[&str]) -> Outcome {
        let outcome = launch.run().await;
        assert!(
            matches!(outcome.code, 1 | 2),
            "{what}: expected exit code 1 or 2, found {}:\n{}",
            outcome.code,
            outcome.log
        );
        let line = outcome.error();
        for word in words {
            assert!(line.contains(word), "{what}: expected `{word}` in: {line}");
        }
        assert!(!outcome.log.contains("panicked"), "{what}: {}", outcome.log);
        assert_eq!(self.server.confirmed(NAME).await, self.start, "{what}: something was confirmed");
        assert_eq!(self.endpoint.records(NAME), [], "{what}: something was published");
        outcome
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_refuses() {
    let test = Refusing::new().await;
    let launch = || test.launch();
    let refuses = async |what, launch: Launch, words: &[&str]| {
        let outcome = test.refuses(what, launch, words).await;
        assert_eq!(outcome.code, 1, "{what}: {}", outcome.log);
    };
    let wrong = launch().with("-u", "locked").environment("PGPASSWORD", "wrong");
    refuses("a wrong password", wrong, &["password", "locked"]).await;
    refuses("no password", launch().with("-u", "locked"), &["password"]).await;
    refuses("no such user", launch().with("-u", "nobody_here"), &["nobody_here"]).await;
    refuses("no such database", launch().with("-d", "nowhere"), &["nowhere"]).await;
    refuses("no such slot", launch().with("-s", "missing"), &["missing", "--create-slot"]).await;
    refuses("another output plugin", launch().with("-s", "other_plugin"), &["pgoutput", "test_decoding"]).await;
    let two_phase = "SELECT pg_create_logical_replication_slot('prepared', 'test_decoding', false, true)::text";
    test.server.query_one(two_phase).await;
    refuses("a slot that shows prepared transactions", launch().with("-s", "prepared"), &["two_phase"]).await;
    refuses("no permission", launch().with("-u", "weak"), &["REPLICATION"]).await;
    let create = launch().with("-u", "weak").with("-s", "fresh").flag("--create-slot");
    refuses("no permission to make a slot", create, &["REPLICATION"]).await;
    let name = launch().with("-s", "Not A Name").flag("--create-slot");
    assert_eq!(test.refuses("a slot's name", name, &["Not A Name"]).await.code, 2);

    // Where nobody listens.
    let port = free_port().to_string();
    refuses("no server", launch().with("-p", &port), &[&port]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kinesis_refuses() {
    let test = Refusing::new().await;
    let missing = test.launch().with("-k", "missing");
    assert_eq!(test.refuses("no such stream", missing, &["missing", "--create-stream"]).await.code, 1);
    let port = free_port();
    let down = test.launch().environment("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    assert_eq!(test.refuses("an endpoint that is down", down, &[&port.to_string()]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_program_refuses() {
    let test = Refusing::new().await;
    let launch = || test.launch();
    let refuses = async |what, launch: Launch, words: &[&str]| {
        let outcome = test.refuses(what, launch, words).await;
        assert_eq!(outcome.code, 2, "{what}: {}", outcome.log);
    };

    refuses("no such formatter", launch().with("-f", "yaml"), &["yaml", "csv"]).await;
    refuses("no such file", launch().with("-f", "/nonexistent/libyaml.so"), &["/nonexistent/libyaml.so"]).await;
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text.so");
    fs::write(&text, "this is no library\n").unwrap();
    refuses("a file that is no library", launch().with("-f", &text), &["text.so"]).await;
    let library = shared_library();
    refuses("a library that is no formatter", launch().with("-f", &library), &[&library]).await;

    refuses("a bad expression", launch().with("--table-pat", "("), &["--table-pat"]).await;
    refuses("no such operation", launch().with("--operations", "upsert"), &["upsert"]).await;
    let wal2json = launch().with("--pg-slot-output-plugin", "wal2json");
    refuses("wal2json", wal2json, &["wal2json", "test_decoding"]).await;
    refuses("no such option", launch().flag("--no-such-option"), &["--no-such-option"]).await;
    refuses("a size that is none", launch().with("--transaction-buffer", "much"), &["much"]).await;
    refuses("no shards", launch().with("--create-stream", "0"), &["0"]).await;
    refuses("a port that is none", launch().with("-p", "http"), &["http"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_logical_wal() {
    let server = Settings::default().set("wal_level", "replica").start().await;
    let endpoint = endpoint(1);
    for launch in [Launch::new(&server, &endpoint), Launch::new(&server, &endpoint).flag("--create-slot")] {
        let outcome = launch.run().await;
        assert!(matches!(outcome.code, 1 | 2), "{}: {}", outcome.code, outcome.log);
        assert!(outcome.error().contains("wal_level"), "{}", outcome.log);
    }
    assert_eq!(server.query_one("SELECT count(*)::text FROM pg_replication_slots").await, "0");
}

/// Gives the path of a library that every program here has loaded.
fn shared_library() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
    path.expect("the C library").to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
