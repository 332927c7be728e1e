//! Where a formatter writes: memory that the host owns and uses again for every change.

use std::fmt;
use std::io;

use abi_stable::StableAbi;
use abi_stable::std_types::RVec;

/// Bytes of records that are kept for the next change.
const MAX_KEPT: usize = 1 << 20;

/// The records made of one change, one after another: the host's side of [`Records`].
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct RecordBuffer {
    /// The data of all records, one after another.
    data: RVec<u8>,
    /// The partition keys of all records, one after another.
    partition_keys: RVec<u8>,
    /// Where each record ends in the two above.
    ends: RVec<End>,
    /// The bytes that `data` and `partition_keys` may hold together.
    limit: usize,
    /// Whether something was refused because of the limit.
    overflowed: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, StableAbi)]
struct End {
    data: usize,
    partition_key: usize,
}

impl RecordBuffer {
    /// An empty buffer that takes at most `limit` bytes a change; what would pass that is refused with an error.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { data: RVec::new(), partition_keys: RVec::new(), ends: RVec::new(), limit, overflowed: false }
    }

    /// Forgets the records and keeps the memory, unless it is that of a huge record.
    pub fn clear(&mut self) {
        if self.data.capacity() > MAX_KEPT {
            self.data = RVec::new();
        }
        self.truncate(0);
        self.overflowed = false;
    }

    /// The bytes a change may take.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a write was refused since the last `clear` because of the limit.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The finished record of this number, in the order in which they were begun: data, and partition key if one was set.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<(&[u8], Option<&str>)> {
        let end = self.ends.get(number)?;
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        // A range out of bounds can only come from a foreign hand on the buffer; it reads as an empty record.
        let data = self.data.get(begin.data..end.data).unwrap_or_default();
        let key = self.partition_keys.get(begin.partition_key..end.partition_key).unwrap_or_default();
        Some((data, std::str::from_utf8(key).ok().filter(|key| !key.is_empty())))
    }

    /// All finished records.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&str>)> {
        (0..).map_while(|number| self.get(number))
    }

    /// Forgets what follows the first `count` records.
    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        let end = self.ends.last().copied().unwrap_or_default();
        self.data.truncate(end.data);
        self.partition_keys.truncate(end.partition_key);
    }

    fn room_for(&mut self, bytes: usize) -> bool {
        let free = self.limit.saturating_sub(self.data.len()).saturating_sub(self.partition_keys.len());
        self.overflowed |= bytes > free;
        bytes <= free
    }
}

/// Takes the records that are made of one change.
#[derive(Debug)]
pub struct Records<'a> {
    buffer: &'a mut RecordBuffer,
}

impl<'a> Records<'a> {
    /// Lets a formatter write into this buffer, behind what is in it.
    pub fn new(buffer: &'a mut RecordBuffer) -> Self {
        Self { buffer }
    }

    /// Begins a record. It counts once it is [finished](Record::finish); dropped before that, it never was.
    pub fn record(&mut self) -> Record<'_> {
        let count = self.buffer.ends.len();
        // What an author left behind unfinished, if it was leaked instead of dropped.
        self.buffer.truncate(count);
        Record { count, buffer: self.buffer }
    }
}

/// A record that is being written, by [`write!`] (both [`fmt::Write`] and [`io::Write`] do) or by
/// [`push`](Self::push).
///
/// # Errors
///
/// A write fails when the records of this change grow beyond the host's limit.
#[derive(Debug)]
#[must_use = "a record counts once it is finished"]
pub struct Record<'a> {
    buffer: &'a mut RecordBuffer,
    /// How many records were finished before this one.
    count: usize,
}

impl Record<'_> {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Fails when the records of this change grow beyond the host's limit.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), fmt::Error> {
        if !self.buffer.room_for(bytes.len()) {
            return Err(fmt::Error);
        }
        self.buffer.data.extend_from_copy_slice(bytes);
        Ok(())
    }

    /// Sets the partition key of this record, 1 to 256 characters. Without one, pg2k takes the transaction's number.
    ///
    /// The order of the records does not depend on it: pg2k routes by explicit hash keys.
    ///
    /// # Errors
    ///
    /// Fails when the key is empty or longer than 256 characters.
    pub fn set_partition_key(&mut self, key: &str) -> Result<(), crate::Error> {
        // https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html: characters, not bytes.
        let characters = key.chars().take(257).count();
        if !(1..=256).contains(&characters) {
            let found = if characters == 0 { "none" } else { "more" };
            return Err(crate::Error::new(format!("partition key: expected 1 to 256 characters, found {found}")));
        }
        let begin = self.buffer.ends.last().map_or(0, |end| end.partition_key);
        self.buffer.partition_keys.truncate(begin);
        if !self.buffer.room_for(key.len()) {
            return Err(fmt::Error.into());
        }
        self.buffer.partition_keys.extend_from_copy_slice(key.as_bytes());
        Ok(())
    }

    /// Ends the record: it will be published.
    pub fn finish(mut self) {
        let end = End { data: self.buffer.data.len(), partition_key: self.buffer.partition_keys.len() };
        self.buffer.ends.push(end);
        self.count += 1;
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.count);
    }
}

impl fmt::Write for Record<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes())
    }
}

impl io::Write for Record<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn contents(buffer: &RecordBuffer) -> Vec<(&str, Option<&str>)> {
        buffer.iter().map(|(data, key)| (std::str::from_utf8(data).expect("text"), key)).collect()
    }

    #[test]
    fn only_finished_records_count() {
        let mut buffer = RecordBuffer::new(100);
        let mut records = Records::new(&mut buffer);
        let mut first = records.record();
        write!(first, "{}", 1).expect("room");
        first.finish();
        let mut dropped = records.record();
        write!(dropped, "gone").expect("room");
        dropped.set_partition_key("gone").expect("a key");
        drop(dropped);
        let mut last = records.record();
        last.set_partition_key("replaced").expect("a key");
        last.set_partition_key("k").expect("a key");
        last.push(b"2").expect("room");
        last.finish();
        records.record().finish();
        assert_eq!(contents(&buffer), [("1", None), ("2", Some("k")), ("", None)]);
        buffer.clear();
        assert_eq!(contents(&buffer), []);
    }

    #[test]
    fn a_leaked_record_leaves_nothing_behind() {
        let mut buffer = RecordBuffer::new(100);
        let mut records = Records::new(&mut buffer);
        let mut leaked = records.record();
        leaked.push(b"leaked").expect("room");
        std::mem::forget(leaked);
        let mut record = records.record();
        record.push(b"x").expect("room");
        record.finish();
        assert_eq!(contents(&buffer), [("x", None)]);
    }

    #[test]
    fn the_limit_refuses_and_says_so() {
        let mut buffer = RecordBuffer::new(4);
        let mut records = Records::new(&mut buffer);
        let mut record = records.record();
        record.push(b"1234").expect("room");
        record.finish();
        let mut record = records.record();
        assert!(record.push(b"5").is_err());
        drop(record);
        assert!(buffer.overflowed());
        assert_eq!(contents(&buffer), [("1234", None)]);
        buffer.clear();
        assert!(!buffer.overflowed());
    }

    #[test]
    fn partition_keys_are_counted_in_characters() {
        let mut buffer = RecordBuffer::new(10_000);
        let mut records = Records::new(&mut buffer);
        let mut record = records.record();
        assert!(record.set_partition_key("").is_err());
        assert!(record.set_partition_key(&"é".repeat(257)).is_err());
        assert!(record.set_partition_key(&"é".repeat(256)).is_ok());
    }
}
