//! The operations of the service: a request's body in, the answer's JSON out.
//!
//! `server` calls with what came over HTTP. Everything that costs time, parsing and base64, is done before the store is
//! locked.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::endpoint::Shared;
use crate::limits;
use crate::sequence::SequenceNumber;
use crate::service_error::ServiceError;
use crate::stream::{AdmittedRecord, NewRecord, Shard, Stream};
use crate::wire;

/// Shards of a stream whose maker named no number: what the service gives an on-demand stream.
const DEFAULT_SHARDS: u32 = 4;

/// Names an operation that the endpoint knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateStream,
    DeleteStream,
    DescribeStream,
    DescribeStreamSummary,
    GetRecords,
    GetShardIterator,
    ListShards,
    ListStreams,
    PutRecord,
    PutRecords,
}

impl Operation {
    /// Tells whether faults apply.
    pub(crate) fn is_put(self) -> bool {
        matches!(self, Self::PutRecord | Self::PutRecords)
    }
}

impl FromStr for Operation {
    type Err = ServiceError;

    fn from_str(name: &str) -> Result<Self, ServiceError> {
        Ok(match name {
            "CreateStream" => Self::CreateStream,
            "DeleteStream" => Self::DeleteStream,
            "DescribeStream" => Self::DescribeStream,
            "DescribeStreamSummary" => Self::DescribeStreamSummary,
            "GetRecords" => Self::GetRecords,
            "GetShardIterator" => Self::GetShardIterator,
            "ListShards" => Self::ListShards,
            "ListStreams" => Self::ListStreams,
            "PutRecord" => Self::PutRecord,
            "PutRecords" => Self::PutRecords,
            _ => return Err(ServiceError::unknown_operation(format!("operation {name} is not known here"))),
        })
    }
}

/// Does what a request asks for. Operations without an answer give an empty one.
pub(crate) fn perform(
    shared: &Shared,
    operation: Operation,
    body: &[u8],
    now: SystemTime,
) -> Result<Value, ServiceError> {
    match operation {
        Operation::CreateStream => create_stream(shared, body, now),
        Operation::DeleteStream => {
            let name = wire::parse::<wire::StreamRequest>(body)?.name()?;
            shared.lock().store.delete(&name)?;
            Ok(Value::Null)
        }
        Operation::DescribeStream => with_stream(shared, body, |stream| {
            let mut description = summary(stream);
            description.insert("Shards".to_owned(), shards(stream));
            description.insert("HasMoreShards".to_owned(), json!(false));
            json!({ "StreamDescription": description })
        }),
        Operation::DescribeStreamSummary => {
            with_stream(shared, body, |stream| json!({ "StreamDescriptionSummary": summary(stream) }))
        }
        Operation::ListShards => with_stream(shared, body, |stream| json!({ "Shards": shards(stream) })),
        Operation::ListStreams => list_streams(shared, body),
        Operation::PutRecord => put_record(shared, body, now),
        Operation::PutRecords => put_records(shared, body, now),
        Operation::GetShardIterator => get_shard_iterator(shared, body),
        Operation::GetRecords => get_records(shared, body, now),
    }
}

fn create_stream(shared: &Shared, body: &[u8], now: SystemTime) -> Result<Value, ServiceError> {
    let request: wire::CreateStreamRequest = wire::parse(body)?;
    let kib = request.max_record_size_in_kib.unwrap_or(limits::DEFAULT_RECORD_KIB);
    limits::record_kib(kib)?;
    let shards = request.shard_count.unwrap_or(DEFAULT_SHARDS);
    shared.lock().store.create(&request.stream_name, shards, now)?.max_record_kib = kib;
    Ok(Value::Null)
}

fn list_streams(shared: &Shared, body: &[u8]) -> Result<Value, ServiceError> {
    let request: wire::ListStreamsRequest = wire::parse(body)?;
    let after = request.exclusive_start_stream_name.unwrap_or_default();
    let state = shared.lock();
    let streams = || state.store.streams().filter(|stream| stream.name > after);
    let names: Value = streams().map(|stream| stream.name.as_str()).collect();
    let summaries: Value = streams()
        .map(|stream| {
            json!({
                "StreamName": stream.name,
                "StreamARN": stream.arn(),
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": { "StreamMode": mode(stream) },
                "StreamCreationTimestamp": seconds(stream.created),
            })
        })
        .collect();
    Ok(json!({ "StreamNames": names, "StreamSummaries": summaries, "HasMoreStreams": false }))
}

