//! `kinesis-endpoint records`: a small consumer, over HTTP like any other.
//!
//! Records come from the endpoint shard by shard, are taken apart, and go to standard output in the order of each shard.

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pg2k_test_kinesis::{Client, ClientError, HashRange, StoredRecord, take_apart};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long to leave a shard alone that had nothing new: the service allows five reads a second.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The endpoint's URL, such as http://127.0.0.1:4567
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// The stream's name
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Print at most this many records
    #[arg(long, value_name = "N")]
    max: Option<usize>,
    /// Go on until this many records are there
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_for: usize,
    /// How long to wait for them
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
}

/// Holds a place in a shard.
struct Shard {
    id: String,
    range: HashRange,
    iterator: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut printed = 0;
    let deadline = Duration::from_secs(arguments.deadline);
    let finished = runtime.block_on(async {
        if arguments.wait_for == 0 {
            return print(arguments, &mut printed).await.map(Some);
        }
        tokio::time::timeout(deadline, print(arguments, &mut printed)).await.ok().transpose()
    })?;
    finished.ok_or_else(|| {
        let Arguments { stream, wait_for, deadline, .. } = arguments;
        format!("stream {stream}: expected {wait_for} records within {deadline} s, found {printed}").into()
    })
}

/// Prints what is there until enough is, and counts it.
async fn print(arguments: &Arguments, printed: &mut usize) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(&arguments.endpoint).await?;
    let mut shards = shards(&mut client, &arguments.stream).await?;
    let mut output = io::BufWriter::new(io::stdout());
    let max = arguments.max.unwrap_or(usize::MAX);
    loop {
        let round = Instant::now();
        for shard in &mut shards {
            loop {
                let (records, at_end) = read(&mut client, shard).await?;
                for record in &records {
                    for user_record in take_apart(record)? {
                        if *printed == max {
                            return Ok(output.flush()?);
                        }
                        output.write_all(&user_record.data)?;
                        output.write_all(b"\n")?;
                        *printed += 1;
                    }
                }
                if at_end {
                    break;
                }
            }
        }
        output.flush()?;
        if *printed >= arguments.wait_for.min(max) {
            return Ok(());
        }
        tokio::time::sleep_until(round + PAUSE).await;
    }
}

async fn shards(client: &mut Client, stream: &str) -> Result<Vec<Shard>, Box<dyn Error>> {
    let answer = client.call("ListShards", &json!({ "StreamName": stream })).await?;
    let mut shards = Vec::new();
    for shard in member(&answer, "/Shards", "ListShards")?.as_array().into_iter().flatten() {
        let id = text(shard, "/ShardId", "ListShards")?;
        let first = text(shard, "/HashKeyRange/StartingHashKey", "ListShards")?.parse()?;
        let last = text(shard, "/HashKeyRange/EndingHashKey", "ListShards")?.parse()?;
        let request = json!({ "StreamName": stream, "ShardId": id, "ShardIteratorType": "TRIM_HORIZON" });
        let answer = client.call("GetShardIterator", &request).await?;
        let iterator = text(&answer, "/ShardIterator", "GetShardIterator")?.to_owned();
        shards.push(Shard { id: id.to_owned(), range: HashRange { first, last }, iterator });
    }
    Ok(shards)
}

/// Reads what comes next in a shard, and tells whether that is all for now.
async fn read(client: &mut Client, shard: &mut Shard) -> Result<(Vec<StoredRecord>, bool), Box<dyn Error>> {
    const OPERATION: &str = "GetRecords";
    let answer = client.call(OPERATION, &json!({ "ShardIterator": shard.iterator })).await?;
    let mut records = Vec::new();
    for record in member(&answer, "/Records", OPERATION)?.as_array().into_iter().flatten() {
        let data = STANDARD.decode(text(record, "/Data", OPERATION)?);
        records.push(StoredRecord {
            shard: shard.id.clone(),
            shard_range: shard.range,
            sequence_number: text(record, "/SequenceNumber", OPERATION)?.parse()?,
            partition_key: text(record, "/PartitionKey", OPERATION)?.to_owned(),
            // What only producers see, and what is not printed.
            explicit_hash_key: None,
            sequence_number_for_ordering: None,
            data: data.map_err(|_| expected(OPERATION, "base64 in /Data"))?.into(),
            arrived: SystemTime::UNIX_EPOCH,
        });
    }
    shard.iterator = text(&answer, "/NextShardIterator", OPERATION)?.to_owned();
    let at_end = member(&answer, "/MillisBehindLatest", OPERATION)?.as_u64() == Some(0);
    Ok((records, at_end))
}

fn expected(operation: &str, expected: &'static str) -> ClientError {
    ClientError::Answer { operation: operation.to_owned(), expected }
}

fn member<'answer>(answer: &'answer Value, path: &'static str, operation: &str) -> Result<&'answer Value, ClientError> {
    answer.pointer(path).ok_or_else(|| expected(operation, path))
}

fn text<'answer>(answer: &'answer Value, path: &'static str, operation: &str) -> Result<&'answer str, ClientError> {
    member(answer, path, operation)?.as_str().ok_or_else(|| expected(operation, path))
}
