//! What is published, and what is not: messages, tables without a key, options of formatters, databases in other encodings.

#![allow(clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use serde_json::{Value, json};

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::replay::lines;
use pg2k_test_end_to_end::server::{Server, Settings, Version};
use pg2k_test_end_to_end::tool;
use pg2k_test_end_to_end::wait::SOON;
use pg2k_test_end_to_end::{NAME, endpoint};
use pg2k_test_kinesis::Endpoint;

/// The records of `json`, without what differs from run to run.
fn objects(endpoint: &Endpoint) -> Vec<Value> {
    let object = |line: &String| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        for member in ["lsn", "xid", "committed_at", "index"] {
            object.as_object_mut().unwrap().remove(member);
        }
        object
    };
    lines(&endpoint.records(NAME)).iter().map(object).collect()
}

fn launch(server: &Server, endpoint: &Endpoint) -> Launch {
    Launch::new(server, endpoint).with("-f", "json")
}

/// Runs until all that the slot has is published.
async fn publish(server: &Server, launch: &Launch) {
    let end = server.wal_end().await;
    let program = launch.start();
    server.wait_confirmed(NAME, end, SOON).await;
    program.terminate().await.assert_drained();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_inside_and_outside_of_transactions() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.create_slot(NAME).await;
    let messages = [
        "BEGIN; CREATE TABLE t (id int PRIMARY KEY); SELECT pg_logical_emit_message(true, 'keep', 'one'); \
         INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(false, 'keep', 'at once'); COMMIT",
        // Not of the transaction: its end does not matter.
        "BEGIN; SELECT pg_logical_emit_message(false, 'keep.too', '\\xff00'::bytea), \
         pg_logical_emit_message(true, 'keep', 'never'); ROLLBACK",
        "SELECT pg_logical_emit_message(true, 'other', 'filtered'), pg_logical_emit_message(false, 'other', 'filtered')",
    ];
    server.execute(&messages).await;
    let filtered = launch(&server, &endpoint).with("-k", NAME).flag("--messages=^keep");
    publish(&server, &filtered).await;
    let message = |prefix: &str, transactional: bool, content: &str| json!({"op": "MESSAGE", "prefix": prefix, "transactional": transactional, "content": content});
    let bytes = json!({"op": "MESSAGE", "prefix": "keep.too", "transactional": false, "content_base64": "/wA="});
    let row = json!({"op": "INSERT", "schema": "public", "table": "t", "key": {"id": 1}, "new": {"id": 1}});
    let first = [message("keep", false, "at once"), message("keep", true, "one"), row, bytes];
    assert_eq!(objects(&endpoint), first);

    // What was published is confirmed, and what comes then is not lost.
    server.execute(&["SELECT pg_logical_emit_message(false, 'keep', 'two')"]).await;
    publish(&server, &filtered).await;
    let all = first.into_iter().chain([message("keep", false, "two")]).collect::<Vec<_>>();
    assert_eq!(objects(&endpoint), all);
    let positions = lines(&endpoint.records(NAME)).into_iter().map(|line| {
        let object: Value = serde_json::from_str(&line).unwrap();
        let lsn: pg2k_test_end_to_end::lsn::Lsn = object["lsn"].as_str().unwrap().parse().unwrap();
        (lsn, object["index"].as_u64().unwrap())
    });
    assert!(positions.collect::<Vec<_>>().is_sorted_by(|a, b| a < b));

    // Without the option there are none, and they are passed by.
    server.execute(&["SELECT pg_logical_emit_message(false, 'keep', 'three')"]).await;
    publish(&server, &launch(&server, &endpoint)).await;
    assert_eq!(objects(&endpoint), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_without_a_key() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server
        .execute(&[
            "CREATE TABLE unkeyed (n int); ALTER TABLE unkeyed REPLICA IDENTITY FULL",
            "CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING",
        ])
        .await;
    server.create_slot(NAME).await;
    let start = server.confirmed(NAME).await;
    server
        .execute(&[
            "INSERT INTO unkeyed VALUES (1)",
            "DELETE FROM unkeyed",
            "INSERT INTO silent VALUES (1)",
            "DELETE FROM silent",
        ])
        .await;
    let outcome = launch(&server, &endpoint).with("--unkeyed", "fail").run().await;
    assert_eq!(outcome.code, 1, "{}", outcome.log);
    assert!(
        outcome.error().contains("INSERT of public.unkeyed: expected a primary key, found none"),
        "{}",
        outcome.log
    );
    assert_eq!((server.confirmed(NAME).await, endpoint.records(NAME).len()), (start, 0));

    publish(&server, &launch(&server, &endpoint).with("--unkeyed", "publish")).await;
    let row = |op: &str, table: &str, members: Value| {
        let mut row = json!({"op": op, "schema": "public", "table": table});
        row.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        row
    };
    let published = [
        row("INSERT", "unkeyed", json!({"new": {"n": 1}})),
        row("DELETE", "unkeyed", json!({"old": {"n": 1}})),
        row("INSERT", "silent", json!({"key": {"id": 1}, "new": {"id": 1}})),
        row("DELETE", "silent", json!({})),
    ];
    assert_eq!(objects(&endpoint), published);

    server.execute(&["INSERT INTO silent VALUES (2)", "DELETE FROM silent"]).await;
    let outcome = launch(&server, &endpoint).with("--unkeyed", "fail").run().await;
    assert!(outcome.error().contains("DELETE of public.silent: expected a primary key"), "{}", outcome.log);
    assert_eq!(objects(&endpoint).len(), published.len() + 1, "what comes before it is published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_reach_the_formatter() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE t (id int PRIMARY KEY, at timestamptz)"]).await;
    server.create_slot(NAME).await;
    for (formatter, option, words) in [
        ("json", "value=text", "option value: not known here; expected values"),
        ("json", "values=texts", "option values=texts: expected typed or text"),
        ("csv", "a=b", "option a: not known here; expected no options"),
    ] {
        let launch = Launch::new(&server, &endpoint).with("-f", formatter).with("--formatter-opt", option);
        let outcome = launch.run().await;
        assert_eq!(outcome.code, 2, "{}", outcome.log);
        assert!(outcome.error().contains(words), "{}", outcome.log);
    }
    server.execute(&["INSERT INTO t VALUES (1, '2026-11-21 08:00+00')"]).await;
    publish(&server, &launch(&server, &endpoint).with("--formatter-opt", "values=text")).await;
    assert_eq!(objects(&endpoint)[0]["new"], json!({"id": "1", "at": "2026-11-21 08:00:00+00"}));

    server.execute(&["UPDATE t SET id = 2"]).await;
    let full = Launch::new(&server, &endpoint).flag("--full-change");
    publish(&server, &full).await;
    let line = lines(&endpoint.records(NAME)).pop().unwrap();
    let object: Value = serde_json::from_str(line.strip_prefix("0,CDC,").unwrap()).unwrap();
    let change = json!({
        "kind": "update", "schema": "public", "table": "t",
        "columnnames": ["id", "at"], "columntypes": ["integer", "timestamp with time zone"],
        "columnvalues": [2, "2026-11-21 08:00:00+00"],
        "oldkeys": {"keynames": ["id"], "keytypes": ["integer"], "keyvalues": [1]},
    });
    assert_eq!(object["change"], change);
}