fn with_stream(shared: &Shared, body: &[u8], describe: impl FnOnce(&Stream) -> Value) -> Result<Value, ServiceError> {
    let name = wire::parse::<wire::StreamRequest>(body)?.name()?;
    Ok(describe(shared.lock().store.stream(&name)?))
}

fn mode(stream: &Stream) -> &'static str {
    // Only on-demand streams can have the service distribute records.
    if stream.automatic_distribution { "ON_DEMAND" } else { "PROVISIONED" }
}

fn summary(stream: &Stream) -> Map<String, Value> {
    let members = [
        ("StreamName", json!(stream.name)),
        ("StreamARN", json!(stream.arn())),
        ("StreamStatus", json!("ACTIVE")),
        ("StreamModeDetails", json!({ "StreamMode": mode(stream) })),
        ("StreamCreationTimestamp", json!(seconds(stream.created))),
        ("RetentionPeriodHours", json!(24)),
        ("EnhancedMonitoring", json!([{ "ShardLevelMetrics": [] }])),
        ("EncryptionType", json!("NONE")),
        ("OpenShardCount", json!(stream.shards().len())),
        ("ConsumerCount", json!(0)),
        ("MaxRecordSizeInKiB", json!(stream.max_record_kib)),
    ];
    // Absent for provisioned streams.
    let strategy = stream.automatic_distribution.then(|| ("RecordDistributionStrategy", json!("AUTO")));
    members.into_iter().chain(strategy).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn shards(stream: &Stream) -> Value {
    let describe = |shard: &Shard| {
        json!({
            "ShardId": shard.id,
            "HashKeyRange": {
                "StartingHashKey": shard.range.first.to_string(),
                "EndingHashKey": shard.range.last.to_string(),
            },
            "SequenceNumberRange": { "StartingSequenceNumber": stream.first_number(shard).as_str() },
        })
    };
    stream.shards().iter().map(describe).collect()
}

/// A timestamp of the protocol: seconds since 1970, with a fraction.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn put_record(shared: &Shared, body: &[u8], now: SystemTime) -> Result<Value, ServiceError> {
    let mut request: wire::PutRecordRequest<'_> = wire::parse(body)?;
    let name = wire::stream_name(request.stream_name.take(), request.stream_arn.take())?;
    let record = request.into_record()?;
    let (shard, sequence_number) = {
        let mut state = shared.lock();
        let stream = state.store.stream_mut(&name)?;
        let admitted = stream.admit(record)?;
        stream.append(admitted, now)
    };
    shared.notify();
    Ok(json!({ "ShardId": shard, "SequenceNumber": sequence_number.as_str(), "EncryptionType": "NONE" }))
}

/// Takes all records or none: a record that breaks a rule fails the request, as it does at the service.
fn put_records(shared: &Shared, body: &[u8], now: SystemTime) -> Result<Value, ServiceError> {
    let request: wire::PutRecordsRequest<'_> = wire::parse(body)?;
    let name = wire::stream_name(request.stream_name, request.stream_arn)?;
    limits::request_records(request.records.len())?;
    let records: Vec<NewRecord> =
        request.records.into_iter().map(wire::PutRecordsEntry::into_record).collect::<Result<_, _>>()?;
    limits::request_bytes(records.iter().map(NewRecord::size).sum())?;
    let answers: Value = {
        let mut state = shared.lock();
        let stream = state.store.stream_mut(&name)?;
        let admitted: Vec<AdmittedRecord> =
            records.into_iter().map(|record| stream.admit(record)).collect::<Result<_, _>>()?;
        admitted
            .into_iter()
            .map(|record| {
                let (shard, sequence_number) = stream.append(record, now);
                json!({ "ShardId": shard, "SequenceNumber": sequence_number.as_str() })
            })
            .collect()
    };
    shared.notify();
    Ok(json!({ "FailedRecordCount": 0, "Records": answers, "EncryptionType": "NONE" }))
}

