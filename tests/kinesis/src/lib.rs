//! A local Kinesis endpoint for the tests and the quickstart: a real HTTP server on the loopback interface that keeps
//! every record it accepts and misbehaves on request.
//!
//! Where to look:
//!
//! | file | what it knows |
//! |---|---|
//! | `endpoint` | what a test holds: start, pause, resume, look at the records, inject faults |
//! | `server` | HTTP: connections, one request after another, faults |
//! | `operations`, `wire` | the operations of the service, and their JSON |
//! | `store`, `stream`, `limits` | streams, shards, records, and what the service refuses: pure |
//! | `routing`, `sequence` | hash keys and sequence numbers: pure |
//! | `aggregate` | the KPL's aggregates, taken apart: pure |
//! | `fault` | what goes wrong, and when: pure |
//! | `client` | the other end, for consumers |
//!
//! Deliberately absent: signatures (not checked), CBOR, TLS, throttling by rate, retention, iterators that expire,
//! consumers with fan-out, and splitting or merging of shards. Nothing is ever forgotten, so memory grows with what is
//! put.

mod aggregate;
mod client;
mod endpoint;
mod fault;
mod limits;
mod operations;
mod routing;
mod sequence;
mod server;
mod service_error;
mod store;
mod stream;
mod wire;

pub use aggregate::{AggregateError, Damage, UserRecord, take_apart, user_records};
pub use client::{Client, ClientError};
pub use endpoint::{Endpoint, Options, WaitError};
pub use fault::{Fault, FaultPlan};
pub use routing::{HashKey, HashKeyError, HashRange};
pub use sequence::{SequenceNumber, SequenceNumberError};
pub use service_error::ServiceError;
pub use stream::StoredRecord;
