//! One backlog, read by turns by `pg_recvlogical`, which throws it away, and by pg2k, which publishes it.
//!
//! Every reading is of a copy of one slot, so that all read the same. A reading ends when everything is received, for
//! `pg_recvlogical`, or confirmed to the slot, for pg2k.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg2k_test_end_to_end::artifacts;
use pg2k_test_end_to_end::child::{self, SIGKILL, SIGTERM, Usage};
use pg2k_test_end_to_end::lsn::Lsn;
use pg2k_test_end_to_end::server::{Server, Settings};
use pg2k_test_end_to_end::wait::{self, LATER, SOON};
use tokio_postgres::Client;

use crate::options::Options;

/// The kernel's unit of CPU time in `/proc`, `USER_HZ`: the same on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// The bounds that pg2k is meant to keep: wall time and CPU as ratios, memory in MB.
const MOST_WALL: f64 = 1.2;
const MOST_CPU: f64 = 1.5;
const MOST_MEMORY: f64 = 100.0;

/// Holds what one reading took, in seconds and MB.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: f64,
    cpu: f64,
    walsender: f64,
    memory: f64,
    puts: Option<u64>,
}

/// Measures, and prints a table.
pub(crate) async fn measure(options: &Options) {
    // No checkpoint in between, which would take CPU from one of the two.
    let settings = Settings::default().set("max_wal_size", "8GB").set("checkpoint_timeout", "1h");
    let server = settings.set("shared_buffers", "256MB").start().await;
    let end = prepare(&server, options).await;
    println!("{:>16} {:>9} {:>9} {:>11} {:>9} {:>9}", "", "wall s", "CPU s", "walsender s", "peak MB", "puts");
    let mut readings: [Vec<Reading>; 2] = [Vec::new(), Vec::new()];
    for round in 0..options.rounds {
        // By turns, also in who is first.
        for place in 0..2 {
            let publishes = (round + place) % 2 == 1;
            server.copy_slot("backlog", "reading").await;
            let host = if options.tcp { "127.0.0.1".into() } else { server.socket().as_os_str().to_owned() };
            let reading = if publishes {
                pg2k(&server, &host, end, &options.formatter).await
            } else {
                pg_recvlogical(&server, &host, end).await
            };
            print(if publishes { "pg2k" } else { "pg_recvlogical" }, reading);
            readings[usize::from(publishes)].push(reading);
            drop_slot(&server).await;
        }
    }
    let [receiving, publishing] = readings.map(|readings| median_reading(&readings));
    println!("\nmedians");
    print("pg_recvlogical", receiving);
    print("pg2k", publishing);
    let (wall, cpu) = (publishing.wall / receiving.wall, publishing.cpu / receiving.cpu);
    println!("{:>16} {wall:>9.2} {cpu:>9.2} {:>11.2}", "ratio", publishing.walsender / receiving.walsender);
    verdict("wall time, ratio", wall, MOST_WALL);
    verdict("CPU of the client, ratio", cpu, MOST_CPU);
    verdict("peak memory, MB", publishing.memory, MOST_MEMORY);
}

/// Makes the backlog, and gives its end.
async fn prepare(server: &Server, options: &Options) -> Lsn {
    let pgbench = |arguments: &[String]| {
        let output = server.program("pgbench").args(arguments).output().expect("running pgbench");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let Options { transactions, scale, clients, .. } = options;
    pgbench(&["--initialize".into(), "--quiet".into(), format!("--scale={scale}")]);
    server.create_slot("backlog").await;
    let start = server.wal_end().await;
    let each = transactions / clients;
    pgbench(&[
        "-N".into(),
        "-n".into(),
        format!("--client={clients}"),
        "--jobs=2".into(),
        format!("--transactions={each}"),
    ]);
    let client = server.client().await;
    client.batch_execute("CHECKPOINT").await.expect("SQL");
    // The end is that of a commit, which both programs see as such.
    client.batch_execute("UPDATE pgbench_branches SET filler = 'the last' WHERE bid = 1").await.expect("SQL");
    let end = server.wal_end().await;
    let megabytes = (end.0 - start.0) / 1_000_000;
    println!(
        "backlog: {} transactions, {megabytes} MB of WAL; {}\n",
        each * clients,
        server.query_one("SELECT version()").await
    );
    end
}

async fn pg_recvlogical(server: &Server, host: &OsString, end: Lsn) -> Reading {
    let mut command = server.program("pg_recvlogical");
    command.env("PGHOST", host).args([
        "--slot=reading",
        "--start",
        "--no-loop",
        "--file=/dev/null",
        "--dbname=postgres",
    ]);
    command.arg(format!("--endpos={end}"));
    let reading = Running::start(command);
    let client = server.client().await;
    let mut walsender = 0.0;
    let waiting = reading.wait();
    tokio::pin!(waiting);
    let (wall, usage) = loop {
        tokio::select! {
            ended = &mut waiting => break ended,
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                if let Some(used) = walsender_cpu(&client).await {
                    walsender = used;
                }
            }
        }
    };
    reading_of(wall, usage, walsender)
}

