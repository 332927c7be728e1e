//! Passwords, and the file that holds them.
//!
//! A password comes from `PGPASSWORD` or from libpq's password file and goes to the log-in alone: it is never printed.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The most of a password file that is read, in bytes. A real one has a few lines; a device has no end.
const MAX_FILE: u64 = 1 << 20;

/// A password, as the bytes that the server shall get.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(Vec<u8>);

impl Password {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Where a password is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was given.
    Given(Password),
    /// It is looked up at every log-in, so that a password that changes (a token that expires) is picked up.
    File(PathBuf),
    /// Nowhere: no `PGPASSWORD`, and no home directory with a password file.
    Nowhere,
}

/// What a password file's line is chosen by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The host's name, `localhost` for the default socket directory, or another socket directory's path.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) dbname: &'a str,
    pub(crate) user: &'a str,
}

impl Source {
    /// Looks the password up. No password file, and one without a line that fits, are no error: the server may not ask.
    pub(crate) fn password(&self, wanted: Wanted<'_>) -> Option<Password> {
        match self {
            Self::Given(password) => Some(password.clone()),
            Self::File(path) => find(&read(path)?, wanted),
            Self::Nowhere => None,
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    // libpq is silent about a file that is not there, and so are we: having none is normal.
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() {
        tracing::warn!(path = %path.display(), "password file ignored: it is not a plain file");
        return None;
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        let mode = format!("{:04o}", mode & 0o7777);
        tracing::warn!(path = %path.display(), mode, "password file ignored: group or others have access, it should be 0600");
        return None;
    }
    let mut contents = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut contents)) {
        Ok(_) => Some(contents),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "password file ignored: it cannot be read");
            None
        }
    }
}

/// Finds the first line that fits (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
fn find(contents: &[u8], wanted: Wanted<'_>) -> Option<Password> {
    let port = wanted.port.to_string();
    let fields = [wanted.host, &port, wanted.dbname, wanted.user];
    contents.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") {
            return None;
        }
        let password = fields.iter().try_fold(line, |rest, field| after(rest, field.as_bytes()))?;
        Some(Password(unescape(password)))
    })
}

/// Gives what follows a field and its colon, where the field is `wanted` or a star.
fn after<'a>(line: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut wanted = wanted.iter();
    let mut rest = line;
    loop {
        let (first, tail) = rest.split_first()?;
        let (byte, tail) = match first {
            b':' => return wanted.next().is_none().then_some(tail),
            b'\\' => tail.split_first()?,
            _ => (first, tail),
        };
        if wanted.next() != Some(byte) {
            return None;
        }
        rest = tail;
    }
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        // A backslash at the end stands for itself, as in libpq.
        bytes.push(if byte == b'\\' { *rest.next().unwrap_or(&byte) } else { byte });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Password, Source, Wanted, find};

    const WANTED: Wanted<'_> = Wanted { host: "db.example.com", port: 5432, dbname: "shop", user: "reader" };

    fn found(contents: &str, wanted: Wanted<'_>) -> Option<String> {
        find(contents.as_bytes(), wanted).map(|p| String::from_utf8(p.0).unwrap())
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let contents = "# db.example.com:5432:shop:reader:no\n\
            db.example.com:5433:shop:reader:port\n\
            db.example.co:5432:shop:reader:short\n\
            db.example.com.:5432:shop:reader:long\n\
            short line\n\
            \n\
            db.example.com:5432:*:reader:yes\r\n\
            *:*:*:*:later\n";
        assert_eq!(found(contents, WANTED).as_deref(), Some("yes"));
        assert_eq!(found(contents, Wanted { user: "other", ..WANTED }).as_deref(), Some("later"));
        assert_eq!(found("db.example.com:5432:shop:writer:x", WANTED), None);
        assert_eq!(found("", WANTED), None);
    }

    #[test]
    fn escapes_and_colons() {
        let wanted = Wanted { dbname: "a:b", user: r"c\d", ..WANTED };
        assert_eq!(found(r"*:*:a\:b:c\\d:p\:q:r\\s\", wanted).as_deref(), Some(r"p:q:r\s\"));
        assert_eq!(found("*:*:a:b:c:p", wanted), None);
        assert_eq!(found("*:*:*:*:", wanted).as_deref(), Some(""));
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let path = std::env::temp_dir().join(format!("pg2k-pgpass-{}", std::process::id()));
        fs::write(&path, "*:*:*:*:secret\n").unwrap();
        let source = Source::File(path.clone());
        for (mode, password) in [(0o640, None), (0o604, None), (0o600, Some(Password::new(b"secret".to_vec())))] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.password(WANTED), password, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(source.password(WANTED), None);
    }

    #[test]
    fn is_never_printed() {
        let source = Source::Given(Password::new(b"secret".to_vec()));
        assert_eq!(format!("{source:?}"), "Given(Password(…))");
    }
}
