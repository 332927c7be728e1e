//! The KPL's aggregates, taken apart: pure.
//!
//! Stored records come in, the users' records go out, in order. A record that begins like an aggregate is one, or is
//! damaged: it is never passed on as it is, and no inner record is left out silently.
//!
//! See "KPL Aggregated Record Format" in the awslabs/amazon-kinesis-producer repository.

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

use crate::routing::{HashKey, HashKeyError, HashRange};
use crate::sequence::SequenceNumber;
use crate::stream::StoredRecord;

/// The four bytes that an aggregate begins with.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
/// The bytes of the MD5 of the message, with which an aggregate ends.
const DIGEST_BYTES: usize = 16;

/// Holds a record as its producer handed it over, before any aggregation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The record's own partition key.
    pub partition_key: String,
    /// The record's own explicit hash key.
    pub explicit_hash_key: Option<String>,
    /// The data.
    pub data: Bytes,
    /// The number of the Kinesis record that it came in.
    pub sequence_number: SequenceNumber,
    /// Its index in that record: 0 if the record is no aggregate.
    pub sub_sequence: usize,
}

/// Says which aggregate cannot be taken apart.
#[derive(Debug, thiserror::Error)]
#[error("aggregate {sequence_number} in {shard}")]
pub struct AggregateError {
    /// The number of the Kinesis record.
    pub sequence_number: SequenceNumber,
    /// The id of its shard.
    pub shard: String,
    /// What is wrong with it.
    #[source]
    pub damage: Damage,
}

/// Says what is wrong with an aggregate.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The record ends before the digest.
    #[error("expected at least {minimum} bytes, found {found}", minimum = MAGIC.len() + DIGEST_BYTES)]
    Short {
        /// The bytes that are there.
        found: usize,
    },
    /// The message is not the one that was sent.
    #[error("expected the md5 {expected:032x} of the message, found {found:032x}")]
    Digest {
        /// The MD5 of the message.
        expected: u128,
        /// The record's last 16 bytes.
        found: u128,
    },
    /// The bytes are no message.
    #[error("expected an AggregatedRecord message")]
    Message(#[source] prost::DecodeError),
    /// A required field is missing.
    #[error("inner record {record}: {field} missing")]
    Missing {
        /// The index of the inner record.
        record: usize,
        /// The field's name.
        field: &'static str,
    },
    /// A table is too short.
    #[error("inner record {record}: expected an index below {length} into the {table} table, found {index}")]
    Index {
        /// The index of the inner record.
        record: usize,
        /// The table's name.
        table: &'static str,
        /// The index into the table.
        index: u64,
        /// The table's length.
        length: usize,
    },
    /// An explicit hash key is no hash key.
    #[error("inner record {record}")]
    HashKey {
        /// The index of the inner record.
        record: usize,
        /// What is wrong with it.
        #[source]
        source: HashKeyError,
    },
    /// The inner record belongs to another shard. The KCL discards the whole aggregate for it, and says nothing.
    #[error("inner record {record}: expected a hash key in {range}, found {hash_key}")]
    OutsideShard {
        /// The index of the inner record.
        record: usize,
        /// The hash keys of the shard.
        range: HashRange,
        /// The inner record's hash key.
        hash_key: HashKey,
    },
}

// All fields are optional for prost, which would take a missing required one for zero.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<InnerRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct InnerRecord {
    #[prost(uint64, optional, tag = "1")]
    partition_key_index: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    data: Option<Bytes>,
}

/// Takes apart every aggregate among the records, and keeps their order.
///
/// # Errors
///
/// The first aggregate that is damaged, or that has an inner record which does not belong to its shard.
pub fn user_records(records: &[StoredRecord]) -> Result<Vec<UserRecord>, AggregateError> {
    let mut taken = Vec::new();
    for record in records {
        taken.extend(take_apart(record)?);
    }
    Ok(taken)
}