async fn pg2k(server: &Server, host: &OsString, end: Lsn, formatter: &str) -> Reading {
    let directory = tempfile::tempdir().expect("a directory");
    let (endpoint, url) = endpoint(directory.path()).await;
    let mut command = Command::new(artifacts::pg2k());
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("AWS_ENDPOINT_URL", url);
    command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.args(["-d", "postgres", "-u", "postgres", "-s", "reading", "-k", "bench", "-f", formatter, "-h"]).arg(host);
    command.args(["-p", &server.port().to_string()]);
    let log = directory.path().join("log");
    command.stderr(fs::File::create(&log).expect("a log"));
    let client = server.client().await;
    let reading = Running::start(command);
    let sql = "SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = 'reading'";
    let sql = client.prepare(sql).await.expect("SQL");
    let mut walsender = 0.0;
    wait::until("the backlog's end, confirmed", LATER, async || {
        if let Some(used) = walsender_cpu(&client).await {
            walsender = used;
        }
        let row = client.query_one(&sql, &[&end.to_string()]).await.expect("the slot's state");
        row.get::<_, bool>(0).then_some(())
    })
    .await;
    let wall = reading.begun.elapsed();
    child::send(reading.child.id(), SIGTERM);
    let (_, usage) = reading.wait().await;
    child::send(endpoint.child.id(), SIGTERM);
    endpoint.wait().await;
    Reading { puts: puts(&log), ..reading_of(wall, usage, walsender) }
}

/// Gives the number of requests that pg2k counted, from the last line of its log that has it.
fn puts(log: &Path) -> Option<u64> {
    let log = fs::read_to_string(log).expect("the log");
    log.rsplit_once(" puts=")?.1.split_whitespace().next()?.parse().ok()
}

/// Starts the endpoint as a process of its own.
async fn endpoint(directory: &Path) -> (Running, String) {
    let port = directory.join("port");
    let mut command = Command::new(artifacts::endpoint());
    command.args(["serve", "--port", "0", "--stream", "bench=1", "--port-file"]).arg(&port).stdout(Stdio::null());
    let running = Running::start(command);
    let port = wait::until("the endpoint's port", SOON, async || fs::read_to_string(&port).ok()).await;
    (running, format!("http://127.0.0.1:{}", port.trim()))
}

/// Holds a child, and when it was started.
struct Running {
    child: std::process::Child,
    begun: Instant,
}

impl Running {
    fn start(mut command: Command) -> Self {
        child::ends_with_us(&mut command, SIGKILL);
        let begun = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("running {command:?}: {error}"));
        Self { child, begun }
    }

    /// Waits for the end, which must be a good one.
    async fn wait(self) -> (Duration, Usage) {
        let Self { child, begun } = self;
        let waiting = tokio::task::spawn_blocking(move || {
            let (status, usage) = child::wait_for_usage(child).expect("the child's end");
            assert!(status.success(), "a measured program ended with {status}");
            (begun.elapsed(), usage)
        });
        waiting.await.expect("the child's end")
    }
}

/// Gives the CPU time of the slot's reader in the server so far, if there is one.
async fn walsender_cpu(client: &Client) -> Option<f64> {
    let sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'reading'";
    let pid: Option<i32> = client.query_one(sql, &[]).await.expect("the slot's state").get(0);
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid?)).ok()?;
    // After the name in parentheses, field 3 comes first; 14 and 15 are utime and stime. See proc(5).
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?) / TICKS_PER_SECOND)
}

async fn drop_slot(server: &Server) {
    let client = server.client().await;
    wait::until("the slot's reader gone", SOON, async || {
        client.batch_execute("SELECT pg_drop_replication_slot('reading')").await.ok()
    })
    .await;
}

#[allow(clippy::cast_precision_loss, reason = "memory in bytes is far below 2^52")]
fn reading_of(wall: Duration, usage: Usage, walsender: f64) -> Reading {
    let memory = usage.peak_memory as f64 / 1e6;
    Reading { wall: wall.as_secs_f64(), cpu: usage.cpu.as_secs_f64(), walsender, memory, puts: None }
}

fn print(name: &str, reading: Reading) {
    let Reading { wall, cpu, walsender, memory, puts } = reading;
    let puts = puts.map(|puts| puts.to_string()).unwrap_or_default();
    println!("{name:>16} {wall:>9.2} {cpu:>9.2} {walsender:>11.2} {memory:>9.1} {puts:>9}");
}

fn verdict(what: &str, found: f64, most: f64) {
    let verdict = if found <= most { "kept" } else { "NOT KEPT" };
    println!("{what:>26}: {found:.2}, at most {most}: {verdict}");
}

fn median_reading(readings: &[Reading]) -> Reading {
    let median = |value: fn(&Reading) -> f64| {
        let mut values: Vec<_> = readings.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Reading {
        wall: median(|reading| reading.wall),
        cpu: median(|reading| reading.cpu),
        walsender: median(|reading| reading.walsender),
        memory: median(|reading| reading.memory),
        puts: None,
    }
}
