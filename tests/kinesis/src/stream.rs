//! A stream: its shards, and every record in order of arrival: pure.
//!
//! Records come in from `operations` and are read from there and by tests. A record that was admitted is stored with a
//! sequence number greater than that of every record before it, and nothing is ever removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::limits;
use crate::routing::{HashKey, HashRange};
use crate::sequence::SequenceNumber;
use crate::service_error::ServiceError;

/// The account that every stream here belongs to.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The region that every stream here is in. A client may say another: signatures are not checked.
const REGION: &str = "us-east-1";

/// Holds a record that the endpoint accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The id of the shard that the record is in.
    pub shard: String,
    /// The hash keys of that shard.
    pub shard_range: HashRange,
    /// The number that the endpoint gave to the record.
    pub sequence_number: SequenceNumber,
    /// The partition key of the request.
    pub partition_key: String,
    /// The explicit hash key of the request.
    pub explicit_hash_key: Option<String>,
    /// The ordering number of the request; PutRecords has none.
    pub sequence_number_for_ordering: Option<SequenceNumber>,
    /// The record's data, not yet taken apart.
    pub data: Bytes,
    /// When the endpoint accepted the record.
    pub arrived: SystemTime,
}

/// Holds a record as a request brings it.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    pub(crate) partition_key: String,
    pub(crate) explicit_hash_key: Option<String>,
    pub(crate) sequence_number_for_ordering: Option<String>,
    pub(crate) data: Bytes,
}

impl NewRecord {
    /// The bytes that the limits count.
    pub(crate) fn size(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

/// Holds a record that breaks no rule of the stream.
pub(crate) struct AdmittedRecord {
    record: NewRecord,
    hash_key: HashKey,
    ordering: Option<SequenceNumber>,
}

/// Holds a shard: a range of hash keys, and where in the stream its records are.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) number: u32,
    pub(crate) range: HashRange,
    places: Vec<usize>,
}

impl Shard {
    /// How many records the shard has, which is also the position after its last one.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

/// Holds what one read of a shard gave.
pub(crate) struct Batch<'stream> {
    pub(crate) records: Vec<&'stream StoredRecord>,
    /// Where the next read begins.
    pub(crate) next: usize,
    /// The age of what was not read yet.
    pub(crate) behind: Duration,
}

/// Holds a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) created: SystemTime,
    pub(crate) max_record_kib: u32,
    /// Whether the service spreads the records as it likes and ignores their keys. Only told, not done.
    pub(crate) automatic_distribution: bool,
    shards: Vec<Shard>,
    records: Vec<StoredRecord>,
}

