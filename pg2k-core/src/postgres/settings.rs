//! What the user said, made into where and how to connect.
//!
//! The command line and libpq's environment variables come in, and [`Settings`] leave. Whatever `Settings` exist can
//! be tried: nothing in them is checked again.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::password::{Password, Source, Wanted};

/// Where servers put their socket: Debian's and Red Hat's packages, then the source's own default.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// PostgreSQL's port.
const DEFAULT_PORT: u16 = 5432;

/// How long one attempt to connect may take, log-in included, unless `PGCONNECT_TIMEOUT` says otherwise.
///
/// libpq waits for ever. A tool that runs unattended had better try again.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The connection as the command line gives it. What is not given, or empty, comes from the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) dbname: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) sslmode: Option<String>,
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) dbname: String,
    pub(crate) password: Source,
    pub(crate) tls: Tls,
    /// The time that one attempt may take, log-in included.
    pub(crate) connect_timeout: Duration,
    /// What the server shows in `pg_stat_activity`.
    pub(crate) application_name: String,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A host's name or address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// Whether to encrypt. Never on a Unix socket, as in libpq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Without.
    Disable,
    /// With, if the server can; `sslmode=prefer`, and `allow`, to whose user either is right as well.
    Prefer(Verify),
    /// Only with.
    Require(Verify),
}

/// How much of the server's certificate to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nothing.
    Nothing,
    /// That a root signed it; `verify-ca`, and `require` where there is a root file, as in libpq.
    Chain(Roots),
    /// That a root signed it, and for this host; `verify-full`.
    ChainAndName(Roots),
}

/// Whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// The certificates in a PEM file. It is read at every connection.
    File(PathBuf),
    /// Those that the operating system trusts; `PGSSLROOTCERT=system`.
    System,
}

/// What the user said cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SettingsError {
    #[error("no user: give --pg-user, or set PGUSER")]
    NoUser,
    #[error("{name}: expected text in UTF-8")]
    NotUtf8 { name: &'static str },
    #[error("{what}: expected text without NUL")]
    Nul { what: &'static str },
    #[error("PGPORT: expected a number from 1 to 65535, found {found:?}")]
    Port { found: String },
    #[error("port: expected a number from 1 to 65535, found 0")]
    PortZero,
    #[error("host {found:?}: expected one host, found a list")]
    HostList { found: String },
    // Its text is not repeated: it may hold a password.
    #[error(
        "database name: expected a name, found a connection URI; give its parts as --pg-host, --pg-port, --pg-user, --pg-dbname, and the password as PGPASSWORD"
    )]
    Uri,
    #[error("sslmode: expected disable, allow, prefer, require, verify-ca or verify-full, found {found:?}")]
    SslMode { found: String },
    #[error(
        "sslmode {mode}: expected a root certificate to verify with, found none; set PGSSLROOTCERT to a PEM file, or to system"
    )]
    NoRoots { mode: &'static str },
    #[error(
        "PGSSLROOTCERT=system: expected sslmode verify-full, found {mode}, with which any public certificate would do"
    )]
    SystemRoots { mode: &'static str },
    #[error("PGCONNECT_TIMEOUT: expected a whole number of seconds, found {found:?}")]
    ConnectTimeout { found: String },
}

impl Settings {
    /// Resolves what is not given on the command line by libpq's environment variables and defaults
    /// (<https://www.postgresql.org/docs/current/libpq-envars.html>).
    ///
    /// Known are `PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, `PGAPPNAME`, `PGSSLMODE`,
    /// `PGSSLROOTCERT` and `PGCONNECT_TIMEOUT`; neither service files nor client certificates are.
    ///
    /// # Errors
    ///
    /// Fails where a value cannot be understood, and where there is no user at all.
    pub(crate) fn resolve(
        options: Options,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        resolve(options, &Environment(&environment), &SOCKET_DIRECTORIES)
    }

    /// Looks up the password, if there is one. The password file is read every time.
    pub(crate) fn password(&self) -> Option<Password> {
        let host = match &self.host {
            Host::Tcp(host) => host.as_str(),
            // libpq's rule: the default directory goes by the name localhost, any other by its path.
            Host::Unix(directory) => match directory.to_str() {
                Some(directory) if !SOCKET_DIRECTORIES.contains(&directory) => directory,
                _ => "localhost",
            },
        };
        self.password.password(Wanted { host, port: self.port, dbname: &self.dbname, user: &self.user })
    }

    /// Where to connect, as messages call it.
    pub(crate) fn address(&self) -> Address<'_> {
        Address(self)
    }

    /// The path of the Unix socket, if it is one.
    pub(crate) fn socket_path(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Tcp(_) => None,
            Host::Unix(directory) => Some(socket_path(directory, self.port)),
        }
    }
}

