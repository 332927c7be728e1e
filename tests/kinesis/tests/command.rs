//! The program: its output, its files and its exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use pg2k_test_kinesis::{Client, Endpoint, Options};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kinesis-endpoint");

/// Runs `records` to its end.
fn records(url: &str, arguments: &[&str]) -> std::io::Result<(Option<i32>, String, String)> {
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(["records", "--endpoint", url, "--stream", "orders"]).args(arguments).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status.code(), text(stdout), text(stderr)))
}

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn serve_says_where_it_listens_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let directory = std::env::temp_dir();
        let port_file = directory.join(format!("kinesis-endpoint-{}-{signal}", std::process::id()));
        let child = Command::new(PROGRAM)
            .args(["serve", "--port", "0", "--stream", "orders=2", "--stream", "other=1", "--port-file"])
            .arg(&port_file)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Running(child.unwrap());
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap();
        let port = std::fs::read_to_string(&port_file).unwrap();
        std::fs::remove_file(&port_file).unwrap();
        assert_eq!(url, format!("http://127.0.0.1:{port}"));

        let mut client = Client::connect(url).await.unwrap();
        let streams = client.call("ListStreams", &json!({})).await.unwrap();
        assert_eq!(streams["StreamNames"], json!(["orders", "other"]));
        let kill = Command::new("kill").args(["-s", signal, &child.0.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(child.0.wait().unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn records_are_printed_taken_apart() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 2).unwrap();
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    // The aggregate of src/aggregate.rs: "one" and "two" of the first shard.
    let aggregate = "84mawgoBYQoBYhIBNxoHCAAaA29uZRoPCAEQABoDdHdvIgQKAmlkaqsDrIHpI+tlvFwPrB63Ug==";
    for (key, data) in [("0", aggregate), ("0", "dGhyZWU=")] {
        let request = json!({ "StreamName": "orders", "PartitionKey": "p", "ExplicitHashKey": key, "Data": data });
        client.call("PutRecord", &request).await.unwrap();
    }
    let url = endpoint.url();
    let nothing = String::new();
    assert_eq!(records(&url, &[]).unwrap(), (Some(0), "one\ntwo\nthree\n".to_owned(), nothing.clone()));
    assert_eq!(records(&url, &["--max", "1"]).unwrap(), (Some(0), "one\n".to_owned(), nothing.clone()));
    // What was read within no time is printed, and is not enough.
    let (code, _, error) = records(&url, &["--wait-for", "4", "--deadline", "0"]).unwrap();
    let expected = "kinesis-endpoint: stream orders: expected 4 records within 0 s, found ";
    assert_eq!((code, error.starts_with(expected)), (Some(1), true), "{error}");

    let waiting = std::thread::spawn(move || records(&url, &["--wait-for", "4"]));
    let request = json!({ "StreamName": "orders", "PartitionKey": "p", "ExplicitHashKey": "0", "Data": "Zm91cg==" });
    client.call("PutRecord", &request).await.unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), (Some(0), "one\ntwo\nthree\nfour\n".to_owned(), nothing));
}

#[test]
fn errors_are_one_line_and_exit_code_1() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    let (code, output, error) = records(&endpoint.url(), &[]).unwrap();
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert_eq!(
        error,
        "kinesis-endpoint: ListShards answered 400, ResourceNotFoundException: Stream orders under account \
         000000000000 not found.\n"
    );
    endpoint.pause();
    let (code, _, error) = records(&endpoint.url(), &[]).unwrap();
    assert_eq!(code, Some(1));
    assert!(error.starts_with("kinesis-endpoint: connecting to 127.0.0.1:"), "{error}");
    assert_eq!(error.lines().count(), 1);

    endpoint.resume().unwrap();
    let port = endpoint.port().to_string();
    let taken = Command::new(PROGRAM).args(["serve", "--port", &port]).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let error = String::from_utf8(taken.stderr).unwrap();
    assert!(error.starts_with(&format!("kinesis-endpoint: listening on 127.0.0.1:{port}: ")), "{error}");
}