/// Takes one record apart. One without the four bytes is a user's record itself.
///
/// # Errors
///
/// If the record is an aggregate and damaged, or has an inner record which does not belong to its shard.
pub fn take_apart(record: &StoredRecord) -> Result<Vec<UserRecord>, AggregateError> {
    if !record.data.starts_with(&MAGIC) {
        return Ok(vec![UserRecord {
            partition_key: record.partition_key.clone(),
            explicit_hash_key: record.explicit_hash_key.clone(),
            data: record.data.clone(),
            sequence_number: record.sequence_number.clone(),
            sub_sequence: 0,
        }]);
    }
    let error = |damage| AggregateError {
        sequence_number: record.sequence_number.clone(),
        shard: record.shard.clone(),
        damage,
    };
    let message = checked_message(&record.data).map_err(error)?;
    let aggregate = AggregatedRecord::decode(message).map_err(|cause| error(Damage::Message(cause)))?;
    let inner = aggregate.records.iter().enumerate();
    inner.map(|(index, inner)| user_record(record, &aggregate, index, inner).map_err(error)).collect()
}

/// Gives the message between the four bytes and the digest.
fn checked_message(data: &Bytes) -> Result<Bytes, Damage> {
    let short = || Damage::Short { found: data.len() };
    let (message, digest) =
        data.get(MAGIC.len()..).and_then(|rest| rest.split_last_chunk::<DIGEST_BYTES>()).ok_or_else(short)?;
    let expected = u128::from_be_bytes(Md5::digest(message).into());
    let found = u128::from_be_bytes(*digest);
    if expected != found {
        return Err(Damage::Digest { expected, found });
    }
    Ok(data.slice_ref(message))
}