/// Prints as `host:port`, or as the socket's path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a>(&'a Settings);

impl fmt::Display for Address<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.host {
            Host::Tcp(host) => write!(formatter, "{host}:{}", self.0.port),
            Host::Unix(directory) => write!(formatter, "{}", socket_path(directory, self.0.port).display()),
        }
    }
}

fn socket_path(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// libpq's environment: an empty variable counts as none.
struct Environment<'a>(&'a Lookup<'a>);

impl Environment<'_> {
    fn bytes(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.bytes(name).map(PathBuf::from)
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        self.bytes(name).map(OsString::into_string).transpose().map_err(|_| SettingsError::NotUtf8 { name })
    }
}

fn resolve(
    options: Options,
    environment: &Environment<'_>,
    socket_directories: &[&str],
) -> Result<Settings, SettingsError> {
    let given = |option: Option<String>, name| match option.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Some(text)),
        None => environment.text(name),
    };
    let port = resolve_port(options.port, environment)?;
    let user = match given(options.user, "PGUSER")? {
        Some(user) => user,
        None => system_user(environment)?,
    };
    let user = without_nul("user", user)?;
    let dbname = without_nul("database name", given(options.dbname, "PGDATABASE")?.unwrap_or_else(|| user.clone()))?;
    if dbname.starts_with("postgres://") || dbname.starts_with("postgresql://") {
        return Err(SettingsError::Uri);
    }
    let host = match given(options.host, "PGHOST")? {
        Some(list) if list.contains(',') => return Err(SettingsError::HostList { found: list }),
        Some(directory) if directory.starts_with('/') => Host::Unix(PathBuf::from(directory)),
        Some(host) => Host::Tcp(host),
        None => default_host(port, socket_directories),
    };
    let password = match environment.bytes("PGPASSWORD") {
        Some(password) => Source::Given(Password::new(password.into_vec())),
        None => match environment.path("PGPASSFILE").or_else(|| in_home(environment, ".pgpass")) {
            Some(path) => Source::File(path),
            None => Source::Nowhere,
        },
    };
    Ok(Settings {
        host,
        port,
        user,
        dbname,
        password,
        tls: resolve_tls(given(options.sslmode, "PGSSLMODE")?.as_deref(), environment)?,
        connect_timeout: resolve_timeout(environment.text("PGCONNECT_TIMEOUT")?)?,
        application_name: without_nul(
            "PGAPPNAME",
            environment.text("PGAPPNAME")?.unwrap_or_else(|| "pg2k".to_owned()),
        )?,
    })
}

fn without_nul(what: &'static str, text: String) -> Result<String, SettingsError> {
    if text.contains('\0') { Err(SettingsError::Nul { what }) } else { Ok(text) }
}

fn system_user(environment: &Environment<'_>) -> Result<String, SettingsError> {
    match environment.text("USER")? {
        Some(user) => Ok(user),
        None => environment.text("LOGNAME")?.ok_or(SettingsError::NoUser),
    }
}

fn in_home(environment: &Environment<'_>, file: &str) -> Option<PathBuf> {
    environment.path("HOME").map(|home| home.join(file))
}

fn resolve_port(option: Option<u16>, environment: &Environment<'_>) -> Result<u16, SettingsError> {
    match (option, environment.text("PGPORT")?) {
        (Some(0), _) => Err(SettingsError::PortZero),
        (Some(port), _) => Ok(port),
        (None, None) => Ok(DEFAULT_PORT),
        (None, Some(found)) => match found.trim().parse() {
            Ok(0) | Err(_) => Err(SettingsError::Port { found }),
            Ok(port) => Ok(port),
        },
    }
}

fn default_host(port: u16, socket_directories: &[&str]) -> Host {
    socket_directories
        .iter()
        .map(PathBuf::from)
        .find(|directory| socket_path(directory, port).exists())
        .map_or_else(|| Host::Tcp("localhost".to_owned()), Host::Unix)
}

fn resolve_timeout(text: Option<String>) -> Result<Duration, SettingsError> {
    let Some(found) = text else {
        return Ok(DEFAULT_CONNECT_TIMEOUT);
    };
    match found.trim().parse::<i32>() {
        // libpq's: zero and less mean no limit (here a day, which is none), and one second means two.
        Ok(seconds) if seconds <= 0 => Ok(Duration::from_secs(24 * 60 * 60)),
        Ok(seconds) => Ok(Duration::from_secs(u64::from(seconds.unsigned_abs().max(2)))),
        Err(_) => Err(SettingsError::ConnectTimeout { found }),
    }
}

