//! The endpoint over HTTP, as a client sees it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pg2k_test_kinesis::{Client, ClientError, Endpoint, Options, user_records};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

fn put(partition_key: &str, data: &[u8]) -> Value {
    json!({ "StreamName": "orders", "PartitionKey": partition_key, "Data": STANDARD.encode(data) })
}

fn code<Answer>(result: Result<Answer, ClientError>) -> String {
    match result {
        Err(ClientError::Service { status, code, .. }) => format!("{status} {code}"),
        Err(error) => error.to_string(),
        Ok(_) => "accepted".to_owned(),
    }
}

async fn read(client: &mut Client, iterator: Value, limit: usize) -> Result<Value, ClientError> {
    let answer = client.call("GetShardIterator", &iterator).await?;
    client.call("GetRecords", &json!({ "ShardIterator": answer.get("ShardIterator"), "Limit": limit })).await
}

#[tokio::test]
async fn a_stream_is_made_described_and_deleted() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    let name = json!({ "StreamName": "orders" });
    assert_eq!(code(client.call("DescribeStreamSummary", &name).await), "400 ResourceNotFoundException");
    let create = json!({ "StreamName": "orders", "ShardCount": 2 });
    assert_eq!(client.call("CreateStream", &create).await.unwrap(), Value::Null);
    assert_eq!(code(client.call("CreateStream", &create).await), "400 ResourceInUseException");

    let answer = client.call("DescribeStreamSummary", &name).await.unwrap();
    let summary = &answer["StreamDescriptionSummary"];
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
    assert_eq!(summary["StreamARN"], arn);
    assert_eq!(summary["StreamStatus"], "ACTIVE");
    assert_eq!(summary["OpenShardCount"], 2);
    assert_eq!(summary["MaxRecordSizeInKiB"], 1024);
    assert_eq!(summary["StreamModeDetails"]["StreamMode"], "PROVISIONED");
    assert_eq!(summary.get("RecordDistributionStrategy"), None);

    endpoint.set_max_record_size("orders", 5120).unwrap();
    endpoint.set_automatic_distribution("orders", true).unwrap();
    let answer = client.call("DescribeStreamSummary", &json!({ "StreamARN": arn })).await.unwrap();
    assert_eq!(answer["StreamDescriptionSummary"]["MaxRecordSizeInKiB"], 5120);
    assert_eq!(answer["StreamDescriptionSummary"]["RecordDistributionStrategy"], "AUTO");

    let answer = client.call("ListShards", &name).await.unwrap();
    let half = "170141183460469231731687303715884105728";
    assert_eq!(answer["Shards"][1]["ShardId"], "shardId-000000000001");
    assert_eq!(answer["Shards"][1]["HashKeyRange"]["StartingHashKey"], half);
    assert_eq!(client.call("ListStreams", &json!({})).await.unwrap()["StreamNames"], json!(["orders"]));
    client.call("DeleteStream", &name).await.unwrap();
    assert_eq!(client.call("ListStreams", &json!({})).await.unwrap()["StreamNames"], json!([]));
}

#[tokio::test]
async fn records_come_back_as_they_were_put() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    let mut numbers = Vec::new();
    for index in 0..3_u8 {
        let answer = client.call("PutRecord", &put("key", &[index, 0, 255])).await.unwrap();
        assert_eq!(answer["ShardId"], "shardId-000000000000");
        numbers.push(answer["SequenceNumber"].clone());
    }
    let iterator = |kind: &str, number: &Value| {
        let mut request =
            json!({ "StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": kind });
        if !number.is_null() {
            request["StartingSequenceNumber"] = number.clone();
        }
        request
    };
    let answer = read(&mut client, iterator("TRIM_HORIZON", &Value::Null), 2).await.unwrap();
    assert_eq!(answer["Records"].as_array().unwrap().len(), 2);
    assert_ne!(answer["MillisBehindLatest"], 0);
    assert_eq!(answer["Records"][1]["SequenceNumber"], numbers[1]);
    assert_eq!(answer["Records"][1]["Data"], STANDARD.encode([1, 0, 255]));
    assert_eq!(answer["Records"][1]["PartitionKey"], "key");
    let next = json!({ "ShardIterator": answer["NextShardIterator"] });
    let answer = client.call("GetRecords", &next).await.unwrap();
    assert_eq!(answer["Records"][0]["SequenceNumber"], numbers[2]);
    assert_eq!(answer["MillisBehindLatest"], 0);

    let mut first = async |request: Value| {
        let answer = read(&mut client, request, 10_000).await.unwrap();
        answer["Records"].get(0).map(|record| record["SequenceNumber"].clone())
    };
    assert_eq!(first(iterator("LATEST", &Value::Null)).await, None);
    assert_eq!(first(iterator("AT_SEQUENCE_NUMBER", &numbers[1])).await.as_ref(), Some(&numbers[1]));
    assert_eq!(first(iterator("AFTER_SEQUENCE_NUMBER", &numbers[1])).await.as_ref(), Some(&numbers[2]));
    let arrived = endpoint.records("orders")[0].arrived.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut at = iterator("AT_TIMESTAMP", &Value::Null);
    at["Timestamp"] = json!(arrived - 1.0);
    assert_eq!(first(at.clone()).await.as_ref(), Some(&numbers[0]));
    at["Timestamp"] = json!(arrived + 1_000.0);
    assert_eq!(first(at).await, None);
    assert_eq!(
        code(read(&mut client, iterator("AT_SEQUENCE_NUMBER", &json!("x")), 1).await),
        "400 InvalidArgumentException"
    );
    assert_eq!(code(read(&mut client, iterator("SOMEWHERE", &Value::Null), 1).await), "400 ValidationException");
    assert_eq!(code(read(&mut client, iterator("LATEST", &Value::Null), 10_001).await), "400 ValidationException");
}

