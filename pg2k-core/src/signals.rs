//! SIGINT and SIGTERM, heard in a thread of its own: a formatter that blocks keeps the pipeline from hearing anything.
//!
//! The first signal goes to the [`pipeline`](crate::pipeline), which drains. A second one, or a drain that takes longer than it
//! may, ends the process here: nothing is lost, since what is not confirmed comes again.

use std::future::pending;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::pipeline::Signals;

/// What a drain may take beyond its timeout, for the last confirmation.
const GRACE: Duration = Duration::from_secs(10);

/// The first signal of the user.
pub(crate) struct UserSignals {
    first: Option<oneshot::Receiver<()>>,
}

impl UserSignals {
    /// Listens from now on. `drain_timeout` is how long the process may live after the first signal, but for some grace.
    ///
    /// # Errors
    ///
    /// The system has no thread left, or does not tell of signals.
    pub(crate) fn listen(drain_timeout: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut unix = {
            let _entered = runtime.enter();
            UnixSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? }
        };
        let (tell, first) = oneshot::channel();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                unix.next().await;
                // Where nobody listens any more, the process is about to end.
                let told = tell.send(());
                let reason = match timeout(drain_timeout + GRACE, unix.next()).await {
                    Ok(()) => "a second signal",
                    Err(_) => "the drain takes too long",
                };
                if told.is_ok() {
                    tracing::warn!(reason, "ended without a drain; nothing is lost: what is not confirmed comes again");
                }
                std::process::exit(0);
            });
        })?;
        Ok(Self { first: Some(first) })
    }
}

impl Signals for UserSignals {
    async fn next(&mut self) {
        if let Some(first) = &mut self.first {
            let heard = first.await.is_ok();
            self.first = None;
            if heard {
                return;
            }
        }
        pending().await
    }
}

struct UnixSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl UnixSignals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
