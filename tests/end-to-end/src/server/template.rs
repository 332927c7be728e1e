//! A data directory that is copied for every server: `initdb` takes longer than a copy.
//!
//! There is one of each version in the process as long as any server of it lives, and the last server takes it along.

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use super::binaries::{Binaries, Owner, Version};

/// Holds a data directory that no server runs on.
#[derive(Debug)]
pub(crate) struct Template {
    directory: TempDir,
    binaries: Binaries,
    major: u32,
}

impl Template {
    /// Gives this process's template of a version, and makes it if there is none.
    pub(crate) fn shared(version: Version) -> Arc<Self> {
        static SHARED: Mutex<BTreeMap<Version, Weak<Template>>> = Mutex::new(BTreeMap::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get(&version).and_then(Weak::upgrade).unwrap_or_else(|| {
            let template = Arc::new(Self::make(Binaries::of(version)));
            shared.insert(version, Arc::downgrade(&template));
            template
        })
    }

    fn make(binaries: Binaries) -> Self {
        let directory = directory();
        let mut initdb = binaries.command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        initdb.arg(directory.path().join("data"));
        Owner::run(Owner::other_than_us(), &mut initdb);
        run(&mut initdb);
        let major = binaries.major();
        Self { directory, binaries, major }
    }

    /// Gives the programs that made it, which are those to run it with.
    pub(crate) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Gives the server's major.
    pub(crate) fn major(&self) -> u32 {
        self.major
    }

    /// Makes a directory that belongs to the servers' user and has a copy of the data directory in `data`.
    pub(crate) fn copy(&self) -> (TempDir, PathBuf) {
        let directory = directory();
        let data = directory.path().join("data");
        self.copy_to(&data);
        (directory, data)
    }

    /// Copies the data directory to a path where nothing is.
    pub(crate) fn copy_to(&self, data: &Path) {
        run(Command::new("cp").arg("--archive").arg(self.directory.path().join("data")).arg(data));
    }
}

/// Makes a directory for sockets too, whose paths must be short: always in `/tmp`.
fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("pg2k-").tempdir_in("/tmp").expect("a directory in /tmp");
    if let Some(owner) = Owner::other_than_us() {
        chown(directory.path(), Some(owner.uid), Some(owner.gid)).expect("a directory that can be given away");
    }
    directory
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("running {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