impl Stream {
    pub(crate) fn new(name: &str, shard_count: u32, created: SystemTime) -> Result<Self, ServiceError> {
        limits::stream_name(name)?;
        limits::shard_count(shard_count)?;
        let shards = (0..)
            .zip(HashRange::split_evenly(shard_count))
            .map(|(number, range)| Shard { id: format!("shardId-{number:012}"), number, range, places: Vec::new() })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            created,
            max_record_kib: limits::DEFAULT_RECORD_KIB,
            automatic_distribution: false,
            shards,
            records: Vec::new(),
        })
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{}", self.name)
    }

    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    pub(crate) fn shard(&self, id: &str) -> Result<&Shard, ServiceError> {
        self.shards.iter().find(|shard| shard.id == id).ok_or_else(|| {
            ServiceError::not_found(format!(
                "Shard {id} in stream {} under account {ACCOUNT} does not exist",
                self.name
            ))
        })
    }

    pub(crate) fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    /// The number that a record in this shard would have if it were the first of the stream.
    pub(crate) fn first_number(&self, shard: &Shard) -> SequenceNumber {
        self.number(0, shard.number)
    }

    fn number(&self, place: usize, shard: u32) -> SequenceNumber {
        let micros = self.created.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        // Both fit until there are 2^64 microseconds or records; the numbers only have to increase until then.
        SequenceNumber::new(u64::try_from(micros).unwrap_or(u64::MAX), u64::try_from(place).unwrap_or(u64::MAX), shard)
    }

    /// Checks a record against the rules, and finds out where it belongs.
    pub(crate) fn admit(&self, record: NewRecord) -> Result<AdmittedRecord, ServiceError> {
        limits::partition_key(&record.partition_key)?;
        limits::record_bytes(record.size(), self.max_record_kib)?;
        let hash_key = match &record.explicit_hash_key {
            None => HashKey::of_partition_key(&record.partition_key),
            Some(key) => key.parse().map_err(|_| {
                ServiceError::invalid_argument(format!(
                    "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was \
                     {key}"
                ))
            })?,
        };
        let ordering = match &record.sequence_number_for_ordering {
            None => None,
            Some(number) => Some(self.ordering_number(number)?),
        };
        Ok(AdmittedRecord { record, hash_key, ordering })
    }

    /// Takes an ordering number, unless it is none or greater than every number that this stream gave.
    ///
    /// The service refuses a number from the future likewise: it could not keep its word.
    fn ordering_number(&self, text: &str) -> Result<SequenceNumber, ServiceError> {
        match text.parse::<SequenceNumber>() {
            Ok(number) if number < self.number(self.records.len(), 0) => Ok(number),
            _ => Err(ServiceError::invalid_argument(format!(
                "ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream {} under account {ACCOUNT} is \
                 invalid.",
                self.name
            ))),
        }
    }

    /// Stores a record, and tells its shard and its number.
    pub(crate) fn append(&mut self, admitted: AdmittedRecord, arrived: SystemTime) -> (String, SequenceNumber) {
        let AdmittedRecord { record, hash_key, ordering } = admitted;
        let place = self.records.len();
        let shard = self
            .shards
            .iter_mut()
            .find(|shard| shard.range.contains(hash_key))
            .expect("the ranges of the shards cover every hash key");
        shard.places.push(place);
        let (id, range, number) = (shard.id.clone(), shard.range, shard.number);
        let sequence_number = self.number(place, number);
        self.records.push(StoredRecord {
            shard: id.clone(),
            shard_range: range,
            sequence_number: sequence_number.clone(),
            partition_key: record.partition_key,
            explicit_hash_key: record.explicit_hash_key,
            sequence_number_for_ordering: ordering,
            data: record.data,
            arrived,
        });
        (id, sequence_number)
    }

    /// The position in the shard of the first record for which `before` is false.
    pub(crate) fn position(&self, shard: &Shard, before: impl Fn(&StoredRecord) -> bool) -> usize {
        shard.places.partition_point(|&place| self.records.get(place).is_some_and(&before))
    }

    /// Reads a shard from a position on.
    pub(crate) fn read(&self, shard: &Shard, from: usize, max_records: usize, now: SystemTime) -> Batch<'_> {
        let mut bytes = 0;
        let records: Vec<&StoredRecord> = shard
            .places
            .iter()
            .skip(from)
            .filter_map(|&place| self.records.get(place))
            .take(max_records)
            .enumerate()
            .take_while(|(index, record)| {
                bytes += record.data.len();
                *index == 0 || bytes <= limits::MAX_ANSWER_BYTES
            })
            .map(|(_, record)| record)
            .collect();
        let next = from.min(shard.len()) + records.len();
        let unread = shard.places.get(next).and_then(|&place| self.records.get(place));
        let behind = unread.map_or(Duration::ZERO, |record| {
            // Zero would say that there is nothing left.
            now.duration_since(record.arrived).unwrap_or_default().max(Duration::from_millis(1))
        });
        Batch { records, next, behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(shards: u32) -> Stream {
        Stream::new("orders", shards, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap()
    }

    fn record(partition_key: &str, explicit_hash_key: Option<&str>, size: usize) -> NewRecord {
        NewRecord {
            partition_key: partition_key.to_owned(),
            explicit_hash_key: explicit_hash_key.map(str::to_owned),
            sequence_number_for_ordering: None,
            data: Bytes::from(vec![0; size]),
        }
    }

    fn put(stream: &mut Stream, record: NewRecord) -> Result<(String, SequenceNumber), ServiceError> {
        let admitted = stream.admit(record)?;
        Ok(stream.append(admitted, UNIX_EPOCH + Duration::from_secs(1_700_000_001)))
    }

    #[test]
    fn a_record_goes_where_its_key_hashes_to() {
        let mut stream = stream(2);
        // md5("abc") begins with 0x90, md5("message digest") with 0xf9, md5("a") with 0x0c.
        assert_eq!(put(&mut stream, record("abc", None, 1)).unwrap().0, "shardId-000000000001");
        assert_eq!(put(&mut stream, record("message digest", None, 1)).unwrap().0, "shardId-000000000001");
        assert_eq!(put(&mut stream, record("a", None, 1)).unwrap().0, "shardId-000000000000");
        // The explicit key wins; the boundary belongs to the second shard.
        let half = "170141183460469231731687303715884105728";
        assert_eq!(put(&mut stream, record("abc", Some("0"), 1)).unwrap().0, "shardId-000000000000");
        assert_eq!(put(&mut stream, record("a", Some(half), 1)).unwrap().0, "shardId-000000000001");
        let places: Vec<usize> = stream.shards().iter().map(Shard::len).collect();
        assert_eq!(places, [2, 3]);
    }

    #[test]
    fn a_record_may_be_as_large_as_the_limit() {
        let mut stream = stream(1);
        let code = |result: Result<_, ServiceError>| result.map(|_| ()).map_err(|error| error.code);
        assert_eq!(code(put(&mut stream, record("key", None, 1024 * 1024 - 3))), Ok(()));
        assert_eq!(code(put(&mut stream, record("key", None, 1024 * 1024 - 2))), Err("ValidationException".into()));
        stream.max_record_kib = 10_240;
        assert_eq!(code(put(&mut stream, record("key", None, 10_240 * 1024 - 3))), Ok(()));
        assert_eq!(code(put(&mut stream, record("key", None, 10_240 * 1024 - 2))), Err("ValidationException".into()));
        assert_eq!(stream.records().len(), 2);
    }

    #[test]
    fn keys_have_limits() {
        let mut stream = stream(1);
        let mut code = |record| put(&mut stream, record).map(|_| ()).map_err(|error| error.code);
        assert_eq!(code(record("", None, 1)), Err("ValidationException".into()));
        // The limit is in characters: these are two bytes each.
        assert_eq!(code(record(&"é".repeat(256), None, 1)), Ok(()));
        assert_eq!(code(record(&"é".repeat(257), None, 1)), Err("ValidationException".into()));
        for bad in ["-1", "x", "340282366920938463463374607431768211456"] {
            assert_eq!(code(record("key", Some(bad), 1)), Err("InvalidArgumentException".into()));
        }
        assert_eq!(code(record("key", Some("340282366920938463463374607431768211455"), 1)), Ok(()));
    }

    #[test]
    fn numbers_exceed_the_ordering_number() {
        let mut stream = stream(4);
        let mut last = put(&mut stream, record("key", None, 1)).unwrap().1;
        for shard in [3_u128, 0, 2, 1] {
            let key = (shard << 126).to_string();
            let ordered =
                NewRecord { sequence_number_for_ordering: Some(last.to_string()), ..record("key", Some(&key), 1) };
            let next = put(&mut stream, ordered).unwrap().1;
            assert!(next > last, "{next} after {last}");
            assert_eq!(stream.records().last().unwrap().sequence_number_for_ordering, Some(last));
            last = next;
        }
        let future = format!("9{}", last.as_str());
        for bad in ["", "abc", "-5", "12.5", &future] {
            let ordered = NewRecord { sequence_number_for_ordering: Some(bad.to_owned()), ..record("key", None, 1) };
            let error = put(&mut stream, ordered).unwrap_err();
            assert_eq!(error.code, "InvalidArgumentException");
            assert!(error.message.starts_with(&format!("ExclusiveMinimumSequenceNumber {bad} used")), "{error}");
        }
    }

    #[test]
    fn a_stream_made_again_goes_on_with_greater_numbers() {
        let mut first = stream(1);
        let number = put(&mut first, record("key", None, 1)).unwrap().1;
        let mut second = Stream::new("orders", 1, first.created + Duration::from_micros(1)).unwrap();
        let ordered = NewRecord { sequence_number_for_ordering: Some(number.to_string()), ..record("key", None, 1) };
        assert!(put(&mut second, ordered).unwrap().1 > number);
    }

    #[test]
    fn a_read_is_bounded_in_records_and_in_bytes() {
        let mut stream = stream(1);
        stream.max_record_kib = 10_240;
        for size in [1, 1, 6 * 1024 * 1024, 6 * 1024 * 1024, 1] {
            put(&mut stream, record("key", None, size)).unwrap();
        }
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_003);
        let read = |from, limit| {
            let batch = stream.read(&stream.shards()[0], from, limit, now);
            (batch.records.len(), batch.next, batch.behind.as_millis())
        };
        assert_eq!(read(0, 2), (2, 2, 2000));
        assert_eq!(read(0, 100), (3, 3, 2000));
        assert_eq!(read(3, 100), (2, 5, 0));
        assert_eq!(read(5, 100), (0, 5, 0));
        assert_eq!(read(99, 100), (0, 5, 0));
    }
}
