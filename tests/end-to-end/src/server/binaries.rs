//! PostgreSQL's programs on this machine, and the user who may run them.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::artifacts;

/// Says which of the PostgreSQL servers on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The one of `PG2K_TEST_POSTGRES`, or what `pg_config` says, or Debian's newest, or one of `PATH`.
    #[default]
    System,
    /// The one of this major that `tests/run.sh` installed.
    Major(u32),
}

impl Version {
    /// Gives those that the decoder is tested against: what `PG2K_TEST_MAJORS` says, or the system's, 11 and 18.
    ///
    /// # Panics
    ///
    /// If it says something else than `system` and numbers.
    pub fn asked_for() -> Vec<Self> {
        let asked = env::var("PG2K_TEST_MAJORS").unwrap_or_else(|_| "system 11 18".to_owned());
        let versions: Vec<_> = asked
            .split_whitespace()
            .map(|word| match word {
                "system" => Self::System,
                major => Self::Major(major.parse().unwrap_or_else(|_| {
                    panic!("PG2K_TEST_MAJORS={asked}: expected `system` and majors like 18, found `{major}`")
                })),
            })
            .collect();
        assert!(!versions.is_empty(), "PG2K_TEST_MAJORS={asked}: expected at least one");
        versions
    }
}

/// Holds the directory of one server's programs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Finds the directory that has `initdb` and `postgres`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn of(version: Version) -> Self {
        match version {
            Version::System => Self::system(),
            Version::Major(major) => {
                let place = artifacts::target().join("postgres").join(major.to_string());
                // A link leads to where the servers' user gets to, who need not get through to the link.
                let place = place.canonicalize().unwrap_or(place).join("bin");
                assert!(
                    has_server(&place),
                    "{}: expected initdb and postgres of PostgreSQL {major}, found none: tests/run.sh installs them",
                    place.display()
                );
                Self(place)
            }
        }
    }

    fn system() -> Self {
        static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
        let directory = DIRECTORY.get_or_init(|| {
            candidates()
                .into_iter()
                .find(|directory| has_server(directory))
                .expect("found neither initdb nor postgres on this machine: tests/run.sh installs them")
        });
        Self(directory.clone())
    }

    /// Gives the command that runs one of PostgreSQL's programs. Clients that are not beside the server are looked for in
    /// `PATH`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let beside = self.0.join(program);
        let mut command = if beside.is_file() { Command::new(beside) } else { Command::new(program) };
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/");
        command
    }

    /// Asks the server for its major.
    pub(crate) fn major(&self) -> u32 {
        let output = self.command("postgres").arg("--version").output().expect("running postgres");
        let text = String::from_utf8_lossy(&output.stdout);
        // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1), and 19beta1 before a release
        let number = text.split_once("(PostgreSQL) ").map_or("", |(_, number)| number);
        let digits = number.split(|byte: char| !byte.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().unwrap_or_else(|_| panic!("{}: expected a version, found `{text}`", self.0.display()))
    }
}

fn has_server(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

fn candidates() -> Vec<PathBuf> {
    if let Some(directory) = env::var_os("PG2K_TEST_POSTGRES") {
        return vec![directory.into()];
    }
    let mut found = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let mut majors: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable();
    found.extend(majors.iter().rev().map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))));
    found.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    found
}

/// Stands for the user who runs servers where the tests are run by root, whom PostgreSQL refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// Gives `postgres` to root, and nobody to others, who run servers themselves.
    pub(crate) fn other_than_us() -> Option<Self> {
        let root = fs::metadata("/proc/self").expect("/proc/self").uid() == 0;
        root.then(|| Self { uid: id("-u"), gid: id("-g") })
    }

    /// Makes a command run as this user, without root's groups.
    pub(crate) fn run(owner: Option<Self>, command: &mut Command) {
        if let Some(owner) = owner {
            command.uid(owner.uid).gid(owner.gid);
        }
    }
}

fn id(option: &str) -> u32 {
    let output = Command::new("id").args([option, "postgres"]).output().expect("running id");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("root needs a user `postgres` to run servers: tests/run.sh makes it")
}
