//! The streams by name: pure.
//!
//! `operations` and tests look streams up here. A name stands for at most one stream at a time.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::service_error::ServiceError;
use crate::stream::{ACCOUNT, Stream};

/// Holds every stream of the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Store {
    streams: BTreeMap<String, Stream>,
}

impl Store {
    pub(crate) fn create(&mut self, name: &str, shards: u32, now: SystemTime) -> Result<&mut Stream, ServiceError> {
        if self.streams.contains_key(name) {
            let message = format!("Stream {name} under account {ACCOUNT} already exists.");
            return Err(ServiceError::in_use(message));
        }
        let stream = Stream::new(name, shards, now)?;
        Ok(self.streams.entry(name.to_owned()).or_insert(stream))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<(), ServiceError> {
        self.streams.remove(name).map(drop).ok_or_else(|| not_found(name))
    }

    pub(crate) fn stream(&self, name: &str) -> Result<&Stream, ServiceError> {
        self.streams.get(name).ok_or_else(|| not_found(name))
    }

    pub(crate) fn stream_mut(&mut self, name: &str) -> Result<&mut Stream, ServiceError> {
        self.streams.get_mut(name).ok_or_else(|| not_found(name))
    }

    /// Gives every stream, in the order of their names.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.values()
    }
}

fn not_found(name: &str) -> ServiceError {
    ServiceError::not_found(format!("Stream {name} under account {ACCOUNT} not found."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_stream() {
        let mut store = Store::default();
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(store.stream("orders").unwrap_err().code, "ResourceNotFoundException");
        store.create("orders", 2, now).unwrap();
        assert_eq!(store.create("orders", 2, now).unwrap_err().code, "ResourceInUseException");
        store.delete("orders").unwrap();
        assert_eq!(store.delete("orders").unwrap_err().code, "ResourceNotFoundException");
        store.create("orders", 1, now).unwrap();
        assert_eq!(store.stream_mut("orders").unwrap().shards().len(), 1);
        assert_eq!(store.streams().count(), 1);
    }

    #[test]
    fn names_and_shard_counts_have_limits() {
        let mut store = Store::default();
        let now = SystemTime::UNIX_EPOCH;
        for name in ["", "a b", "ü", &"a".repeat(129)] {
            assert_eq!(store.create(name, 1, now).unwrap_err().code, "ValidationException");
        }
        for shards in [0, 10_001] {
            assert_eq!(store.create("orders", shards, now).unwrap_err().code, "ValidationException");
        }
        store.create(&"a".repeat(128), 1, now).unwrap();
    }
}