fn user_record(
    outer: &StoredRecord,
    aggregate: &AggregatedRecord,
    record: usize,
    inner: &InnerRecord,
) -> Result<UserRecord, Damage> {
    let missing = |field| Damage::Missing { record, field };
    let entry = |table: &'static str, entries: &[String], index: u64| {
        let found = usize::try_from(index).ok().and_then(|index| entries.get(index));
        found.cloned().ok_or(Damage::Index { record, table, index, length: entries.len() })
    };
    let index = inner.partition_key_index.ok_or_else(|| missing("partition key index"))?;
    let partition_key = entry("partition key", &aggregate.partition_key_table, index)?;
    let explicit_hash_key = match inner.explicit_hash_key_index {
        None => None,
        Some(index) => Some(entry("explicit hash key", &aggregate.explicit_hash_key_table, index)?),
    };
    let hash_key = match &explicit_hash_key {
        None => HashKey::of_partition_key(&partition_key),
        Some(key) => key.parse().map_err(|source| Damage::HashKey { record, source })?,
    };
    let range = outer.shard_range;
    if !range.contains(hash_key) {
        return Err(Damage::OutsideShard { record, range, hash_key });
    }
    Ok(UserRecord {
        partition_key,
        explicit_hash_key,
        data: inner.data.clone().ok_or_else(|| missing("data"))?,
        sequence_number: outer.sequence_number.clone(),
        sub_sequence: record,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Two records of the partition keys `a` and `b`, the second with the explicit hash key 7 and a tag.
    const MESSAGE: &[u8] = &[
        0x0a, 1, b'a', // partition_key_table
        0x0a, 1, b'b', // partition_key_table
        0x12, 1, b'7', // explicit_hash_key_table
        0x1a, 7, 0x08, 0, 0x1a, 3, b'o', b'n', b'e', // records: partition_key_index, data
        0x1a, 15, 0x08, 1, 0x10, 0, 0x1a, 3, b't', b'w', b'o', // and explicit_hash_key_index,
        0x22, 4, 0x0a, 2, b'i', b'd', // and tags
    ];

    /// The MD5 of the message, by another program than ours.
    const HAND_MADE_DIGEST: [u8; 16] =
        [0x6a, 0xab, 0x03, 0xac, 0x81, 0xe9, 0x23, 0xeb, 0x65, 0xbc, 0x5c, 0x0f, 0xac, 0x1e, 0xb7, 0x52];

    fn aggregate(message: &[u8]) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        data.extend_from_slice(message);
        data.extend_from_slice(&Md5::digest(message));
        data
    }

    fn stored(data: Vec<u8>, range: HashRange) -> StoredRecord {
        StoredRecord {
            shard: "shardId-000000000000".to_owned(),
            shard_range: range,
            sequence_number: "49".parse().unwrap(),
            partition_key: "outer".to_owned(),
            explicit_hash_key: Some("5".to_owned()),
            sequence_number_for_ordering: None,
            data: data.into(),
            arrived: SystemTime::UNIX_EPOCH,
        }
    }

    fn everything() -> HashRange {
        HashRange::split_evenly(1)[0]
    }

    fn damage(data: Vec<u8>) -> String {
        use std::error::Error;
        let error = user_records(&[stored(data, everything())]).unwrap_err();
        assert_eq!(error.to_string(), "aggregate 49 in shardId-000000000000");
        error.source().unwrap().to_string()
    }

    #[test]
    fn an_aggregate_written_by_hand_is_taken_apart() {
        let mut data = vec![0xf3, 0x89, 0x9a, 0xc2];
        data.extend_from_slice(MESSAGE);
        data.extend_from_slice(&HAND_MADE_DIGEST);
        let plain = stored(b"plain".to_vec(), everything());
        let records = user_records(&[stored(data, everything()), plain]).unwrap();
        let text: Vec<_> = records
            .iter()
            .map(|record| {
                let data = std::str::from_utf8(&record.data).unwrap();
                (record.partition_key.as_str(), record.explicit_hash_key.as_deref(), data, record.sub_sequence)
            })
            .collect();
        assert_eq!(text, [("a", None, "one", 0), ("b", Some("7"), "two", 1), ("outer", Some("5"), "plain", 0)]);
    }

    #[test]
    fn an_empty_aggregate_has_no_records() {
        assert_eq!(user_records(&[stored(aggregate(&[]), everything())]).unwrap(), []);
    }

    #[test]
    fn damaged_aggregates_are_errors() {
        assert_eq!(damage(MAGIC.to_vec()), "expected at least 20 bytes, found 4");
        let mut flipped = aggregate(MESSAGE);
        flipped[6] ^= 1;
        assert!(damage(flipped).starts_with("expected the md5 "));
        let mut cut = aggregate(MESSAGE);
        cut.pop();
        assert!(damage(cut).starts_with("expected the md5 "));
        assert_eq!(damage(aggregate(&MESSAGE[..20])), "expected an AggregatedRecord message");
        assert_eq!(damage(aggregate(&[0x1a, 2, 0x1a, 0])), "inner record 0: partition key index missing");
        assert_eq!(damage(aggregate(&[0x0a, 1, b'a', 0x1a, 2, 0x08, 0])), "inner record 0: data missing");
        assert_eq!(
            damage(aggregate(&[0x0a, 1, b'a', 0x1a, 4, 0x08, 1, 0x1a, 0])),
            "inner record 0: expected an index below 1 into the partition key table, found 1"
        );
        assert_eq!(
            damage(aggregate(&[0x0a, 1, b'a', 0x1a, 6, 0x08, 0, 0x10, 9, 0x1a, 0])),
            "inner record 0: expected an index below 0 into the explicit hash key table, found 9"
        );
        assert_eq!(
            damage(aggregate(&[0x0a, 1, b'a', 0x12, 1, b'x', 0x1a, 6, 0x08, 0, 0x10, 0, 0x1a, 0])),
            "inner record 0"
        );
    }

    #[test]
    fn an_inner_record_of_another_shard_is_an_error() {
        let ranges = HashRange::split_evenly(2);
        // md5("a") begins with 0x0c and 7 is small: both belong to the first shard.
        assert_eq!(user_records(&[stored(aggregate(MESSAGE), ranges[0])]).unwrap().len(), 2);
        let error = user_records(&[stored(aggregate(MESSAGE), ranges[1])]).unwrap_err();
        assert!(matches!(error.damage, Damage::OutsideShard { record: 0, .. }), "{error:?}");
    }
}
