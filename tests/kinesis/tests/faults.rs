//! The endpoint when it misbehaves, and when it goes away and comes back.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use pg2k_test_kinesis::{Client, ClientError, Endpoint, Fault, FaultPlan, Options, WaitError};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

/// Puts one record over a connection of its own.
async fn put(url: &str, partition_key: &str) -> Result<Value, ClientError> {
    let request = json!({ "StreamName": "orders", "PartitionKey": partition_key, "Data": "aGk=" });
    Client::connect(url).await?.call("PutRecord", &request).await
}

fn outcome(result: Result<Value, ClientError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(ClientError::Service { status, code, .. }) => format!("{status} {code}"),
        Err(ClientError::Http { .. }) => "no answer".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn keys(endpoint: &Endpoint) -> Vec<String> {
    endpoint.records("orders").into_iter().map(|record| record.partition_key).collect()
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    let url = endpoint.url();
    endpoint.inject(FaultPlan::new([
        None,
        Some(Fault::throttled()),
        Some(Fault::unavailable()),
        Some(Fault::ErrorAfter),
        Some(Fault::DropBefore),
        Some(Fault::DropAfter),
        Some(Fault::Delay(Duration::from_millis(1))),
    ]));
    let mut outcomes = Vec::new();
    for key in ["fine", "throttled", "unavailable", "error after", "drop before", "drop after", "delayed", "end"] {
        outcomes.push(outcome(put(&url, key).await));
    }
    assert_eq!(
        outcomes,
        [
            "accepted",
            "400 ProvisionedThroughputExceededException",
            "503 ServiceUnavailable",
            "500 InternalFailure",
            "no answer",
            "no answer",
            "accepted",
            "accepted",
        ]
    );
    assert_eq!(keys(&endpoint), ["fine", "error after", "drop after", "delayed", "end"]);
    assert_eq!(endpoint.put_requests(), 8);
}

#[tokio::test]
async fn only_puts_fail() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    endpoint.fail_next(1, Fault::unavailable());
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    client.call("DescribeStreamSummary", &json!({ "StreamName": "orders" })).await.unwrap();
    let request = json!({ "StreamName": "orders", "Records": [{ "PartitionKey": "a", "Data": "" }] });
    assert_eq!(outcome(client.call("PutRecords", &request).await), "503 ServiceUnavailable");
    assert_eq!(outcome(client.call("PutRecords", &request).await), "accepted");
}

#[tokio::test]
async fn a_zombie_is_applied_after_its_client_gave_up() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    endpoint.fail_next(1, Fault::DropThenApply(Duration::from_millis(20)));
    assert_eq!(outcome(put(&endpoint.url(), "zombie").await), "no answer");
    let records = endpoint.wait_for("orders", DEADLINE, |records| !records.is_empty()).unwrap();
    assert_eq!(records[0].partition_key, "zombie");
}

#[tokio::test]
async fn a_delayed_put_is_not_applied_once_its_client_is_gone() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    // The second delay outlasts the first, so that the first put would be there before the second.
    endpoint.fail_next(1, Fault::Delay(Duration::from_millis(200)));
    endpoint.fail_next(1, Fault::Delay(Duration::from_millis(400)));
    let mut leaving = TcpStream::connect(("127.0.0.1", endpoint.port())).unwrap();
    let body = r#"{"StreamName":"orders","PartitionKey":"first","Data":"aGk="}"#;
    let length = body.len();
    write!(
        leaving,
        "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.PutRecord\r\n\
         content-type: application/x-amz-json-1.1\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    endpoint.wait_for_puts(1, DEADLINE).unwrap();
    drop(leaving);
    assert_eq!(outcome(put(&endpoint.url(), "second").await), "accepted");
    assert_eq!(keys(&endpoint), ["second"]);
}

#[tokio::test]
async fn a_hang_lasts_until_the_endpoint_pauses() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    endpoint.fail_next(1, Fault::Hang);
    let url = endpoint.url();
    let hanging = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        outcome(runtime.block_on(put(&url, "hanging")))
    });
    assert_eq!(endpoint.wait_for_puts(1, DEADLINE).unwrap(), 1);
    // Others are served meanwhile.
    assert_eq!(outcome(put(&endpoint.url(), "other").await), "accepted");
    endpoint.pause();
    assert_eq!(hanging.join().unwrap(), "no answer");
    assert_eq!(keys(&endpoint), ["other"]);
}

#[tokio::test]
async fn an_endpoint_goes_away_and_comes_back() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    let mut idle = Client::connect(&endpoint.url()).await.unwrap();
    assert_eq!(outcome(put(&endpoint.url(), "before").await), "accepted");
    for _ in 0..3 {
        endpoint.pause();
        endpoint.pause();
        let refused = put(&endpoint.url(), "meanwhile").await;
        assert!(matches!(refused, Err(ClientError::Connect { .. })), "{refused:?}");
        assert!(idle.call("ListStreams", &json!({})).await.is_err());
        endpoint.resume().unwrap();
        endpoint.resume().unwrap();
        assert_eq!(outcome(put(&endpoint.url(), "after").await), "accepted");
    }
    assert_eq!(keys(&endpoint), ["before", "after", "after", "after"]);
}

#[test]
fn a_dropped_endpoint_gives_its_port_back() {
    let first = Endpoint::start(Options::default()).unwrap();
    let port = first.port();
    assert!(Endpoint::start(Options { port }).is_err());
    drop(first);
    let second = Endpoint::start(Options { port }).unwrap();
    assert_eq!(second.url(), format!("http://127.0.0.1:{port}"));
}

#[test]
fn waiting_ends_at_the_deadline() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    let deadline = Duration::from_millis(1);
    let error = endpoint.wait_for("orders", deadline, |records| !records.is_empty()).unwrap_err();
    assert_eq!(error.to_string(), "stream orders: not as expected after 1ms, with 0 records");
    let error = endpoint.wait_for_puts(1, deadline).unwrap_err();
    assert_eq!(error, WaitError::Puts { expected: 1, found: 0, deadline });
}
