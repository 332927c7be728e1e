//! `kinesis-endpoint serve`: an endpoint for as long as the process lives.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pg2k_test_kinesis::{Endpoint, Options};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The port to listen on; 0 for any that is free
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// A file to write the port to, once the endpoint listens
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// A stream to make at start; may be given more than once
    #[arg(long = "stream", value_name = "NAME=SHARDS")]
    streams: Vec<NewStream>,
}

#[derive(Clone, Debug)]
struct NewStream {
    name: String,
    shards: u32,
}

impl FromStr for NewStream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, shards) = text.split_once('=').ok_or("expected NAME=SHARDS")?;
        let shards = shards.parse().map_err(|error| format!("number of shards `{shards}`: {error}"))?;
        Ok(Self { name: name.to_owned(), shards })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody can know that the endpoint is there, so that no signal meets the default action.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let port = arguments.port;
        let endpoint =
            Endpoint::start(Options { port }).map_err(|error| format!("listening on 127.0.0.1:{port}: {error}"))?;
        for stream in &arguments.streams {
            endpoint.create_stream(&stream.name, stream.shards)?;
        }
        if let Some(path) = &arguments.port_file {
            write_whole(path, &endpoint.port().to_string())
                .map_err(|error| format!("writing {}: {error}", path.display()))?;
        }
        let mut output = io::stdout();
        writeln!(output, "listening on {}", endpoint.url())?;
        output.flush()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// Writes a file so that a reader sees all of it or none.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let partial = PathBuf::from(name);
    fs::write(&partial, text)?;
    fs::rename(&partial, path)
}
