//! A running `pg2k`: its command line, its log, its end.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pg2k_test_kinesis::Endpoint;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::child::{self, SIGINT, SIGKILL, SIGTERM};
use crate::server::Server;
use crate::wait::SOON;
use crate::{NAME, artifacts};

/// Says how the program is started: its options, its flags, its environment, of which it inherits nothing but `PATH`.
#[derive(Clone, Debug)]
pub struct Launch {
    options: Vec<(String, OsString)>,
    flags: Vec<String>,
    environment: BTreeMap<String, OsString>,
}

impl Launch {
    /// Starts with what every test needs: the server, its database and user `postgres`, the endpoint, and the slot and
    /// stream [`NAME`].
    pub fn new(server: &Server, endpoint: &Endpoint) -> Self {
        Self::bare(&endpoint.url())
            .with("-d", "postgres")
            .with("-h", "127.0.0.1")
            .with("-p", server.port().to_string())
            .with("-u", "postgres")
            .with("-s", NAME)
            .with("-k", NAME)
    }

    /// Starts with the environment alone.
    pub fn bare(endpoint: &str) -> Self {
        let launch = Self { options: Vec::new(), flags: Vec::new(), environment: BTreeMap::new() };
        launch
            .environment("PATH", env::var_os("PATH").unwrap_or_default())
            .environment("HOME", "/nonexistent")
            .environment("AWS_ENDPOINT_URL", endpoint)
            .environment("AWS_REGION", "us-east-1")
            .environment("AWS_ACCESS_KEY_ID", "test")
            .environment("AWS_SECRET_ACCESS_KEY", "test")
    }

    /// Gives an option another value, or its first.
    #[must_use]
    pub fn with(self, option: &str, value: impl Into<OsString>) -> Self {
        self.without(option).and(option, value)
    }

    /// Gives an option one more value.
    #[must_use]
    pub fn and(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.options.push((option.to_owned(), value.into()));
        self
    }

    /// Takes an option away.
    #[must_use]
    pub fn without(mut self, option: &str) -> Self {
        self.options.retain(|(name, _)| name != option);
        self
    }

    /// Adds a flag, which has no value.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// Starts the program. Call it from the body of a test only: the program ends with the thread.
    pub fn start(&self) -> Pg2k {
        let mut command = Command::new(artifacts::pg2k());
        for (option, value) in &self.options {
            command.arg(option).arg(value);
        }
        command.args(&self.flags).env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        child::ends_with_us(command.as_std_mut(), SIGKILL);
        let mut child = command.spawn().expect("running pg2k");
        let log = Log::default();
        let (grown, growth) = watch::channel(());
        let stderr = child.stderr.take().expect("the log");
        let reader = tokio::spawn(read(stderr, log.clone(), grown));
        Pg2k { child, log, growth, reader }
    }

    /// Runs the program to its end, which comes soon.
    pub async fn run(&self) -> Outcome {
        self.start().exit(SOON).await
    }
}

/// Holds what the program wrote to its standard error so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Reads until the end, and tells with every piece that there is more.
async fn read(mut stderr: ChildStderr, log: Log, grown: watch::Sender<()>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        log.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..length]);
        grown.send_replace(());
    }
}

/// Holds a running program. Dropping it kills it.
pub struct Pg2k {
    child: Child,
    log: Log,
    growth: watch::Receiver<()>,
    reader: JoinHandle<()>,
}

impl Pg2k {
    /// Gives what the program logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the log has this text.
    ///
    /// # Panics
    ///
    /// If it does not within the time, or the program ends before.
    pub async fn wait_for_log(&mut self, text: &str, within: Duration) {
        let seen = timeout(within, async {
            while !self.log.text().contains(text) {
                if self.growth.changed().await.is_err() {
                    return self.log.text().contains(text);
                }
            }
            true
        });
        let seen = seen.await;
        assert_eq!(seen, Ok(true), "expected `{text}` in the log within {within:?}:\n{}", self.log());
    }

    /// Gives the number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a program that was not waited for")
    }

    /// Gives the most memory that was resident at a time, in bytes, from `VmHWM` in `/proc`.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process's state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Tells whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the program's state").is_none()
    }

    /// Sends SIGTERM, which asks to drain.
    pub fn signal_terminate(&self) {
        child::send(self.pid(), SIGTERM);
    }

    /// Sends SIGINT, which asks for the same.
    pub fn signal_interrupt(&self) {
        child::send(self.pid(), SIGINT);
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(self) -> Outcome {
        self.signal_terminate();
        self.exit(SOON).await
    }

    /// Kills the program as a crash would, and waits until it is gone.
    pub async fn kill9(mut self) -> String {
        self.child.kill().await.expect("a program that can be killed");
        self.log()
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// If it does not come within the time, or came by a signal.
    pub async fn exit(mut self, within: Duration) -> Outcome {
        let Ok(status) = timeout(within, self.child.wait()).await else {
            panic!("expected the end of pg2k within {within:?}:\n{}", self.log());
        };
        self.reader.await.expect("the log's end");
        let log = self.log.text();
        let status = status.expect("the program's end");
        let code = status.code().unwrap_or_else(|| panic!("pg2k ended by a signal, {status}:\n{log}"));
        Outcome { code, log }
    }
}

impl fmt::Debug for Pg2k {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pg2k").field("child", &self.child).finish_non_exhaustive()
    }
}

/// Holds how the program ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// What was written to standard error.
    pub log: String,
}

impl Outcome {
    /// Gives the lines that report an error: those of level ERROR, and what is written before there is a log.
    pub fn errors(&self) -> Vec<&str> {
        let is_error = |line: &&str| {
            line.starts_with("error:") || line.contains(" ERROR ") || line.contains("\"level\":\"ERROR\"")
        };
        self.log.lines().filter(is_error).collect()
    }

    /// Gives the lines that warn.
    pub fn warnings(&self) -> Vec<&str> {
        self.log.lines().filter(|line| line.contains(" WARN ")).collect()
    }

    /// Gives the one line that reports an error.
    ///
    /// # Panics
    ///
    /// If there is none, or more than one.
    pub fn error(&self) -> &str {
        match self.errors()[..] {
            [line] => line,
            _ => panic!("expected one line that reports an error, exit code {}:\n{}", self.code, self.log),
        }
    }

    /// Checks that the program drained.
    ///
    /// # Panics
    ///
    /// If it did not.
    pub fn assert_drained(&self) {
        assert_eq!(self.code, 0, "expected exit code 0:\n{}", self.log);
    }
}
