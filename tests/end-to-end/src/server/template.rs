//! A data directory that is copied for every server: `initdb` takes longer than a copy.
//!
//! There is one in the process as long as any server lives, and the last server takes it along.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use super::binaries::{self, Owner};

/// Holds a data directory that no server runs on.
#[derive(Debug)]
pub(crate) struct Template {
    directory: TempDir,
}

impl Template {
    /// Gives the template of this process, and makes it if there is none.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Template>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let template = Arc::new(Self::make());
            *shared = Arc::downgrade(&template);
            template
        })
    }

    fn make() -> Self {
        let directory = directory();
        let mut initdb = binaries::command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        initdb.arg(directory.path().join("data"));
        Owner::run(Owner::other_than_us(), &mut initdb);
        run(&mut initdb);
        Self { directory }
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
