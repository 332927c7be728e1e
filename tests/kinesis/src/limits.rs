//! What the service takes, in numbers: pure.
//!
//! See "Quotas and limits" in the Amazon Kinesis Data Streams developer guide, and PutRecord, PutRecords, GetRecords and
//! CreateStream in its API reference.

use std::ops::RangeInclusive;

use crate::service_error::ServiceError;

/// Bytes of data and partition keys in one PutRecords request: 10 MiB.
pub(crate) const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// Records in one PutRecords request.
pub(crate) const MAX_REQUEST_RECORDS: usize = 500;
/// Bytes of an HTTP body: what 10 MiB are in base64, and room for the JSON around 500 records with their keys.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of data in one answer of GetRecords: 10 MiB. The first record always fits.
pub(crate) const MAX_ANSWER_BYTES: usize = 10 * 1024 * 1024;
/// Records in one answer of GetRecords.
pub(crate) const MAX_ANSWER_RECORDS: usize = 10_000;
/// Kibibytes of data and partition key in one record, unless the stream says otherwise.
pub(crate) const DEFAULT_RECORD_KIB: u32 = 1024;
/// Kibibytes that a stream may allow for one record.
const RECORD_KIB: RangeInclusive<u32> = 1024..=10_240;
/// Characters, not bytes, of a partition key.
const PARTITION_KEY_CHARACTERS: RangeInclusive<usize> = 1..=256;
/// Characters of a stream's name.
const NAME_CHARACTERS: RangeInclusive<usize> = 1..=128;
/// Shards of one stream. The service's bound is a quota of the account; this one keeps a mistake from filling the memory.
const SHARDS: RangeInclusive<u32> = 1..=10_000;

/// Phrases a broken constraint as the service does.
fn broken(member: &str, constraint: impl std::fmt::Display) -> ServiceError {
    ServiceError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must {constraint}"
    ))
}

pub(crate) fn stream_name(name: &str) -> Result<(), ServiceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if NAME_CHARACTERS.contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(broken("streamName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]{1,128}"))
}

pub(crate) fn shard_count(count: u32) -> Result<(), ServiceError> {
    if SHARDS.contains(&count) {
        return Ok(());
    }
    Err(broken("shardCount", format_args!("have value between {} and {}", SHARDS.start(), SHARDS.end())))
}

/// Checks what a request asks for; `Endpoint::set_max_record_size` may go below it.
pub(crate) fn record_kib(kib: u32) -> Result<(), ServiceError> {
    if RECORD_KIB.contains(&kib) {
        return Ok(());
    }
    Err(broken(
        "maxRecordSizeInKiB",
        format_args!("have value between {} and {}", RECORD_KIB.start(), RECORD_KIB.end()),
    ))
}

pub(crate) fn partition_key(key: &str) -> Result<(), ServiceError> {
    if PARTITION_KEY_CHARACTERS.contains(&key.chars().count()) {
        return Ok(());
    }
    Err(broken(
        "partitionKey",
        format_args!("have length between {} and {}", PARTITION_KEY_CHARACTERS.start(), PARTITION_KEY_CHARACTERS.end()),
    ))
}

/// Checks the bytes of data and partition key against the stream's limit.
pub(crate) fn record_bytes(bytes: usize, kib: u32) -> Result<(), ServiceError> {
    let limit = u64::from(kib) * 1024;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= limit) {
        return Ok(());
    }
    Err(broken("data", format_args!("have length less than or equal to {limit}, found {bytes}")))
}

pub(crate) fn request_records(count: usize) -> Result<(), ServiceError> {
    if (1..=MAX_REQUEST_RECORDS).contains(&count) {
        return Ok(());
    }
    Err(broken("records", format_args!("have length between 1 and {MAX_REQUEST_RECORDS}, found {count}")))
}

pub(crate) fn request_bytes(bytes: usize) -> Result<(), ServiceError> {
    if bytes <= MAX_REQUEST_BYTES {
        return Ok(());
    }
    Err(ServiceError::invalid_argument(format!("Records size exceeds 10 MB limit, found {bytes} bytes")))
}

pub(crate) fn answer_records(count: usize) -> Result<(), ServiceError> {
    if (1..=MAX_ANSWER_RECORDS).contains(&count) {
        return Ok(());
    }
    Err(broken("limit", format_args!("have value between 1 and {MAX_ANSWER_RECORDS}")))
}
