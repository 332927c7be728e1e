//! Logs on standard error, and the line that tells how it goes.

use std::io::IsTerminal;
use std::time::Duration;

use pg2k_abi::Lsn;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::pipeline::flow::Totals;

/// Who logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A program that runs on and on.
    Service,
    /// A program that does what it was asked for, and has nothing to say when it has done it.
    Tool,
}

impl Role {
    /// What is logged by default: this level and above.
    fn level(self) -> &'static str {
        match self {
            Self::Service => "info",
            Self::Tool => "warn",
        }
    }
}

/// Sends logs to standard error. `RUST_LOG` selects what is logged.
///
/// # Errors
///
/// What is wrong with `RUST_LOG`; logs are set up all the same.
pub(crate) fn set_up(format: LogFormat, role: Role) -> Result<(), String> {
    let level = role.level();
    let selection = std::env::var("RUST_LOG").unwrap_or_default();
    let selection = if selection.is_empty() { level } else { &selection };
    let (filter, result) = match EnvFilter::try_new(selection) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (
            EnvFilter::new(level),
            Err(format!("RUST_LOG: expected a filter such as debug, found {selection:?}: {error}")),
        ),
    };
    // Where standard error is gone or full, publishing goes on.
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Text if role == Role::Tool => logs.without_time().with_ansi(false).with_target(false).init(),
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    result
}

/// What was reported last.
#[derive(Debug)]
pub(crate) struct Report {
    at: Instant,
    totals: Totals,
}

impl Report {
    pub(crate) fn new(now: Instant) -> Self {
        Self { at: now, totals: Totals::default() }
    }

    /// When the next report is due.
    pub(crate) fn due(&self, interval: Duration) -> Instant {
        self.at + interval
    }

    /// Logs the rates since the last report, and the lag: the bytes of WAL between what is confirmed and the newest place that
    /// the server told of.
    pub(crate) fn print(&mut self, now: Instant, totals: &Totals, confirmed: Lsn, seen: Lsn) {
        let seconds = (now - self.at).as_secs_f64();
        let rate = |now: u64, then: u64| ((now - then) as f64 / seconds).round();
        let before = &self.totals;
        tracing::info!(
            transactions_per_s = rate(totals.transactions, before.transactions),
            changes_per_s = rate(totals.changes, before.changes),
            records_per_s = rate(totals.records, before.records),
            puts_per_s = rate(totals.puts, before.puts),
            put_bytes_per_s = rate(totals.put_bytes, before.put_bytes),
            lag_bytes = seen.as_u64().saturating_sub(confirmed.as_u64()),
            %confirmed,
            "progress"
        );
        *self = Self { at: now, totals: *totals };
    }
}