#[tokio::test]
async fn put_records_takes_all_or_none() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 4).unwrap();
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    let entry = |key: usize, data: &str| json!({ "PartitionKey": key.to_string(), "Data": data });
    let request = |records: Vec<Value>| json!({ "StreamName": "orders", "Records": records });
    let full = request((0..500).map(|key| entry(key, "aGk=")).collect());
    let answer = client.call("PutRecords", &full).await.unwrap();
    assert_eq!(answer["FailedRecordCount"], 0);
    assert_eq!(answer["Records"].as_array().unwrap().len(), 500);
    let records = endpoint.records("orders");
    assert!(records.windows(2).all(|pair| pair[0].sequence_number < pair[1].sequence_number));
    let keys: Vec<String> = user_records(&records).unwrap().into_iter().map(|record| record.partition_key).collect();
    assert_eq!(keys, (0..500).map(|key| key.to_string()).collect::<Vec<_>>());

    let over = request((0..501).map(|key| entry(key, "aGk=")).collect());
    assert_eq!(code(client.call("PutRecords", &over).await), "400 ValidationException");
    assert_eq!(code(client.call("PutRecords", &request(Vec::new())).await), "400 ValidationException");
    let mixed = request(vec![entry(1, "aGk="), entry(2, "*")]);
    assert_eq!(code(client.call("PutRecords", &mixed).await), "400 SerializationException");
    let mebibyte = STANDARD.encode(vec![7; 1024 * 1024 - 2]);
    let large = request((0..10).map(|key| entry(key, &mebibyte)).collect());
    assert_eq!(code(client.call("PutRecords", &large).await), "accepted");
    let larger = request((0..11).map(|key| entry(key, &mebibyte)).collect());
    assert_eq!(code(client.call("PutRecords", &larger).await), "400 InvalidArgumentException");
    assert_eq!(endpoint.records("orders").len(), 510);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 1).unwrap();
    let mut client = Client::connect(&endpoint.url()).await.unwrap();
    let with = |member: &str, value: Value| {
        let mut request = put("key", b"data");
        request[member] = value;
        request
    };
    for (request, expected) in [
        (with("StreamName", json!("other")), "400 ResourceNotFoundException"),
        (with("PartitionKey", json!("")), "400 ValidationException"),
        (with("Data", json!("*")), "400 SerializationException"),
        (with("Data", json!(STANDARD.encode(vec![0; 1024 * 1024]))), "400 ValidationException"),
        (with("Data", json!("A".repeat(16 * 1024 * 1024))), "400 ValidationException"),
        (with("ExplicitHashKey", json!("-1")), "400 InvalidArgumentException"),
        (with("SequenceNumberForOrdering", json!("one")), "400 InvalidArgumentException"),
    ] {
        let mut client = Client::connect(&endpoint.url()).await.unwrap();
        assert_eq!(code(client.call("PutRecord", &request).await), expected);
    }
    assert_eq!(code(client.call("Frobnicate", &json!({})).await), "400 UnknownOperationException");
    assert!(endpoint.records("orders").is_empty());
}

#[tokio::test]
async fn several_connections_are_served_at_once() {
    let endpoint = Endpoint::start(Options::default()).unwrap();
    endpoint.create_stream("orders", 2).unwrap();
    let before = SystemTime::now();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let url = endpoint.url();
            tokio::spawn(async move {
                let mut client = Client::connect(&url).await.unwrap();
                for index in 0..50 {
                    client.call("PutRecord", &put(&format!("{writer}"), format!("{index}").as_bytes())).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let records = endpoint.wait_for("orders", DEADLINE, |records| records.len() == 400).unwrap();
    for writer in 0..8 {
        let key = writer.to_string();
        let own = records.iter().filter(|record| record.partition_key == key);
        let data: Vec<_> = own.map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect();
        assert_eq!(data, (0..50).map(|index| index.to_string()).collect::<Vec<_>>());
    }
    assert!(records.iter().all(|record| record.arrived >= before - Duration::from_secs(1)));
    assert_eq!(endpoint.put_requests(), 400);
}