fn get_shard_iterator(shared: &Shared, body: &[u8]) -> Result<Value, ServiceError> {
    let request: wire::GetShardIteratorRequest = wire::parse(body)?;
    let name = wire::stream_name(request.stream_name, request.stream_arn)?;
    let state = shared.lock();
    let stream = state.store.stream(&name)?;
    let shard = stream.shard(&request.shard_id)?;
    let number = || {
        let text = request.starting_sequence_number.as_deref().unwrap_or_default();
        text.parse::<SequenceNumber>().map_err(|error| ServiceError::invalid_argument(error.to_string()))
    };
    let position = match request.shard_iterator_type.as_str() {
        "TRIM_HORIZON" => 0,
        "LATEST" => shard.len(),
        "AT_SEQUENCE_NUMBER" => {
            let number = number()?;
            stream.position(shard, |record| record.sequence_number < number)
        }
        "AFTER_SEQUENCE_NUMBER" => {
            let number = number()?;
            stream.position(shard, |record| record.sequence_number <= number)
        }
        "AT_TIMESTAMP" => {
            let time = request
                .timestamp
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .and_then(|elapsed| UNIX_EPOCH.checked_add(elapsed))
                .ok_or_else(|| ServiceError::invalid_argument("AT_TIMESTAMP takes a Timestamp since 1970"))?;
            stream.position(shard, |record| record.arrived < time)
        }
        other => return Err(ServiceError::validation(format!("ShardIteratorType {other} is not known"))),
    };
    let iterator = ShardIterator { stream: name, shard: request.shard_id, position };
    Ok(json!({ "ShardIterator": iterator.to_string() }))
}

fn get_records(shared: &Shared, body: &[u8], now: SystemTime) -> Result<Value, ServiceError> {
    let request: wire::GetRecordsRequest = wire::parse(body)?;
    let limit = request.limit.unwrap_or(limits::MAX_ANSWER_RECORDS);
    limits::answer_records(limit)?;
    let iterator: ShardIterator = request.shard_iterator.parse()?;
    let (records, next, behind) = {
        let state = shared.lock();
        let stream = state.store.stream(&iterator.stream)?;
        let batch = stream.read(stream.shard(&iterator.shard)?, iterator.position, limit, now);
        // Clones, which share the data: base64 is not for under the lock.
        (batch.records.into_iter().cloned().collect::<Vec<_>>(), batch.next, batch.behind)
    };
    let records: Value = records
        .into_iter()
        .map(|record| {
            json!({
                "SequenceNumber": record.sequence_number.as_str(),
                "ApproximateArrivalTimestamp": seconds(record.arrived),
                "Data": wire::encode(&record.data),
                "PartitionKey": record.partition_key,
                "EncryptionType": "NONE",
            })
        })
        .collect();
    let next = ShardIterator { position: next, ..iterator };
    Ok(json!({
        "Records": records,
        "NextShardIterator": next.to_string(),
        "MillisBehindLatest": u64::try_from(behind.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Holds a place in a shard. Its text is for the client to give back, not to look into.
#[derive(Debug, PartialEq, Eq)]
struct ShardIterator {
    stream: String,
    shard: String,
    /// How many records of the shard come before.
    position: usize,
}

impl std::fmt::Display for ShardIterator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}/{}/{}", self.stream, self.shard, self.position);
        formatter.write_str(&wire::encode(text.as_bytes()))
    }
}

impl FromStr for ShardIterator {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let parse = || {
            let text = String::from_utf8(wire::decode(text).ok()?.into()).ok()?;
            let (rest, position) = text.rsplit_once('/')?;
            let (stream, shard) = rest.split_once('/')?;
            Some(Self { stream: stream.to_owned(), shard: shard.to_owned(), position: position.parse().ok()? })
        };
        parse().ok_or_else(|| ServiceError::invalid_argument("Invalid ShardIterator."))
    }
}
