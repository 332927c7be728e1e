//! `pg2k format`: captured payloads in, records out, without a server.
//!
//! Lines come from [files](crate::captured), go through the same [`translate`](crate::pipeline::translate) as live payloads, and
//! leave as records, each followed by a newline. What is refused is told on standard error, as `FILE:LINE:` and what is wrong.

mod keys;
mod replay;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::captured;
use crate::cli::FormatTask;
use crate::formatter::LoadedFormatter;
use crate::formatter::load::LoadError;
use keys::{Keys, KeysError};
use replay::{Given, Place, Replay, Stop};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All payloads were understood.
    Whole,
    /// Some were refused, and reported.
    Refused,
}

/// Why formatting ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error("cannot read {}", path.display())]
    Input { path: PathBuf, source: io::Error },
    #[error("cannot write records")]
    Output { source: io::Error },
}

/// Turns the files' payloads into records on standard output.
///
/// # Errors
///
/// See [`FormatError`]. Payloads that are refused are none: they are an [`Outcome`].
pub(crate) fn format(task: FormatTask) -> Result<Outcome, FormatError> {
    let formatter = LoadedFormatter::load(&task.formatter.path, &task.formatter.options)?;
    let given = Given {
        selection: task.selection,
        invalid_text: task.invalid_text,
        encoding: task.encoding,
        server_major: task.server_major,
        keys: task.keys.as_deref().map(Keys::read).transpose()?,
    };
    let records = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut replay = Replay::new(formatter, given, records, io::stderr().lock(), task.keep_going);
    for path in &task.files {
        match file(path, &mut replay) {
            Ok(()) => {}
            Err(End::Input(source)) => return Err(FormatError::Input { path: path.clone(), source }),
            Err(End::Replay(Stop::Refused)) => break,
            Err(End::Replay(Stop::Output(source))) => return output(source, replay.outcome()),
        }
    }
    let outcome = replay.outcome();
    replay.finish().or_else(|source| output(source, outcome))
}

/// A reader that has seen enough, such as `head`, is no error.
fn output(source: io::Error, outcome: Outcome) -> Result<Outcome, FormatError> {
    match source.kind() {
        io::ErrorKind::BrokenPipe => Ok(outcome),
        _ => Err(FormatError::Output { source }),
    }
}

enum End {
    Input(io::Error),
    Replay(Stop),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Replay(stop)
    }
}

fn file(
    path: &Path,
    replay: &mut Replay<impl crate::pipeline::translate::Format, impl Write, impl Write>,
) -> Result<(), End> {
    let (name, mut input): (String, Box<dyn BufRead>) = if path == Path::new("-") {
        ("<stdin>".to_owned(), Box::new(io::stdin().lock()))
    } else {
        let file = File::open(path).map_err(End::Input)?;
        (path.display().to_string(), Box::new(BufReader::with_capacity(1 << 16, file)))
    };
    replay.begin_file(name);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(End::Input)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let place = Place(number);
        match captured::read(&line) {
            Ok(captured) => replay.take(place, captured)?,
            Err(error) => replay.refuse_line(place, &error)?,
        }
    }
    Ok(replay.end_file()?)
}
