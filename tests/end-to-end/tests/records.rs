//! What the records look like: every operation, filter and formatter, byte for byte.
//!
//! `goldens/transactions.sql` is executed once. In the goldens `{xid N}` stands for the number that the server gave to the
//! Nth transaction there, and `{end N}` for the end of its commit record.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use std::ffi::OsString;

use pg2k_test_end_to_end::lsn::Lsn;
use pg2k_test_end_to_end::program::{Launch, Outcome};
use pg2k_test_end_to_end::replay::{assert_same, lines};
use pg2k_test_end_to_end::server::{Server, Settings};
use pg2k_test_end_to_end::wait::SOON;
use pg2k_test_end_to_end::{NAME, artifacts, endpoint};
use pg2k_test_kinesis::Endpoint;

const SETUP: &str = include_str!("../goldens/setup.sql");
const TRANSACTIONS: &str = include_str!("../goldens/transactions.sql");
const CSV: &str = include_str!("../goldens/csv.txt");
const CSV_PAYLOAD: &str = include_str!("../goldens/csv-payload.txt");
const MINIMAL: &str = include_str!("../goldens/minimal.txt");

/// Holds a server that executed the transactions, and a slot that has them all.
struct Executed {
    server: Server,
    endpoint: Endpoint,
    xids: Vec<String>,
    ends: Vec<Lsn>,
    runs: u32,
}

impl Executed {
    async fn new() -> Self {
        // Everything that a row's text depends on, set to something else than the records show.
        let server = Settings::default()
            .set("timezone", "Asia/Tokyo")
            .set("datestyle", "German")
            .set("intervalstyle", "sql_standard")
            .set("bytea_output", "escape")
            .set("extra_float_digits", "-15")
            .set("quote_all_identifiers", "on")
            .start()
            .await;
        server.execute(&[SETUP]).await;
        server.create_slot(NAME).await;
        let client = server.client().await;
        let mut xids = Vec::new();
        for transaction in TRANSACTIONS.split("-- ").skip(1) {
            let (title, body) = transaction.split_once('\n').unwrap();
            client.batch_execute("BEGIN").await.unwrap();
            client.batch_execute(body).await.unwrap_or_else(|error| panic!("{title}: {error:?}"));
            let xid: String = client.query_one("SELECT txid_current()::text", &[]).await.unwrap().get(0);
            client.batch_execute("COMMIT").await.unwrap();
            xids.push(xid);
        }
        let sql =
            "SELECT lsn::text, xid::text FROM pg_logical_slot_peek_changes($1, NULL, NULL) WHERE data LIKE 'COMMIT%'";
        let commits = client.query(sql, &[&NAME]).await.unwrap();
        assert_eq!(commits.iter().map(|row| row.get::<_, String>(1)).collect::<Vec<_>>(), xids);
        let ends = commits.iter().map(|row| row.get::<_, String>(0).parse().unwrap()).collect();
        Self { server, endpoint: endpoint(1), xids, ends, runs: 0 }
    }

    /// Reads all of it once more, and gives the records, a line break between them, and how the program ended.
    async fn run(&mut self, change: impl FnOnce(Launch) -> Launch) -> (String, Outcome) {
        self.runs += 1;
        let name = format!("run_{}", self.runs);
        self.server.copy_slot(NAME, &name).await;
        self.endpoint.create_stream(&name, 1).unwrap();
        let launch = change(Launch::new(&self.server, &self.endpoint).with("-s", &name).with("-k", &name));
        let program = launch.start();
        self.server.wait_confirmed(&name, *self.ends.last().unwrap(), SOON).await;
        let outcome = program.terminate().await;
        outcome.assert_drained();
        (lines(&self.endpoint.records(&name)).join("\n") + "\n", outcome)
    }

    fn filled_in(&self, golden: &str) -> String {
        let mut text = golden.to_owned();
        for (number, (xid, end)) in (1..).zip(self.xids.iter().zip(&self.ends)) {
            text =
                text.replace(&format!("{{xid {number}}}"), xid).replace(&format!("{{end {number}}}"), &end.to_string());
        }
        text
    }

    fn assert_golden(&self, found: &str, golden: &str) {
        let pieces = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
        assert_same(&pieces(found), &pieces(&self.filled_in(golden)));
    }
}

