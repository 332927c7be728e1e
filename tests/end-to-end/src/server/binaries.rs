//! PostgreSQL's programs on this machine, and the user who may run them.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Gives the directory that has `initdb` and `postgres`: `PG2K_TEST_POSTGRES`, what `pg_config` says, Debian's newest, or
/// one of `PATH`.
///
/// # Panics
///
/// If none has them.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        candidates()
            .into_iter()
            .find(|directory| ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file()))
            .expect("found neither initdb nor postgres on this machine: tests/run.sh installs them")
    })
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

/// Gives the command that runs one of PostgreSQL's programs. Clients that are not beside the server are looked for in `PATH`.
pub(crate) fn command(program: &str) -> Command {
    let beside = directory().join(program);
    let mut command = if beside.is_file() { Command::new(beside) } else { Command::new(program) };
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").current_dir("/");
    command
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
