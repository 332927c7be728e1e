//! `pg2k capture` and `pg2k format`, run to their end, and the lines between them.

use std::env;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};
use tokio::process::Command;

use crate::artifacts;
use crate::child::{self, SIGKILL};
use crate::server::Server;

/// Holds what a run left.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What is on standard output.
    pub output: Vec<u8>,
    /// What is on standard error.
    pub errors: String,
}

impl Ran {
    /// Gives what is on standard output.
    ///
    /// # Panics
    ///
    /// If the run was none without a fault, or warned.
    pub fn succeeded(self) -> Vec<u8> {
        let complaints: Vec<_> = self.errors.lines().filter(|line| !line.contains(" INFO ")).collect();
        assert_eq!((self.code, complaints), (0, vec![]), "expected exit code 0, and no complaint");
        self.output
    }

    /// Gives what is on standard output, whatever was warned of.
    ///
    /// # Panics
    ///
    /// If the run was none without a fault.
    pub fn succeeded_with_warnings(self) -> Vec<u8> {
        assert_eq!(self.code, 0, "expected exit code 0:\n{}", self.errors);
        self.output
    }

    /// Gives the numbers of the lines of a file that were refused.
    ///
    /// # Panics
    ///
    /// If there is something else on standard error.
    pub fn refused_lines(&self, file: &Path) -> Vec<usize> {
        let name = format!("{}:", file.display());
        let number = |line: &str| {
            let number = line.strip_prefix(&name).and_then(|rest| rest.split_once(": ")?.0.parse().ok());
            number.unwrap_or_else(|| panic!("expected {name}NUMBER: and what is wrong, found {line}"))
        };
        self.errors.lines().map(number).collect()
    }
}

/// Runs `pg2k capture` on a slot, and gives the lines.
pub async fn capture(server: &Server, database: &str, slot: &str) -> Ran {
    let port = server.port().to_string();
    run(&["capture", "-d", database, "-h", "127.0.0.1", "-p", &port, "-u", "postgres", "-s", slot], Stdio::null()).await
}

/// Runs `pg2k format` on a file of such lines.
pub async fn format(arguments: &[&str], file: &Path) -> Ran {
    run(&[&["format"], arguments, &[file.to_str().expect("a path in UTF-8")]].concat(), Stdio::null()).await
}

/// Runs `pg2k format` with lines on its standard input.
pub async fn format_lines(arguments: &[&str], lines: &[u8]) -> Ran {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(lines).and_then(|()| file.rewind()).expect("a file");
    run(&[&["format"], arguments].concat(), file.into()).await
}

/// Runs the program, which comes to its end by itself.
pub async fn run(arguments: &[&str], input: Stdio) -> Ran {
    let mut command = Command::new(artifacts::pg2k());
    command.args(arguments).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).stdin(input);
    command.kill_on_drop(true);
    child::ends_with_us(command.as_std_mut(), SIGKILL);
    let output = command.output().await.expect("running pg2k");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?} ended by a signal:\n{errors}"));
    Ran { code, output: output.stdout, errors }
}

/// Holds a line that `pg2k capture` wrote: a payload and what is known with it.
#[derive(Clone, Debug)]
pub struct Line {
    members: Map<String, Json>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Line {
    /// Reads lines.
    ///
    /// # Panics
    ///
    /// If one is not as it ought to be.
    pub fn parse_all(lines: &[u8]) -> Vec<Self> {
        let text = std::str::from_utf8(lines).expect("lines in UTF-8");
        text.lines()
            .map(|line| Self::parse(line).unwrap_or_else(|| panic!("{line}: is no line of a capture")))
            .collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut members: Map<String, Json> = serde_json::from_str(line).ok()?;
        let payload = match (members.remove("data"), members.remove("data_b64")) {
            (Some(Json::String(text)), None) => text.into_bytes(),
            (None, Some(Json::String(text))) => {
                BASE64.decode(text).ok().filter(|data| String::from_utf8(data.clone()).is_err())?
            }
            _ => return None,
        };
        let known = members.keys().all(|name| ["lsn", "context"].contains(&&**name));
        (known && members.get("lsn")?.is_string()).then_some(Self { members, payload })
    }

    /// Gives a line for another payload at the same place, without what is known.
    #[must_use]
    pub fn with(&self, payload: Vec<u8>) -> Self {
        let mut members = self.members.clone();
        members.remove("context");
        Self { members, payload }
    }

    /// Writes the line, with its end.
    pub fn print(&self) -> String {
        let mut members = self.members.clone();
        match String::from_utf8(self.payload.clone()) {
            Ok(text) => members.insert("data".to_owned(), text.into()),
            Err(error) => members.insert("data_b64".to_owned(), BASE64.encode(error.as_bytes()).into()),
        };
        format!("{}\n", Json::Object(members))
    }
}
