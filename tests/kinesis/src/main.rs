//! Serves a local Kinesis endpoint, or prints what is in one.

mod cli;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let result = match cli::Arguments::parse().command {
        cli::Command::Serve(arguments) => cli::serve::run(&arguments),
        cli::Command::Records(arguments) => cli::records::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell, and the exit code still says it.
            drop(writeln!(std::io::stderr(), "kinesis-endpoint: {}", with_causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

/// Puts an error and its causes on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}
