//! What a test holds: a running endpoint, what it stored, and the means to make it fail.
//!
//! The thread of `server` and the threads of tests meet in [`Shared`]. What was stored stays when the server pauses.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::fault::{Fault, FaultPlan, Faults};
use crate::server::Server;
use crate::service_error::ServiceError;
use crate::store::Store;
use crate::stream::StoredRecord;

/// Says how an endpoint is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
}

/// Says what was waited for in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The stream did not come to hold what was expected of it.
    #[error("stream {stream}: not as expected after {deadline:?}, with {records} records")]
    Records {
        /// The stream's name.
        stream: String,
        /// How long was waited.
        deadline: Duration,
        /// How many records the stream held at last.
        records: usize,
    },
    /// The puts did not come.
    #[error("expected {expected} put requests within {deadline:?}, found {found}")]
    Puts {
        /// How many were waited for.
        expected: u64,
        /// How many came since the endpoint started.
        found: u64,
        /// How long was waited.
        deadline: Duration,
    },
}

/// Holds what the server and the tests share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    faults: Faults,
    puts: u64,
    requests: u64,
}

impl State {
    fn records(&self, stream: &str) -> &[StoredRecord] {
        self.store.stream(stream).map_or(&[], |stream| stream.records())
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A test's condition may have panicked under the lock; it only reads.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for records or puts.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Counts a request, and gives its number.
    pub(crate) fn next_request(&self) -> u64 {
        let mut state = self.lock();
        state.requests += 1;
        state.requests
    }

    /// Counts a put, and takes the fault that is planned for it.
    pub(crate) fn next_put(&self) -> Option<Fault> {
        let mut state = self.lock();
        state.puts += 1;
        let fault = state.faults.next();
        drop(state);
        self.notify();
        fault
    }

    /// Waits until the condition holds, and tells whether it came to.
    fn wait(&self, deadline: Duration, mut condition: impl FnMut(&State) -> bool) -> (MutexGuard<'_, State>, bool) {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), deadline, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        (state, !timeout.timed_out())
    }
}

/// Holds a running endpoint. Dropping it closes every connection and ends its thread.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    port: u16,
    server: Mutex<Option<Server>>,
}

impl Endpoint {
    /// Listens on 127.0.0.1 and serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// If the port is taken, or there are no more sockets or threads.
    pub fn start(options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let server = Server::start(options.port, Arc::clone(&shared))?;
        Ok(Self { shared, port: server.port(), server: Mutex::new(Some(server)) })
    }

    /// Gives the URL for clients, such as `http://127.0.0.1:4567`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives the port, which stays the same over pauses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes the listener and all connections, answered or not, and keeps the store and the planned faults.
    ///
    /// When it returns, connections are refused. Does nothing while paused.
    pub fn pause(&self) {
        drop(self.server().take());
    }

    /// Listens on the same port again. Does nothing while running.
    ///
    /// # Errors
    ///
    /// If another program took the port in between.
    pub fn resume(&self) -> io::Result<()> {
        let mut server = self.server();
        if server.is_none() {
            *server = Some(Server::start(self.port, Arc::clone(&self.shared))?);
        }
        Ok(())
    }

    /// Makes a stream, which is active at once.
    ///
    /// # Errors
    ///
    /// If there is such a stream, the name is not one, or the number of shards is none or too large.
    pub fn create_stream(&self, name: &str, shards: u32) -> Result<(), ServiceError> {
        self.shared.lock().store.create(name, shards, SystemTime::now()).map(drop)
    }

    /// Deletes a stream and its records.
    ///
    /// # Errors
    ///
    /// If there is no such stream.
    pub fn delete_stream(&self, name: &str) -> Result<(), ServiceError> {
        self.shared.lock().store.delete(name)
    }

    /// Changes how many kibibytes of data and partition key a record may have, also to less than the service allows.
    ///
    /// # Errors
    ///
    /// If there is no such stream.
    pub fn set_max_record_size(&self, stream: &str, kib: u32) -> Result<(), ServiceError> {
        self.shared.lock().store.stream_mut(stream)?.max_record_kib = kib;
        Ok(())
    }

    /// Makes the stream say that the service distributes its records as it likes, or no longer. They are still routed by
    /// their keys.
    ///
    /// # Errors
    ///
    /// If there is no such stream.
    pub fn set_automatic_distribution(&self, stream: &str, automatic: bool) -> Result<(), ServiceError> {
        self.shared.lock().store.stream_mut(stream)?.automatic_distribution = automatic;
        Ok(())
    }

    /// Gives all records of a stream in order of arrival; none if there is no such stream.
    pub fn records(&self, stream: &str) -> Vec<StoredRecord> {
        self.shared.lock().records(stream).to_vec()
    }

    /// Waits until a condition on the stream's records holds, and gives them. The stream need not exist yet.
    ///
    /// The condition is asked at once and after every change, while the endpoint stands still: it should be quick, and
    /// must not use the endpoint.
    ///
    /// # Errors
    ///
    /// If the condition does not hold within the time.
    pub fn wait_for(
        &self,
        stream: &str,
        deadline: Duration,
        mut condition: impl FnMut(&[StoredRecord]) -> bool,
    ) -> Result<Vec<StoredRecord>, WaitError> {
        let (state, holds) = self.shared.wait(deadline, |state| condition(state.records(stream)));
        let records = state.records(stream);
        if holds {
            return Ok(records.to_vec());
        }
        Err(WaitError::Records { stream: stream.to_owned(), deadline, records: records.len() })
    }

    /// Counts the PutRecord and PutRecords requests received since the start, those that were made to fail included.
    pub fn put_requests(&self) -> u64 {
        self.shared.lock().puts
    }

    /// Waits until that many puts were received since the start, whatever became of them.
    ///
    /// # Errors
    ///
    /// If fewer came within the time.
    pub fn wait_for_puts(&self, expected: u64, deadline: Duration) -> Result<u64, WaitError> {
        let (state, enough) = self.shared.wait(deadline, |state| state.puts >= expected);
        let found = state.puts;
        if enough { Ok(found) } else { Err(WaitError::Puts { expected, found, deadline }) }
    }

    /// Plans faults for the puts to come, after those that are planned already.
    pub fn inject(&self, plan: FaultPlan) {
        self.shared.lock().faults.push(plan);
    }

    /// Makes that many puts fail, after those that are planned already.
    pub fn fail_next(&self, puts: usize, fault: Fault) {
        self.inject(FaultPlan::new(std::iter::repeat_n(Some(fault), puts)));
    }

    /// Forgets all planned faults. Those under way go on: a hang ends with the connection.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
