//! Every way in: passwords of three kinds, sockets, the environment, a file of passwords.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::replay::lines;
use pg2k_test_end_to_end::server::{Server, Settings};
use pg2k_test_end_to_end::wait::SOON;
use pg2k_test_end_to_end::{NAME, endpoint};
use pg2k_test_kinesis::Endpoint;

struct Guarded {
    server: Server,
    endpoint: Endpoint,
    inserted: usize,
}

impl Guarded {
    async fn new() -> Self {
        let mut settings = Settings::default();
        for (user, method) in [("s", "scram-sha-256"), ("m", "md5"), ("c", "password")] {
            for place in ["local", "host"] {
                let address = if place == "host" { "127.0.0.1/32" } else { "" };
                settings = settings.authenticate(&format!("{place} all {user} {address} {method}"));
            }
        }
        let server = settings.start().await;
        let client = server.client().await;
        for (user, encryption) in [("s", "scram-sha-256"), ("m", "md5"), ("c", "scram-sha-256")] {
            let sql = format!(
                "SET password_encryption = '{encryption}'; CREATE ROLE {user} LOGIN REPLICATION PASSWORD 'pass:wörd \\'"
            );
            client.batch_execute(&sql).await.unwrap();
        }
        server.execute(&["CREATE DATABASE shop"]).await;
        let shop = server.client_of("shop").await;
        shop.batch_execute("CREATE TABLE users (id serial PRIMARY KEY)").await.unwrap();
        let create = format!("SELECT pg_create_logical_replication_slot('{NAME}', 'test_decoding')");
        shop.batch_execute(&create).await.unwrap();
        Self { server, endpoint: endpoint(1), inserted: 0 }
    }

    fn launch(&self) -> Launch {
        Launch::new(&self.server, &self.endpoint).with("-f", "csv").with("-d", "shop")
    }

    /// Checks that a row gets through.
    async fn lets_in(&mut self, what: &str, launch: Launch) {
        let shop = self.server.client_of("shop").await;
        shop.batch_execute("INSERT INTO users DEFAULT VALUES").await.unwrap();
        self.inserted += 1;
        let program = launch.start();
        let found = self.endpoint.wait_for(NAME, SOON, |records| lines(records).len() >= self.inserted);
        found.unwrap_or_else(|error| panic!("{what}: {error}:\n{}", program.log()));
        program.terminate().await.assert_drained();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_over_tcp_and_sockets() {
    let mut test = Guarded::new().await;
    let socket = test.server.socket().to_owned();
    for (user, method) in [("s", "scram"), ("m", "md5"), ("c", "cleartext")] {
        let launch = test.launch().with("-u", user).environment("PGPASSWORD", "pass:wörd \\");
        test.lets_in(&format!("{method} over TCP"), launch.clone()).await;
        test.lets_in(&format!("{method} over a socket"), launch.with("-h", &socket)).await;
    }
    let launch = test.launch().with("-h", &socket);
    test.lets_in("a socket without a password", launch).await;
    let launch = test.launch().with("-h", "localhost").with("--pg-sslmode", "prefer");
    test.lets_in("a name that has several addresses, and a server without TLS", launch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_from_a_file() {
    let mut test = Guarded::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passwords");
    let port = test.server.port();
    // Colons and backslashes are escaped; the first line that fits wins. See "The Password File" in the manual.
    fs::write(
        &file,
        format!("# comment\nelsewhere:*:*:s:wrong\n127.0.0.1:{port}:shop:s:pass\\:wörd \\\\\n*:*:*:*:wrong\n"),
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let launch = test.launch().with("-u", "s").environment("PGPASSFILE", &file);
    test.lets_in("a line of the file", launch.clone()).await;
    // A password in the environment comes before the file.
    let outcome = launch.environment("PGPASSWORD", "wrong").run().await;
    assert_ne!(outcome.code, 0, "{}", outcome.log);
    assert!(outcome.error().contains("password"), "{}", outcome.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_from_the_environment() {
    let mut test = Guarded::new().await;
    let launch = Launch::bare(&test.endpoint.url())
        .with("-f", "csv")
        .with("-s", NAME)
        .with("-k", NAME)
        .environment("PGPORT", test.server.port().to_string())
        .environment("PGDATABASE", "shop")
        .environment("PGUSER", "s")
        .environment("PGPASSWORD", "pass:wörd \\");
    let socket = test.server.socket().to_owned();
    test.lets_in("PGHOST, an address", launch.clone().environment("PGHOST", "127.0.0.1")).await;
    test.lets_in("PGHOST, a socket's directory", launch.environment("PGHOST", &socket)).await;
    // Options come before the environment.
    let launch = test.launch().with("-u", "postgres").environment("PGUSER", "nobody").environment("PGPORT", "1");
    test.lets_in("options against the environment", launch).await;
}