fn resolve_tls(mode: Option<&str>, environment: &Environment<'_>) -> Result<Tls, SettingsError> {
    let roots = match environment.path("PGSSLROOTCERT") {
        Some(path) if path.as_os_str() == "system" => Some(Roots::System),
        Some(path) => Some(Roots::File(path)),
        None => in_home(environment, ".postgresql/root.crt").filter(|path| path.exists()).map(Roots::File),
    };
    // A weaker mode with the roots of the whole world verifies nothing of worth; libpq refuses it too.
    let chain = |mode: &'static str| match &roots {
        Some(Roots::System) => Err(SettingsError::SystemRoots { mode }),
        Some(roots) => Ok(Some(Verify::Chain(roots.clone()))),
        None => Ok(None),
    };
    match mode {
        Some("disable") => Ok(Tls::Disable),
        Some("prefer" | "allow") => Ok(Tls::Prefer(chain("prefer")?.unwrap_or(Verify::Nothing))),
        Some("require") => Ok(Tls::Require(chain("require")?.unwrap_or(Verify::Nothing))),
        Some("verify-ca") => chain("verify-ca")?.map(Tls::Require).ok_or(SettingsError::NoRoots { mode: "verify-ca" }),
        Some("verify-full") => roots
            .map(|roots| Tls::Require(Verify::ChainAndName(roots)))
            .ok_or(SettingsError::NoRoots { mode: "verify-full" }),
        Some(found) => Err(SettingsError::SslMode { found: found.to_owned() }),
        // With PGSSLROOTCERT=system and nothing said, libpq means verify-full.
        None => match roots {
            Some(Roots::System) => Ok(Tls::Require(Verify::ChainAndName(Roots::System))),
            Some(roots) => Ok(Tls::Prefer(Verify::Chain(roots))),
            None => Ok(Tls::Prefer(Verify::Nothing)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Environment, Host, Options, Roots, Settings, SettingsError, Tls, Verify, resolve};
    use crate::postgres::password::{Password, Source};

    fn settings(options: Options, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        resolve(options, &Environment(&find), &["/nonexistent"])
    }

    fn from(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        settings(Options::default(), variables)
    }

    fn tls(mode: &str, roots: &str) -> Result<Tls, SettingsError> {
        from(&[("USER", "u"), ("PGSSLMODE", mode), ("PGSSLROOTCERT", roots)]).map(|settings| settings.tls)
    }

    #[test]
    fn defaults() {
        let settings = from(&[("USER", "ann"), ("HOME", "/nonexistent")]).unwrap();
        assert_eq!(settings.host, Host::Tcp("localhost".to_owned()));
        assert_eq!((settings.user.as_str(), settings.dbname.as_str()), ("ann", "ann"));
        assert_eq!(settings.address().to_string(), "localhost:5432");
        assert_eq!(settings.password, Source::File(PathBuf::from("/nonexistent/.pgpass")));
        assert_eq!(settings.tls, Tls::Prefer(Verify::Nothing));
        assert_eq!(settings.application_name, "pg2k");
        assert_eq!(from(&[("LOGNAME", "bob")]).unwrap().user, "bob");
        assert_eq!(from(&[]).unwrap_err(), SettingsError::NoUser);
    }

    #[test]
    fn the_command_line_wins_and_empty_means_not_given() {
        let variables =
            [("PGHOST", "a"), ("PGPORT", "1"), ("PGUSER", "b"), ("PGDATABASE", "c"), ("PGSSLMODE", "disable")];
        let options = |text: &str| Options {
            dbname: Some(text.to_owned()),
            host: Some(text.to_owned()),
            port: (!text.is_empty()).then_some(2),
            user: Some(text.to_owned()),
            sslmode: Some(if text.is_empty() { "" } else { "require" }.to_owned()),
        };
        let given = settings(options("z"), &variables).unwrap();
        assert_eq!(given.address().to_string(), "z:2");
        assert_eq!((given.user.as_str(), given.dbname.as_str()), ("z", "z"));
        assert_eq!(given.tls, Tls::Require(Verify::Nothing));
        let empty = settings(options(""), &variables).unwrap();
        assert_eq!(empty.address().to_string(), "a:1");
        assert_eq!((empty.user.as_str(), empty.dbname.as_str()), ("b", "c"));
        assert_eq!(empty.tls, Tls::Disable);
    }

    #[test]
    fn hosts() {
        let host = |host| from(&[("USER", "u"), ("PGHOST", host)]);
        let unix = host("/run/pg").unwrap();
        assert_eq!(unix.host, Host::Unix(PathBuf::from("/run/pg")));
        assert_eq!(unix.address().to_string(), "/run/pg/.s.PGSQL.5432");
        assert_eq!(host("a,b").unwrap_err().to_string(), "host \"a,b\": expected one host, found a list");

        let directory = std::env::temp_dir().join(format!("pg2k-socket-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(".s.PGSQL.77"), "").unwrap();
        let find = |name: &str| matches!(name, "USER" | "PGPORT").then(|| OsString::from("77"));
        let directories = ["/nonexistent", directory.to_str().unwrap()];
        let found = resolve(Options::default(), &Environment(&find), &directories).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found.host, Host::Unix(directory));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = |name, value| from(&[("USER", "u"), (name, value)]).unwrap_err().to_string();
        for port in ["0", "65536", "five", "-1"] {
            let expected = format!("PGPORT: expected a number from 1 to 65535, found {port:?}");
            assert_eq!(error("PGPORT", port), expected);
        }
        assert_eq!(
            error("PGSSLMODE", "full"),
            "sslmode: expected disable, allow, prefer, require, verify-ca or verify-full, found \"full\""
        );
        assert_eq!(
            error("PGCONNECT_TIMEOUT", "1s"),
            "PGCONNECT_TIMEOUT: expected a whole number of seconds, found \"1s\""
        );
        assert!(!error("PGDATABASE", "postgres://u:secret@h/d").contains("secret"));
        let options = Options { port: Some(0), ..Options::default() };
        assert_eq!(settings(options, &[]).unwrap_err(), SettingsError::PortZero);
        let odd = |name: &str| (name == "PGUSER").then(|| OsString::from_vec(vec![0xFF]));
        let error = Settings::resolve(Options::default(), odd).unwrap_err();
        assert_eq!(error.to_string(), "PGUSER: expected text in UTF-8");
    }

    #[test]
    fn timeouts() {
        let timeout = |text| from(&[("USER", "u"), ("PGCONNECT_TIMEOUT", text)]).unwrap().connect_timeout;
        assert_eq!(timeout(""), Duration::from_secs(30));
        assert_eq!(timeout("1"), Duration::from_secs(2));
        assert_eq!(timeout(" 7 "), Duration::from_secs(7));
        assert_eq!(timeout("0"), Duration::from_secs(86_400));
        assert_eq!(timeout("-3"), Duration::from_secs(86_400));
    }

    #[test]
    fn tls_by_mode_and_roots() {
        let file = || Roots::File(PathBuf::from("/r.pem"));
        assert_eq!(tls("disable", "/r.pem"), Ok(Tls::Disable));
        assert_eq!(tls("", ""), Ok(Tls::Prefer(Verify::Nothing)));
        assert_eq!(tls("allow", ""), Ok(Tls::Prefer(Verify::Nothing)));
        assert_eq!(tls("prefer", "/r.pem"), Ok(Tls::Prefer(Verify::Chain(file()))));
        assert_eq!(tls("require", ""), Ok(Tls::Require(Verify::Nothing)));
        assert_eq!(tls("require", "/r.pem"), Ok(Tls::Require(Verify::Chain(file()))));
        assert_eq!(tls("verify-ca", "/r.pem"), Ok(Tls::Require(Verify::Chain(file()))));
        assert_eq!(tls("verify-ca", ""), Err(SettingsError::NoRoots { mode: "verify-ca" }));
        assert_eq!(tls("verify-full", "/r.pem"), Ok(Tls::Require(Verify::ChainAndName(file()))));
        assert_eq!(tls("verify-full", ""), Err(SettingsError::NoRoots { mode: "verify-full" }));
        assert_eq!(tls("verify-full", "system"), Ok(Tls::Require(Verify::ChainAndName(Roots::System))));
        assert_eq!(tls("", "system"), Ok(Tls::Require(Verify::ChainAndName(Roots::System))));
        assert_eq!(tls("require", "system"), Err(SettingsError::SystemRoots { mode: "require" }));
    }

    #[test]
    fn passwords_are_found_and_not_printed() {
        let settings = from(&[("USER", "u"), ("PGPASSWORD", "secret")]).unwrap();
        assert_eq!(settings.password(), Some(Password::new(b"secret".to_vec())));
        assert!(!format!("{settings:?}").contains("secret"));
        let file = from(&[("USER", "u"), ("PGPASSFILE", "/p"), ("PGPASSWORD", "")]).unwrap();
        assert_eq!(file.password, Source::File(PathBuf::from("/p")));
        assert_eq!(from(&[("USER", "u")]).unwrap().password, Source::Nowhere);
    }
}
