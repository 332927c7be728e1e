//! Reads the changes committed to a PostgreSQL database from a logical replication slot and publishes them to an Amazon Kinesis
//! data stream, in commit order, losing none.
//!
//! ```text
//! PostgreSQL ─▶ source ─▶ transaction ─▶ decode ─▶ formatter ─▶ lane: aggregate ─▶ PutRecord ─▶ Kinesis
//!      ▲                                                         │ acknowledged
//!      └────────────── confirm end LSN ◀────── progress (ledger) ◀
//! ```
//!
//! One direction for data, one for acknowledgements:
//!
//! | part | what it does |
//! |---|---|
//! | [`postgres`] | the connections, the slot, the catalogs; `postgres::stream` is the source |
//! | [`transaction`] | payloads from BEGIN to COMMIT, bounded |
//! | [`decode`] | one payload to one event |
//! | [`selection`] | what of the changes is published |
//! | [`relations`] | which tables are published, and their keys |
//! | [`formatter`] | finds and loads the library that makes records |
//! | [`kinesis`] | the lane, the aggregate, what becomes of failures, the client |
//! | [`progress`] | what may be confirmed |
//! | [`pipeline`] | waits for an event (`run`), applies it (`flow`) |
//! | [`capture`], [`mod@format`] | payloads to a file, and from files to records without a server; [`captured`] is a line of such a file |
//!
//! `captured`, `transaction`, `decode`, `selection`, `relations`, `progress`, `kinesis::{aggregate, lane, retry}` and `pipeline::{flow, translate}` are
//! pure: no I/O, no clock, no randomness. There is no local disk.

mod backoff;
mod capture;
mod captured;
mod cause;
pub mod cli;
mod config;
pub mod decode;
mod format;
mod formatter;
mod kinesis;
mod pipeline;
mod postgres;
mod progress;
mod relations;
mod run;
mod selection;
mod signals;
mod telemetry;
mod transaction;

pub use run::run;
