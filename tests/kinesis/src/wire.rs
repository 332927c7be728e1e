//! The JSON of requests: pure.
//!
//! Bytes of a body come in, requests go to `operations`. The data of a record, which is nearly all of a body, is decoded
//! straight from it.
//!
//! Member names are those of the Amazon Kinesis Data Streams API reference; members not named here are ignored.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::service_error::ServiceError;
use crate::stream::NewRecord;

/// Which stream a request is about: nearly every request has these two members, and needs one of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StreamRequest {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateStreamRequest {
    pub(crate) stream_name: String,
    pub(crate) shard_count: Option<u32>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    pub(crate) max_record_size_in_kib: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListStreamsRequest {
    pub(crate) exclusive_start_stream_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRecordRequest<'body> {
    pub(crate) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(crate) stream_arn: Option<String>,
    // Borrows, unless the client escaped a character, as some do with the slash.
    #[serde(borrow)]
    data: Cow<'body, str>,
    partition_key: String,
    explicit_hash_key: Option<String>,
    sequence_number_for_ordering: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRecordsRequest<'body> {
    pub(crate) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(crate) stream_arn: Option<String>,
    #[serde(borrow)]
    pub(crate) records: Vec<PutRecordsEntry<'body>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRecordsEntry<'body> {
    #[serde(borrow)]
    data: Cow<'body, str>,
    partition_key: String,
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetShardIteratorRequest {
    pub(crate) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(crate) stream_arn: Option<String>,
    pub(crate) shard_id: String,
    pub(crate) shard_iterator_type: String,
    pub(crate) starting_sequence_number: Option<String>,
    /// Seconds since 1970, with a fraction.
    pub(crate) timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetRecordsRequest {
    pub(crate) shard_iterator: String,
    pub(crate) limit: Option<usize>,
}

/// Reads the body of a request.
pub(crate) fn parse<'body, Request: Deserialize<'body>>(body: &'body [u8]) -> Result<Request, ServiceError> {
    serde_json::from_slice(body).map_err(|error| ServiceError::serialization(error.to_string()))
}

/// Finds the stream's name; an ARN ends with it.
pub(crate) fn stream_name(name: Option<String>, arn: Option<String>) -> Result<String, ServiceError> {
    match (name, arn) {
        (_, Some(arn)) => match arn.split_once(":stream/") {
            Some((_, name)) => Ok(name.to_owned()),
            None => Err(ServiceError::validation(format!("StreamARN {arn} is not the ARN of a stream"))),
        },
        (Some(name), None) => Ok(name),
        (None, None) => Err(ServiceError::invalid_argument("Either StreamName or StreamARN should be provided.")),
    }
}

impl StreamRequest {
    pub(crate) fn name(self) -> Result<String, ServiceError> {
        stream_name(self.stream_name, self.stream_arn)
    }
}

impl PutRecordRequest<'_> {
    pub(crate) fn into_record(self) -> Result<NewRecord, ServiceError> {
        Ok(NewRecord {
            data: decode(&self.data)?,
            partition_key: self.partition_key,
            explicit_hash_key: self.explicit_hash_key,
            sequence_number_for_ordering: self.sequence_number_for_ordering,
        })
    }
}

impl PutRecordsEntry<'_> {
    pub(crate) fn into_record(self) -> Result<NewRecord, ServiceError> {
        Ok(NewRecord {
            data: decode(&self.data)?,
            partition_key: self.partition_key,
            explicit_hash_key: self.explicit_hash_key,
            sequence_number_for_ordering: None,
        })
    }
}

pub(crate) fn decode(data: &str) -> Result<Bytes, ServiceError> {
    let decoded = STANDARD.decode(data);
    decoded.map(Bytes::from).map_err(|error| ServiceError::serialization(format!("Data is not base64: {error}")))
}

/// Writes a record's data as an answer carries it.
pub(crate) fn encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_borrowed_from_the_body() {
        let body = br#"{"StreamName":"s","Data":"aGVsbG8=","PartitionKey":"p","Unknown":{"x":[1]}}"#;
        let request: PutRecordRequest<'_> = parse(body).unwrap();
        assert!(matches!(request.data, Cow::Borrowed(_)));
        let record = request.into_record().unwrap();
        assert_eq!(record.data, "hello");
        assert_eq!(record.partition_key, "p");

        let body = br#"{"StreamName":"s","Data":"\/\/\/\/","PartitionKey":"p"}"#;
        let record = parse::<PutRecordRequest<'_>>(body).unwrap().into_record().unwrap();
        assert_eq!(record.data, [0xff; 3].as_slice());

        let body = br#"{"StreamName":"s","Records":[{"Data":"aGVsbG8=","PartitionKey":"p"}]}"#;
        let request: PutRecordsRequest<'_> = parse(body).unwrap();
        assert!(matches!(request.records[0].data, Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"StreamName":"s","PartitionKey":"p"}"#,
            r#"{"StreamName":"s","Data":5,"PartitionKey":"p"}"#,
            r#"{"StreamName":"s","Data":"*","PartitionKey":"p"}"#,
            r#"{"StreamName":"s","Data":"aGVsbG8","PartitionKey":"p"}"#,
        ] {
            let result = parse::<PutRecordRequest<'_>>(body.as_bytes()).and_then(PutRecordRequest::into_record);
            assert_eq!(result.unwrap_err().code, "SerializationException", "{body}");
        }
    }

    #[test]
    fn a_stream_has_a_name_or_an_arn() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
        let name = |name: Option<&str>, arn: Option<&str>| stream_name(name.map(str::to_owned), arn.map(str::to_owned));
        assert_eq!(name(Some("orders"), None).unwrap(), "orders");
        assert_eq!(name(None, Some(arn)).unwrap(), "orders");
        assert_eq!(name(None, Some("orders")).unwrap_err().code, "ValidationException");
        assert_eq!(name(None, None).unwrap_err().code, "InvalidArgumentException");
    }
}
