//! The program `pg2k`: arguments to configuration to an exit code.

use std::process::ExitCode;

use clap::Parser;
use pg2k_core::cli::Arguments;

fn main() -> ExitCode {
    pg2k_core::run(Arguments::parse())
}
