//! A throwaway PostgreSQL server.
//!
//! Each test has its own: a copy of a data directory in a directory of its own, a socket beside it, a port on 127.0.0.1.
//! Nothing of it is left when it is dropped, and the server ends with the test even if the test is killed.

mod binaries;
mod slots;
mod template;

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

pub use self::binaries::Version;

use self::binaries::Owner;
use self::template::Template;
use crate::child::{self, SIGINT, SIGQUIT};
use crate::wait::{self, SOON};

/// What every server is set to. A later line wins.
///
/// A crash of the server alone loses nothing without fsync: the operating system still has what was written.
const SETTINGS: &str = "
    listen_addresses = '127.0.0.1'
    wal_level = logical
    max_wal_senders = 20
    max_replication_slots = 20
    max_connections = 60
    fsync = off
    full_page_writes = off
    autovacuum = off
    shared_buffers = 32MB
    timezone = 'UTC'
";

/// What servers since 11 are set to as well.
const SETTINGS_SINCE_11: &str = "jit = off\n";

/// What the program says of the text that it wants to see, as start-up options.
const PINNED: &str = "-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex \
     -c extra_float_digits=3 -c search_path= -c lc_monetary=C -c quote_all_identifiers=off";

/// Who may connect, after the lines that a test adds: everybody.
const TRUST: &str = "local all all trust\nhost all all 127.0.0.1/32 trust\n";

/// Says how a server is to be set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    version: Version,
    configuration: String,
    authentication: String,
}

impl Settings {
    /// Chooses which of the servers on this machine, which is otherwise the system's.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Adds a line to `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        writeln!(self.configuration, "{name} = '{value}'").unwrap();
        self
    }

    /// Adds a line to `pg_hba.conf`, before those that let everybody in.
    #[must_use]
    pub fn authenticate(mut self, line: &str) -> Self {
        writeln!(self.authentication, "{line}").unwrap();
        self
    }

    /// Starts a server that is set up so, and waits until it takes connections.
    pub async fn start(self) -> Server {
        let template = Template::shared(self.version);
        let (directory, data) = template.copy();
        let configuration = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&configuration).expect("postgresql.conf");
        write!(text, "{SETTINGS}\nunix_socket_directories = '{}'\n", directory.path().display()).unwrap();
        if template.major() >= 11 {
            text.push_str(SETTINGS_SINCE_11);
        }
        text.push_str(&self.configuration);
        // Files that exist keep their owner.
        fs::write(&configuration, text).expect("postgresql.conf");
        fs::write(data.join("pg_hba.conf"), self.authentication + TRUST).expect("pg_hba.conf");
        let mut server = Server { postmaster: None, port: 0, data, directory, template };
        // Between the choice of a port and its use another program may take it.
        wait::until("a server on a free port", SOON, async || {
            server.port = free_port();
            server.try_start().await.then_some(())
        })
        .await;
        server
    }
}

/// Holds a running server, or one that was stopped for a while.
#[derive(Debug)]
pub struct Server {
    postmaster: Option<Child>,
    port: u16,
    data: PathBuf,
    directory: TempDir,
    template: Arc<Template>,
}

impl Server {
    /// Starts a server with the usual settings.
    pub async fn new() -> Self {
        Settings::default().start().await
    }

    /// Starts the server again on its port.
    pub async fn start(&mut self) {
        wait::until("the server on its port again", SOON, async || self.try_start().await.then_some(())).await;
    }

