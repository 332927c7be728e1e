//! Sessions that change tables, from a seed: interleaved, some of it rolled back, in part or as a whole.
//!
//! Sessions know their own rows and share a few. The shared ones come last in a transaction, so that no two sessions ever
//! wait for each other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_postgres::{Client, Error};

use crate::random::Random;
use crate::server::{Address, Server};
use crate::witness::Keys;

const TABLES: &str = "
    CREATE TABLE ledger (note text, id bigint PRIMARY KEY);
    CREATE TABLE pair (a bigint, b bigint, note text, PRIMARY KEY (b, a));
    CREATE TABLE shared (id int PRIMARY KEY, n int NOT NULL);
    CREATE TABLE emptied (id bigint PRIMARY KEY);
    CREATE TABLE unkeyed (n bigint);
";

/// How many rows a session keeps in each of its tables before it rather deletes some.
const ROWS: usize = 50;
/// How long a session that lost its server waits before it looks again.
const RECONNECT: Duration = Duration::from_millis(20);

/// Counts the sessions of this process: no two have rows with the same numbers.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// Makes the tables.
pub async fn create_tables(server: &Server) {
    server.execute(&[TABLES]).await;
}

/// Gives the keys of the tables; `unkeyed` has none.
pub fn keys() -> Keys {
    let keys: [(&str, &[&str]); 4] = [
        ("public.ledger", &["id"]),
        ("public.pair", &["b", "a"]),
        ("public.shared", &["id"]),
        ("public.emptied", &["id"]),
    ];
    keys.into_iter()
        .map(|(table, names)| (table.to_owned(), names.iter().map(|&name| name.to_owned()).collect()))
        .collect()
}

/// Says how much there is to do.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many sessions work at a time.
    pub sessions: u64,
    /// How many transactions all of them begin together; the load ends with the last.
    pub transactions: u64,
    /// How long a session takes over a transaction at least.
    pub pace: Duration,
}

/// Holds sessions at work.
#[derive(Debug)]
pub struct Load {
    left: Arc<AtomicU64>,
    sessions: JoinSet<u64>,
}

impl Load {
    /// Starts the sessions. They survive restarts of the server.
    pub fn start(server: &Server, random: &mut Random, extent: Extent) -> Self {
        let left = Arc::new(AtomicU64::new(extent.transactions));
        let mut sessions = JoinSet::new();
        for _ in 0..extent.sessions {
            let session = Session {
                random: Random::from_seed(random.number()),
                next: SESSIONS.fetch_add(1, Ordering::Relaxed) * 1_000_000_000,
                ledger: VecDeque::new(),
                pairs: VecDeque::new(),
            };
            sessions.spawn(session.work(server.address(), Arc::clone(&left), extent.pace));
        }
        Self { left, sessions }
    }

    /// Waits until all is done, and gives the number of transactions that were committed.
    pub async fn finish(self) -> u64 {
        self.sessions.join_all().await.into_iter().sum()
    }

    /// Ends the load with the transactions that have begun.
    pub async fn stop(self) -> u64 {
        self.left.store(0, Ordering::Relaxed);
        self.finish().await
    }
}

struct Session {
    random: Random,
    /// A number that no row ever had.
    next: u64,
    ledger: VecDeque<u64>,
    pairs: VecDeque<(u64, u64)>,
}