fn minimal() -> OsString {
    artifacts::formatter("minimal_formatter").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_in_every_format() {
    let mut executed = Executed::new().await;

    let (found, outcome) = executed.run(|launch| launch.with("-f", "csv")).await;
    executed.assert_golden(&found, CSV);
    let warnings = outcome.warnings();
    assert_eq!(warnings.len(), 1, "expected one warning, about the table without a key:\n{}", outcome.log);
    assert!(warnings[0].contains("keyless"), "{}", warnings[0]);
    assert_eq!(outcome.errors(), [] as [&str; 0]);

    let (found, _) = executed.run(|launch| launch.with("-f", "csv-payload")).await;
    executed.assert_golden(&found, CSV_PAYLOAD);
    let (found, _) = executed.run(|launch| launch.with("-f", minimal())).await;
    executed.assert_golden(&found, MINIMAL);

    // The same by other names: pg2kinesis's, and none at all.
    let (found, _) = executed.run(|launch| launch.with("--message-formatter", "CSV")).await;
    executed.assert_golden(&found, CSV);
    let (found, _) = executed.run(|launch| launch.with("--formatter", "CSVPayload")).await;
    executed.assert_golden(&found, CSV_PAYLOAD);
    let (found, _) = executed.run(|launch| launch).await;
    executed.assert_golden(&found, CSV_PAYLOAD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_leave_positions_alone() {
    let mut executed = Executed::new().await;
    // Every record begins with its end, and a text in it may have a line break.
    let only = |wanted: &dyn Fn(&str, &str) -> bool| -> String {
        let records = MINIMAL.split("{end ").skip(1).filter(|record| {
            let words: Vec<_> = record.splitn(3, ' ').collect();
            wanted(words[1], words[2])
        });
        records.flat_map(|record| ["{end ", record]).collect()
    };

    let (found, _) = executed.run(|launch| launch.with("-f", minimal()).with("--table-pat", r"^public\.users$")).await;
    executed.assert_golden(&found, &only(&|_, table| table.split_whitespace().next() == Some("public.users")));

    // Searched for anywhere in the name, as pg2kinesis does.
    let (found, _) = executed.run(|launch| launch.with("-f", minimal()).with("--table-pat", "visits")).await;
    executed.assert_golden(&found, &only(&|_, table| table.starts_with("public.visits")));

    for operation in ["insert", "update", "delete", "truncate"] {
        let (found, _) = executed.run(|launch| launch.with("-f", minimal()).with("--operations", operation)).await;
        executed.assert_golden(&found, &only(&|found, _| found == operation.to_uppercase()));
    }

    let both = |launch: Launch| {
        launch
            .with("-f", minimal())
            .and("--operations", "update")
            .and("--operations", "delete")
            .with("--table-pat", "users|pairs")
    };
    let (found, _) = executed.run(both).await;
    let golden = only(&|operation, table| {
        matches!(operation, "UPDATE" | "DELETE")
            && (table.starts_with("public.users") || table.starts_with("public.pairs"))
    });
    executed.assert_golden(&found, &golden);

    let (found, _) = executed.run(|launch| launch.with("-f", minimal()).with("--operations", "all")).await;
    executed.assert_golden(&found, MINIMAL);

    // An update is an update, also where it becomes two records.
    let update = |launch: Launch| launch.with("-f", "csv").with("--operations", "update").with("--table-pat", "users");
    let (found, _) = executed.run(update).await;
    let golden: String = CSV
        .split_inclusive('\n')
        .filter(|line| line.contains(",public.users,"))
        .filter(|line| line.contains(",UPDATE,") || line.contains("{xid 3}"))
        .collect();
    executed.assert_golden(&found, &golden);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_made_while_it_runs() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.create_slot(NAME).await;
    let program = Launch::new(&server, &endpoint).with("-f", "csv").start();
    server.wait_active(NAME, SOON).await;
    server
        .execute(&[
            "CREATE TABLE made (b int, a int, PRIMARY KEY (a, b))",
            "INSERT INTO made VALUES (1, 2)",
            "CREATE TABLE unkeyed (n int)",
            "INSERT INTO unkeyed VALUES (1)",
            "INSERT INTO unkeyed VALUES (2), (3)",
        ])
        .await;
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    server.execute(&["DROP TABLE unkeyed", "INSERT INTO made VALUES (3, 4)"]).await;
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    let outcome = program.terminate().await;
    outcome.assert_drained();
    let found = lines(&endpoint.records(NAME));
    let without_xid = |line: &String| {
        let fields: Vec<_> = line.split(',').collect();
        fields[3..].join(",")
    };
    let found: Vec<_> = found.iter().map(without_xid).collect();
    assert_eq!(found, ["public.made,INSERT,2,1", "public.made,INSERT,4,3"]);
    assert_eq!(outcome.warnings().len(), 1, "expected one warning, about the table without a key:\n{}", outcome.log);
    assert!(outcome.warnings()[0].contains("unkeyed"), "{}", outcome.log);
    assert_eq!(outcome.errors(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_users_of_pg2kinesis_know_it() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    let pgbench = |arguments: &[&str]| {
        let output =
            server.program("pgbench").args(arguments).output().expect("running pgbench: tests/run.sh installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    pgbench(&["--initialize", "--quiet"]);
    let launch =
        Launch::new(&server, &endpoint).with("-f", "CSV").with("--table-pat", "accounts").flag("--create-slot");
    let program = launch.start();
    server.wait_active(NAME, SOON).await;
    pgbench(&["--no-vacuum", "--skip-some-updates", "--client=2", "--transactions=50"]);
    let end = server.wal_end().await;
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();

    let found = lines(&endpoint.records(NAME));
    assert_eq!(found.len(), 100);
    for line in found {
        let rest = line.strip_prefix("0,CDC,").unwrap_or_else(|| panic!("{line}"));
        let (xid, key) = rest.split_once(",public.pgbench_accounts,UPDATE,").unwrap_or_else(|| panic!("{line}"));
        let numbers = (xid.parse::<u32>(), key.parse::<u32>());
        assert!(matches!(numbers, (Ok(_), Ok(1..=100_000))), "{line}");
    }
}
