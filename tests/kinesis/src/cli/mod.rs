//! What the user says: one file per subcommand.

pub(crate) mod records;
pub(crate) mod serve;

/// A local Kinesis endpoint for tests and trials: it keeps everything in memory, and checks no signatures.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Serves until SIGTERM or SIGINT, on 127.0.0.1 only
    Serve(serve::Arguments),
    /// Prints the data of every record in a stream, aggregates taken apart, a line each
    Records(records::Arguments),
}
