//! What the end-to-end tests stand on: real servers, the real program, and what is expected of the records.
//!
//! | file | what it knows |
//! |---|---|
//! | `server` | a throwaway PostgreSQL server; in it `binaries`, `template`, `slots` |
//! | `program` | a running `pg2k`: its command line, its log, its end |
//! | `artifacts` | where the program and the formatters are, freshly built |
//! | `child` | what the operating system knows of a child process |
//! | `tool` | `pg2k capture` and `pg2k format`, run to their end |
//! | `load` | sessions that change tables, from a seed |
//! | `witness` | the commit order, as a second slot tells it |
//! | `replay` | what a consumer makes of the records |
//! | `watched` | a database that a slot of `test_decoding` and one of `pgoutput` watch |
//! | `workload` | what makes payloads of every kind |
//! | `history` | what happened, whoever tells it |
//! | `pgoutput` | what happened, as the server's binary protocol tells it |
//! | `records` | what happened, as the records of the formatter `json` tell it |
//! | `copies` | a database that becomes what the records say |
//! | `grammar`, `damage` | which payloads there can be, and how to make others of them |
//! | `lsn`, `random`, `wait` | positions in the WAL, seeded randomness, deadlines |
//!
//! Everything here panics when it cannot do its work, and says why: a test that cannot be set up has failed.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed, and ends"
)]

pub mod artifacts;
pub mod child;
pub mod copies;
pub mod damage;
pub mod grammar;
pub mod history;
pub mod load;
pub mod lsn;
pub mod pgoutput;
pub mod program;
pub mod random;
pub mod records;
pub mod replay;
pub mod server;
pub mod tool;
pub mod wait;
pub mod watched;
pub mod witness;
pub mod workload;

use pg2k_test_kinesis::{Endpoint, Options};

/// The stream and the slot of tests that need only one.
pub const NAME: &str = "pg2k";

/// Starts an endpoint that has the stream [`NAME`], of so many shards.
pub fn endpoint(shards: u32) -> Endpoint {
    let endpoint = Endpoint::start(Options::default()).expect("an endpoint on 127.0.0.1");
    endpoint.create_stream(NAME, shards).expect("a new stream");
    endpoint
}