impl Session {
    async fn work(mut self, address: Address, left: Arc<AtomicU64>, pace: Duration) -> u64 {
        let mut committed = 0;
        let mut ticks = (!pace.is_zero()).then(|| interval(pace));
        let mut client: Option<Client> = None;
        let take_one = |left: u64| left.checked_sub(1);
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            let connected = match client.take() {
                Some(client) => client,
                None => match address.connect().await {
                    Ok(client) => client,
                    // The server is being started again.
                    Err(_) => {
                        sleep(RECONNECT).await;
                        continue;
                    }
                },
            };
            match self.transaction(&connected).await {
                Ok(commits) => {
                    committed += u64::from(commits);
                    client = Some(connected);
                }
                // Nothing but the server's end ends a transaction: keys are fresh, and sessions do not wait in a circle.
                Err(error) => assert!(error.is_closed() || is_shutdown(&error), "a transaction failed: {error:?}"),
            }
        }
        committed
    }

    /// Works in two halves, so that other sessions work in between, and tells whether it committed.
    async fn transaction(&mut self, client: &Client) -> Result<bool, Error> {
        let mut first = "BEGIN;".to_owned();
        for _ in 0..=self.random.below(2) {
            first.push_str(&self.own_change());
        }
        client.batch_execute(&first).await?;
        let mut second = self.own_change();
        if self.random.percent(10) {
            second.push_str("SAVEPOINT s;");
            second.push_str(&self.insert());
            second.push_str("ROLLBACK TO s;");
        }
        if self.random.percent(30) {
            second.push_str(&self.shared_change());
        }
        let commits = !self.random.percent(10);
        second.push_str(if commits { "COMMIT" } else { "ROLLBACK" });
        client.batch_execute(&second).await?;
        Ok(commits)
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Changes rows that no other session touches. A row that is gone, because its transaction was rolled back, is changed
    /// in vain.
    fn own_change(&mut self) -> String {
        let delete = self.ledger.len() > ROWS;
        match (self.random.below(100), self.ledger.pop_front(), self.pairs.pop_front()) {
            (_, Some(id), pair) if delete => {
                self.pairs.extend(pair);
                format!("DELETE FROM ledger WHERE id = {id};")
            }
            (0..20, Some(id), pair) => {
                self.ledger.push_back(id);
                self.pairs.extend(pair);
                format!("UPDATE ledger SET note = 'again' WHERE id = {id};")
            }
            (20..30, Some(id), pair) => {
                self.pairs.extend(pair);
                let moved = self.fresh();
                self.ledger.push_back(moved);
                format!("UPDATE ledger SET id = {moved} WHERE id = {id};")
            }
            (30..40, id, Some((a, b))) => {
                self.ledger.extend(id);
                let moved = self.fresh();
                self.pairs.push_back((moved, b));
                format!("UPDATE pair SET a = {moved} WHERE a = {a} AND b = {b};")
            }
            (40..50, id, Some((a, b))) => {
                self.ledger.extend(id);
                format!("DELETE FROM pair WHERE a = {a} AND b = {b};")
            }
            (_, id, pair) => {
                self.ledger.extend(id);
                self.pairs.extend(pair);
                self.insert()
            }
        }
    }

    fn insert(&mut self) -> String {
        let id = self.fresh();
        match self.random.below(10) {
            0 => format!("INSERT INTO unkeyed VALUES ({id});"),
            1..=3 => {
                let b = self.random.below(10);
                self.pairs.push_back((id, b));
                format!("INSERT INTO pair VALUES ({id}, {b}, 'new');")
            }
            _ => {
                self.ledger.push_back(id);
                format!("INSERT INTO ledger VALUES ('it is new', {id});")
            }
        }
    }

    /// Changes one row that all sessions share, or empties a table.
    fn shared_change(&mut self) -> String {
        let id = self.random.below(20);
        match self.random.below(20) {
            0 => "TRUNCATE emptied;".to_owned(),
            1..=4 => {
                let id = self.fresh();
                format!("INSERT INTO emptied VALUES ({id});")
            }
            5..=7 => format!("DELETE FROM shared WHERE id = {id};"),
            _ => format!("INSERT INTO shared VALUES ({id}, 1) ON CONFLICT (id) DO UPDATE SET n = shared.n + 1;"),
        }
    }
}

fn is_shutdown(error: &Error) -> bool {
    // Class 57: operator intervention. A server that is stopped tells its sessions so.
    error.code().is_none_or(|code| code.code().starts_with("57P"))
}
