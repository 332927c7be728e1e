//! `pg2k capture` and `pg2k format` where something is wrong: a line that says what, an exit code, and nothing consumed.

#![allow(clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use std::fs;
use std::process::Stdio;

use pg2k_test_end_to_end::program::Launch;
use pg2k_test_end_to_end::server::Server;
use pg2k_test_end_to_end::tool::{self, Ran};
use pg2k_test_end_to_end::wait::SOON;
use pg2k_test_end_to_end::{NAME, endpoint};

const ROW: &str = r#"{"lsn":"0/2","data":"table s.t: INSERT: id[integer]:1"}"#;

fn lines(lines: &[&str]) -> Vec<u8> {
    lines.join("\n").into_bytes()
}

fn texts(ran: &Ran) -> (i32, Vec<String>, &str) {
    let output = String::from_utf8(ran.output.clone()).unwrap();
    (ran.code, output.lines().map(str::to_owned).collect(), &ran.errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_says_what_keeps_it() {
    let (server, endpoint) = (Server::new().await, endpoint(1));
    server.create_slot(NAME).await;
    let port = server.port().to_string();
    let connection = ["capture", "-d", "postgres", "-h", "127.0.0.1", "-p", &port, "-u", "postgres"];
    let capture = async |more: &[&str]| tool::run(&[&connection, more].concat(), Stdio::null()).await;

    let ran = capture(&["-s", "missing"]).await;
    assert_eq!((ran.code, ran.output.len()), (1, 0));
    assert!(ran.errors.contains("slot missing: expected to exist, found none"), "{}", ran.errors);

    let ran = capture(&["-s", NAME, "-o", "/nonexistent/file"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.errors.contains("cannot write /nonexistent/file"), "{}", ran.errors);

    let program = Launch::new(&server, &endpoint).start();
    server.wait_active(NAME, SOON).await;
    let ran = capture(&["-s", NAME]).await;
    assert_eq!((ran.code, ran.output.len()), (1, 0));
    assert!(ran.errors.contains("slot pg2k: expected to be free"), "{}", ran.errors);
    program.terminate().await.assert_drained();

    let ran = tool::run(&["capture", "--limit", "0"], Stdio::null()).await;
    assert_eq!(ran.code, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_can_be_a_beginning() {
    let server = Server::new().await;
    server.execute(&["CREATE TABLE t (id int PRIMARY KEY)"]).await;
    server.create_slot(NAME).await;
    server.execute(&["INSERT INTO t SELECT generate_series(1, 10)", "INSERT INTO t VALUES (11)"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let port = server.port().to_string();
    let arguments = ["capture", "-d", "postgres", "-h", "127.0.0.1", "-p", &port, "-u", "postgres", "-s", NAME];
    let ran = tool::run(&[&arguments[..], &["--limit", "2", "--output", path]].concat(), Stdio::null()).await;
    assert_eq!(texts(&ran), (0, vec![], ""));
    let captured = fs::read_to_string(path).unwrap();
    assert_eq!(captured.lines().count(), 12, "the first transaction, as a whole:\n{captured}");
    let ran = tool::format(&["-f", "csv"], file.path()).await;
    let (code, records, _) = texts(&ran);
    assert_eq!((code, records.len()), (0, 10));
    assert!(records[9].ends_with(",public.t,INSERT,10"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn format_says_where_and_what() {
    let format = async |arguments: &[&str], text: &[&str]| tool::format_lines(arguments, &lines(text)).await;
    let ran = format(&["-f", "json"], &[ROW, "", r#"{"lsn":"0/3","data":"table s.t: UPSERT:"}"#, ROW]).await;
    let (code, records, errors) = texts(&ran);
    assert_eq!((code, records.len()), (1, 0), "payloads in front of a BEGIN wait for it: {errors}");
    assert!(errors.contains(":3: byte 11 of the payload: expected INSERT:, UPDATE:, DELETE: or TRUNCATE:"), "{errors}");
    assert_eq!(errors.lines().count(), 1);

    let ran = format(&["-f", "json", "--keep-going"], &["no JSON", ROW, r#"{"lsn":"0/9","data":"COMMIT"}"#, "{"]).await;
    let (code, records, errors) = texts(&ran);
    assert_eq!((code, records.len(), errors.lines().count()), (1, 1, 2), "{errors}");
    assert!(errors.contains(":1: byte 1 of the line: expected a JSON object"), "{errors}");

    let ran = tool::run(&["format", "-f", "csv", "/nonexistent"], Stdio::null()).await;
    assert_eq!(ran.code, 1);
    assert!(ran.errors.contains("cannot read /nonexistent"), "{}", ran.errors);
    let keys = tempfile::NamedTempFile::new().unwrap();
    fs::write(keys.path(), r#"{"s.t":"id"}"#).unwrap();
    for (arguments, words) in [
        (&["-f", "xml"][..], "formatter xml: expected csv"),
        (&["-f", "csv", "--formatter-opt", "a=b"], "option a: not known here; expected no options"),
        (&["-f", "csv", "--keys", "/nonexistent"], "--keys /nonexistent"),
        (&["-f", "csv", "--keys", keys.path().to_str().unwrap()], "expected JSON such as"),
        (&["-f", "csv", "--encoding", "EBCDIC"], "EBCDIC"),
    ] {
        let ran = format(arguments, &[ROW]).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.errors);
        assert!(ran.errors.contains(words), "{arguments:?}: {}", ran.errors);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn format_publishes_what_it_is_told_to() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    fs::write(keys.path(), r#"{"s.t":["id"]}"#).unwrap();
    let keys = keys.path().to_str().unwrap();
    let text = lines(&[
        r#"{"lsn":"0/1","data":"BEGIN 7"}"#,
        ROW,
        r#"{"lsn":"0/2","data":"table s.u: INSERT: n[integer]:2"}"#,
        r#"{"lsn":"0/3","data":"table s.t: DELETE: id[integer]:1"}"#,
        r#"{"lsn":"0/4","data":"COMMIT 7"}"#,
    ]);
    let records = async |arguments: &[&str]| {
        let ran = tool::format_lines(&[&["-f", "csv"], arguments].concat(), &text).await;
        let (code, records, errors) = texts(&ran);
        assert_eq!(code, 0, "{errors}");
        records
    };
    let (insert, unkeyed, delete) = ("0,CDC,7,s.t,INSERT,1", "0,CDC,7,s.u,INSERT,", "0,CDC,7,s.t,DELETE,1");
    assert_eq!(records(&["--keys", keys]).await, [insert, unkeyed, delete]);
    assert_eq!(records(&["--keys", keys, "--unkeyed", "skip"]).await, [insert, delete]);
    assert_eq!(records(&["--keys", keys, "--operations", "delete"]).await, [delete]);
    assert_eq!(records(&["--table-pat", "u$"]).await, [unkeyed]);
}
