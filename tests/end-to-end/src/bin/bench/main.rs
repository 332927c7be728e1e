//! Measures pg2k against `pg_recvlogical` over the same backlog, and its latency on a quiet system.
//!
//! tests/bench.sh builds and runs it. Where numbers come from: time from a monotonic clock, CPU and memory of the clients from
//! wait4(2), CPU of the server's walsender from `/proc`, arrivals from the endpoint.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made ends the program, and its table goes to standard output"
)]

mod backlog;
mod latency;
mod options;

use pg2k_test_end_to_end::artifacts;

use self::options::Options;

fn main() {
    let Some(options) = Options::from_arguments(std::env::args().skip(1)) else {
        println!("{}", options::HELP);
        return;
    };
    // Children end with this thread, and the body of `block_on` stays on it.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        println!("pg2k: {}", artifacts::pg2k().display());
        if options.rounds > 0 {
            backlog::measure(&options).await;
        }
        if options.commits > 0 {
            latency::measure(&options).await;
        }
    });
}
