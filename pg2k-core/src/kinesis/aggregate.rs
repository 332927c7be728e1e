//! Many records in one Kinesis record, in the format of the Kinesis Producer Library.
//!
//! Records come from a [`lane`](super::lane), the bytes go out as the data of one PutRecord. The size is known before a record
//! is added, so an aggregate never outgrows what the stream takes.
//!
//! The format: <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>
//!
//! Consumers drop a whole aggregate if the hash key of one inner record lies outside of the shard. So every inner record
//! carries the explicit hash key that routes the aggregate itself, and its partition key is free to be anything.

use md5::{Digest, Md5};

/// What an aggregate begins with.
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// Bytes of the MD5 of the message, with which an aggregate ends.
const DIGEST: usize = 16;

/// `AggregatedRecord.partition_key_table`: field 1, length-delimited.
const PARTITION_KEY: u8 = 1 << 3 | 2;
/// `AggregatedRecord.explicit_hash_key_table`: field 2, length-delimited.
const EXPLICIT_HASH_KEY: u8 = 2 << 3 | 2;
/// `AggregatedRecord.records`: field 3, length-delimited.
const RECORD: u8 = 3 << 3 | 2;
/// `Record.partition_key_index`: field 1, varint.
const PARTITION_KEY_INDEX: u8 = 1 << 3;
/// `Record.explicit_hash_key_index`: field 2, varint.
const EXPLICIT_HASH_KEY_INDEX: u8 = 2 << 3;
/// `Record.data`: field 3, length-delimited.
const DATA: u8 = 3 << 3 | 2;

/// An aggregate that is being filled.
#[derive(Debug)]
pub(crate) struct Aggregate {
    /// The message so far, behind the magic bytes. Fields of a protobuf message may come in any order, so keys and records
    /// are written as they come.
    bytes: Vec<u8>,
    records: usize,
    /// The number of entries in the table of partition keys.
    keys: u64,
    /// The last of them: successive records often share their key.
    last_key: String,
    explicit_hash_key: String,
}

impl Aggregate {
    /// An empty aggregate whose records go to this explicit hash key.
    #[must_use]
    pub(crate) fn new(explicit_hash_key: String) -> Self {
        let mut aggregate = Self { bytes: Vec::new(), records: 0, keys: 0, last_key: String::new(), explicit_hash_key };
        aggregate.clear();
        aggregate
    }

    /// Empties it and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&MAGIC);
        field(&mut self.bytes, EXPLICIT_HASH_KEY, self.explicit_hash_key.as_bytes());
        self.records = 0;
        self.keys = 0;
        self.last_key.clear();
    }

    /// How many records it holds.
    #[must_use]
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// The bytes that the aggregate would take with this record, its digest included.
    #[must_use]
    pub(crate) fn size_with(&self, partition_key: &str, data: &[u8]) -> usize {
        let (index, key) = if self.shares_key(partition_key) {
            (self.keys - 1, 0)
        } else {
            (self.keys, field_size(partition_key.len()))
        };
        self.bytes.len() + key + field_size(record_size(index, data.len())) + DIGEST
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, partition_key: &str, data: &[u8]) {
        if !self.shares_key(partition_key) {
            field(&mut self.bytes, PARTITION_KEY, partition_key.as_bytes());
            self.keys += 1;
            self.last_key.clear();
            self.last_key.push_str(partition_key);
        }
        let index = self.keys - 1;
        self.bytes.push(RECORD);
        varint(&mut self.bytes, record_size(index, data.len()) as u64);
        self.bytes.push(PARTITION_KEY_INDEX);
        varint(&mut self.bytes, index);
        // The one entry of the table of explicit hash keys.
        self.bytes.extend_from_slice(&[EXPLICIT_HASH_KEY_INDEX, 0]);
        field(&mut self.bytes, DATA, data);
        self.records += 1;
    }

    /// The finished aggregate.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let message = self.bytes.get(MAGIC.len()..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(self.bytes.len() + DIGEST);
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&Md5::digest(message));
        bytes
    }

    fn shares_key(&self, partition_key: &str) -> bool {
        self.keys > 0 && self.last_key == partition_key
    }
}

/// The bytes of the message `Record`, without its own tag and length.
fn record_size(key_index: u64, data: usize) -> usize {
    let partition_key_index = 1 + varint_size(key_index);
    let explicit_hash_key_index = 2;
    partition_key_index + explicit_hash_key_index + field_size(data)
}

/// The bytes of a length-delimited field with contents of this size.
fn field_size(contents: usize) -> usize {
    1 + varint_size(contents as u64) + contents
}

fn varint_size(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

fn field(bytes: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    bytes.push(tag);
    varint(bytes, contents.len() as u64);
    bytes.extend_from_slice(contents);
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7F) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_small_aggregate() {
        let mut aggregate = Aggregate::new("0".to_owned());
        aggregate.push("a", b"xyz");
        aggregate.push("a", b"");
        aggregate.push("bc", b"w");
        let message = [
            &[0x12, 1, b'0'][..],
            &[0x0A, 1, b'a'],
            &[0x1A, 9, 0x08, 0, 0x10, 0, 0x1A, 3, b'x', b'y', b'z'],
            &[0x1A, 6, 0x08, 0, 0x10, 0, 0x1A, 0],
            &[0x0A, 2, b'b', b'c'],
            &[0x1A, 7, 0x08, 1, 0x10, 0, 0x1A, 1, b'w'],
        ]
        .concat();
        let expected = [&MAGIC[..], &message, &Md5::digest(&message)].concat();
        assert_eq!(aggregate.to_bytes(), expected);
        assert_eq!(aggregate.records(), 3);
    }

    #[test]
    fn the_size_is_known_beforehand() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20 {
            let mut aggregate = Aggregate::new("170141183460469231731687303715884105728".to_owned());
            for _ in 0..random.usize(1..40) {
                let key = "k".repeat(random.usize(1..300));
                let key = if random.bool() { &key } else { "same" };
                let data = vec![7; *random.choice([0, 1, 120, 127, 128, 20_000].iter()).expect("a choice")];
                let size = aggregate.size_with(key, &data);
                aggregate.push(key, &data);
                assert_eq!(aggregate.to_bytes().len(), size);
            }
        }
    }

    #[test]
    fn an_emptied_aggregate_is_like_a_new_one() {
        let mut aggregate = Aggregate::new("0".to_owned());
        aggregate.push("a", b"xyz");
        aggregate.clear();
        aggregate.push("a", b"1");
        let mut new = Aggregate::new("0".to_owned());
        new.push("a", b"1");
        assert_eq!(aggregate.to_bytes(), new.to_bytes());
    }

    #[test]
    fn varints_at_their_limits() {
        for (number, size) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut bytes = Vec::new();
            varint(&mut bytes, number);
            assert_eq!((bytes.len(), varint_size(number)), (size, size), "{number}");
        }
    }
}
