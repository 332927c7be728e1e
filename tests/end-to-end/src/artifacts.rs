//! Where the program and the formatters are, freshly built.
//!
//! Tests run what `cargo build` makes of the sources as they are now, in the profile that the tests have themselves. With
//! `PG2K_TEST_BINARIES=DIRECTORY` they run what is there instead, and nothing is built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Gives the path of the program.
pub fn pg2k() -> PathBuf {
    existing(directory().join("pg2k"))
}

/// Gives the path of the program that serves the Kinesis endpoint.
pub fn endpoint() -> PathBuf {
    existing(directory().join("kinesis-endpoint"))
}

/// Gives the path of a formatter by the name of its library, such as `minimal_formatter`.
pub fn formatter(library: &str) -> PathBuf {
    existing(directory().join(format!("lib{library}.so")))
}

/// Gives the directory of cargo's output, over all profiles.
///
/// # Panics
///
/// If the test is not where cargo puts tests.
pub fn target() -> PathBuf {
    profile().parent().expect("a target directory").to_owned()
}

/// Gives the directory of the profile, such as `target/debug`.
fn profile() -> PathBuf {
    let this = env::current_exe().expect("the path of the test");
    let directory = this.parent().expect("a directory");
    // Tests are in `deps`, programs above it.
    let above = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    above.expect("a directory above").to_owned()
}

fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match env::var_os("PG2K_TEST_BINARIES") {
        Some(directory) => PathBuf::from(directory),
        None => build(),
    })
}

fn build() -> PathBuf {
    let profile = profile();
    let release = profile.ends_with("release");
    assert!(
        release || profile.ends_with("debug"),
        "{}: expected target/debug or target/release; set PG2K_TEST_BINARIES to the directory of the program",
        profile.display()
    );
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The same selection as in tests/run.sh, so that nothing is built twice.
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--lib", "--bins", "--target-dir"]).arg(target());
    if release {
        cargo.arg("--release");
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap_or_else(|error| panic!("running {cargo:?}: {error}"));
    assert!(output.status.success(), "{cargo:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    profile
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{}: expected a file that was built, found none", path.display());
    path
}