/// Makes a database of this encoding with a table in it, and a slot.
async fn create_database(server: &Server, encoding: &str, table: &[u8]) {
    let sql = format!("CREATE DATABASE other ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    server.execute(&[&sql]).await;
    let client = server.client_of("other").await;
    client.batch_execute(std::str::from_utf8(table).unwrap()).await.unwrap();
    client
        .batch_execute(&format!("SELECT pg_create_logical_replication_slot('{NAME}', 'test_decoding')"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_another_encoding() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    create_database(&server, "LATIN1", "CREATE TABLE \"Café\" (\"clé\" text PRIMARY KEY, plain text)".as_bytes()).await;
    let client = server.client_of("other").await;
    client.batch_execute("INSERT INTO \"Café\" VALUES ('é''ü', 'a'); DELETE FROM \"Café\"").await.unwrap();
    // A table that is not known from the start: its name goes to the server in the server's encoding.
    client.batch_execute("CREATE TABLE \"Été\" (\"à\" int PRIMARY KEY); INSERT INTO \"Été\" VALUES (1)").await.unwrap();
    // What is in a prefix is text, what is in a content need not be.
    client.batch_execute("SELECT pg_logical_emit_message(false, 'ö', 'ä')").await.unwrap();
    publish(&server, &launch(&server, &endpoint).with("-d", "other").flag("--messages=^ö$")).await;
    let row = |op: &str, table: &str, key: Value| json!({"op": op, "schema": "public", "table": table, "key": key});
    let found = objects(&endpoint);
    let mut insert = row("INSERT", "Café", json!({"clé": "é'ü"}));
    insert["new"] = json!({"clé": "é'ü", "plain": "a"});
    let mut delete = row("DELETE", "Café", json!({"clé": "é'ü"}));
    delete["old"] = json!({"clé": "é'ü"});
    let mut late = row("INSERT", "Été", json!({"à": 1}));
    late["new"] = json!({"à": 1});
    let message = json!({"op": "MESSAGE", "prefix": "ö", "transactional": false, "content_base64": "5A=="});
    assert_eq!(found, [insert, delete, late, message]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    create_database(&server, "SQL_ASCII", b"CREATE TABLE t (id int PRIMARY KEY, a text, b text)").await;
    let client = server.client_of("other").await;
    let start = server.confirmed(NAME).await;
    client.batch_execute("INSERT INTO t VALUES (1, E'\\xe9''', 'é')").await.unwrap();
    let other = launch(&server, &endpoint).with("-d", "other");
    let outcome = other.run().await;
    assert_eq!((outcome.code, server.confirmed(NAME).await), (1, start), "{}", outcome.log);
    assert!(outcome.error().contains("expected UTF-8"), "{}", outcome.log);
    assert!(outcome.error().contains("--invalid-text"), "{}", outcome.log);
    publish(&server, &other.clone().with("--invalid-text", "base64")).await;
    assert_eq!(objects(&endpoint)[0]["new"], json!({"id": 1, "a": "6Sc=", "b": "é"}));
    client.batch_execute("INSERT INTO t VALUES (2, E'\\xe9''', 'é')").await.unwrap();
    publish(&server, &other.with("--invalid-text", "replace")).await;
    assert_eq!(objects(&endpoint)[1]["new"], json!({"id": 2, "a": "\u{fffd}'", "b": "é"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_text_stay_apart() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    create_database(&server, "SQL_ASCII", b"SELECT 1").await;
    let client = server.client_of("other").await;
    for (byte, columns) in [("e8", "id int PRIMARY KEY, k int"), ("e9", "id int, k int PRIMARY KEY")] {
        let name = format!("'t' || convert_from('\\x{byte}', 'SQL_ASCII')");
        let sql = format!(
            "DO $$ BEGIN EXECUTE 'CREATE TABLE \"' || {name} || '\" ({columns})'; \
             EXECUTE 'INSERT INTO \"' || {name} || '\" VALUES (1, 2)'; END $$"
        );
        client.batch_execute(&sql).await.unwrap();
    }
    let capture = tool::capture(&server, "other", NAME).await.succeeded();
    for (number, policy) in (1..).zip(["replace", "base64"]) {
        let slot = format!("s{number}");
        // A copy belongs to the database in which it is made.
        client.batch_execute(&format!("SELECT pg_copy_logical_replication_slot('{NAME}', '{slot}')")).await.unwrap();
        endpoint.create_stream(&slot, 1).unwrap();
        let launch = launch(&server, &endpoint).with("-d", "other").with("--invalid-text", policy);
        let program = launch.with("-s", &slot).with("-k", &slot).start();
        server.wait_confirmed(&slot, server.wal_end().await, SOON).await;
        program.terminate().await.assert_drained();
        let live = lines(&endpoint.records(&slot));
        let keys = live.iter().map(|line| {
            let object: Value = serde_json::from_str(line).unwrap();
            json!([object["table"], object["key"]])
        });
        assert_eq!(keys.collect::<Vec<_>>(), [json!(["dOg=", {"id": 1}]), json!(["dOk=", {"k": 2}])]);
        let formatted = tool::format_lines(&["-f", "json", "--invalid-text", policy], &capture).await.succeeded();
        assert_eq!(String::from_utf8(formatted).unwrap().lines().collect::<Vec<_>>(), live);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_moves_to_a_new_column_is_noticed() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.execute(&["CREATE TABLE t (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    let program = launch(&server, &endpoint).start();
    server.execute(&["INSERT INTO t VALUES (1)"]).await;
    server.wait_confirmed(NAME, server.wal_end().await, SOON).await;
    server
        .execute(&[
            "BEGIN; ALTER TABLE t ADD k int; UPDATE t SET k = 7; ALTER TABLE t DROP CONSTRAINT t_pkey; \
             ALTER TABLE t ADD PRIMARY KEY (k); COMMIT",
            "INSERT INTO t VALUES (2, 8)",
        ])
        .await;
    server.wait_confirmed(NAME, server.wal_end().await, SOON).await;
    program.terminate().await.assert_drained();
    let keys = objects(&endpoint).iter().map(|object| object["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys.first(), Some(&json!({"id": 1})));
    assert_eq!(keys.last(), Some(&json!({"k": 8})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtual_columns_are_left_out_also_when_they_are_new() {
    let (server, endpoint) = (Settings::default().version(Version::Major(18)).start().await, endpoint(1));
    server
        .execute(&["CREATE TABLE t (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) VIRTUAL)"])
        .await;
    server.create_slot(NAME).await;
    let program = launch(&server, &endpoint).start();
    server.execute(&["INSERT INTO t VALUES (1, 1)"]).await;
    server.wait_confirmed(NAME, server.wal_end().await, SOON).await;
    server
        .execute(&[
            "ALTER TABLE t ADD COLUMN thrice int GENERATED ALWAYS AS (n * 3) VIRTUAL",
            "INSERT INTO t VALUES (2, NULL)",
        ])
        .await;
    server.wait_confirmed(NAME, server.wal_end().await, SOON).await;
    program.terminate().await.assert_drained();
    let rows = objects(&endpoint).iter().map(|object| object["new"].clone()).collect::<Vec<_>>();
    assert_eq!(rows, [json!({"id": 1, "n": 1}), json!({"id": 2, "n": null})]);
}