    async fn try_start(&mut self) -> bool {
        assert!(self.postmaster.is_none(), "the server runs already");
        let mut command = self.template.binaries().command("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        let log = fs::File::options().append(true).create(true).open(self.log_path()).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        // The standard library changes the user before it runs this, and the kernel would forget it with that.
        Owner::run(Owner::other_than_us(), &mut command);
        child::ends_with_us(&mut command, SIGQUIT);
        let mut postmaster = command.spawn().expect("running postgres");
        let configuration = self.configuration();
        let running = wait::until("the server's first connection", SOON, async || {
            if postmaster.try_wait().expect("the server's state").is_some() {
                return Some(false);
            }
            configuration.connect(NoTls).await.ok().map(|_| true)
        })
        .await;
        if running {
            self.postmaster = Some(postmaster);
            return true;
        }
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        assert!(log.contains("Address already in use"), "the server did not start:\n{log}");
        false
    }

    /// Stops the server as if it had crashed: connections are cut, nothing is written.
    pub fn stop_immediate(&mut self) {
        let mut postmaster = self.postmaster.take().expect("a running server");
        child::send(postmaster.id(), SIGQUIT);
        postmaster.wait().expect("the server's end");
    }

    /// Stops the server as an operator does: new connections are refused, those that are there are ended.
    ///
    /// # Panics
    ///
    /// If it is not done in that time.
    pub async fn stop_fast(&mut self, within: Duration) {
        let mut postmaster = self.postmaster.take().expect("a running server");
        child::send(postmaster.id(), SIGINT);
        wait::until("the server's end", within, async || postmaster.try_wait().expect("the server's state")).await;
    }

    /// Puts another server in this one's place: the same address and settings, and a history of its own, which is short.
    pub async fn replace(&mut self) {
        self.stop_immediate();
        let files = ["postgresql.conf", "pg_hba.conf"].map(|name| self.data.join(name));
        let texts = files.each_ref().map(|file| fs::read_to_string(file).expect("a configuration"));
        fs::remove_dir_all(&self.data).expect("the data directory's end");
        self.template.copy_to(&self.data);
        for (file, text) in files.iter().zip(texts) {
            fs::write(file, text).expect("a configuration");
        }
        self.start().await;
    }

    /// Gives the server's major, such as 18.
    pub fn major(&self) -> u32 {
        self.template.major()
    }

    /// Gives the port on 127.0.0.1, which stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives the directory of the server's socket, which is as good as a host's name.
    pub fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// Gives what the server wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).expect("the server's log")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn configuration(&self) -> Config {
        let mut configuration = Config::new();
        configuration.host_path(self.directory.path()).port(self.port).user("postgres").dbname("postgres");
        configuration
    }

    /// Connects to the database `postgres`.
    pub async fn client(&self) -> Client {
        self.client_of("postgres").await
    }

    /// Connects to a database.
    pub async fn client_of(&self, database: &str) -> Client {
        self.try_client_of(database).await.unwrap_or_else(|error| panic!("{database}: {error}\n{}", self.log()))
    }

    /// Connects to a database if the server runs.
    ///
    /// # Errors
    ///
    /// If it does not, or there is no such database.
    pub async fn try_client_of(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        connect(self.configuration().dbname(database)).await
    }

    /// Connects to a database with the settings that the program pins for its own sessions, so that both see the same text.
    pub async fn pinned_client_of(&self, database: &str) -> Client {
        let mut configuration = self.configuration();
        configuration.dbname(database).options(PINNED);
        connect(&configuration).await.unwrap_or_else(|error| panic!("{database}: {error}\n{}", self.log()))
    }

    /// Gives what a session of a load needs to connect, also after the server was started again.
    pub fn address(&self) -> Address {
        Address(self.configuration())
    }

    /// Executes statements in the database `postgres`, each in a transaction of its own unless they say otherwise.
    pub async fn execute(&self, statements: &[&str]) {
        let client = self.client().await;
        for sql in statements {
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }

    /// Gives the one text that a query finds.
    pub async fn query_one(&self, sql: &str) -> String {
        let client = self.client().await;
        let row = client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        row.get(0)
    }

    /// Gives the command of a client program, such as `psql` or `pgbench`, for this server.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.template.binaries().command(name);
        command.env("PGHOST", self.socket()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            self.stop_immediate();
        }
    }
}

/// Holds what it takes to connect.
#[derive(Clone, Debug)]
pub struct Address(Config);

impl Address {
    /// Connects, if the server runs.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        connect(&self.0).await
    }
}

async fn connect(configuration: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = configuration.connect(NoTls).await?;
    // What ends the connection also fails the query that is under way.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
