//! Files of captured payloads: a JSON object a line, of one payload each.
//!
//! ```text
//! {"lsn":"0/16B3748","data":"BEGIN 739"}
//! {"lsn":"0/16B3748","data_b64":"dGFibGUg…"}
//! ```
//!
//! `lsn` is what the server gives with the payload: for a COMMIT, the transaction's end LSN. `data_b64` stands in the place of
//! `data` for bytes that are no UTF-8. The first line of a capture has a member `context` too: what the payloads do not tell of
//! themselves. [`capture`](crate::capture) writes such files, [`format`](crate::format) reads them.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pg2k_abi::Lsn;
use serde::{Deserialize, Serialize};

/// A payload as a file has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    /// The server's LSN for it.
    pub(crate) lsn: Lsn,
    /// Its bytes, in the database's encoding.
    pub(crate) payload: Vec<u8>,
    /// What is true of it and of those that follow.
    pub(crate) context: Option<Context>,
}

/// What the payloads do not tell of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// The server's version, such as `17.10`.
    pub(crate) server_version: String,
    /// The database's encoding, by PostgreSQL's name.
    pub(crate) encoding: String,
    /// The tables that the catalogs knew.
    #[serde(default)]
    pub(crate) tables: Vec<Table>,
}

/// What the catalogs knew of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Its schema, without quotes.
    pub(crate) schema: String,
    /// Its name, without quotes.
    pub(crate) table: String,
    /// The columns of its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) key: Vec<String>,
    /// Its virtual generated columns.
    #[serde(default, rename = "virtual", skip_serializing_if = "Vec::is_empty")]
    pub(crate) virtual_columns: Vec<String>,
}

/// A line that holds no payload. It names no data of a row.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    #[error(
        "byte {column} of the line: expected a JSON object with the texts lsn and data, or data_b64, found {found}"
    )]
    Json { column: usize, found: &'static str },
    #[error("expected one of data and data_b64, found {found}")]
    Data { found: &'static str },
    #[error("lsn: expected an LSN such as 0/16B3748, found {found:?}")]
    Lsn { found: String },
    #[error("data_b64: expected base64 (RFC 4648, with padding), found other text")]
    Base64,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    lsn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

/// Reads a line, with or without its newline.
///
/// # Errors
///
/// See [`LineError`].
pub(crate) fn read(line: &[u8]) -> Result<Captured, LineError> {
    // serde would take an array for a structure too.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err(LineError::Json { column: 1, found: "something else" });
    }
    let Line { lsn, data, data_b64, context } = serde_json::from_slice(line).map_err(|error| LineError::Json {
        column: error.column(),
        found: match error.classify() {
            serde_json::error::Category::Eof => "its end",
            serde_json::error::Category::Data => "other JSON",
            _ => "something else",
        },
    })?;
    let payload = match (data, data_b64) {
        (Some(data), None) => data.into_owned().into_bytes(),
        (None, Some(text)) => STANDARD.decode(text).map_err(|_| LineError::Base64)?,
        (Some(_), Some(_)) => return Err(LineError::Data { found: "both" }),
        (None, None) => return Err(LineError::Data { found: "none" }),
    };
    let lsn = lsn.parse().map_err(|_| LineError::Lsn { found: lsn.chars().take(40).collect() })?;
    Ok(Captured { lsn, payload, context })
}

/// Writes a payload as a line, with its newline.
///
/// # Errors
///
/// Fails where the writer does.
pub(crate) fn write(to: &mut impl Write, lsn: Lsn, payload: &[u8], context: Option<Context>) -> io::Result<()> {
    let text = std::str::from_utf8(payload).ok();
    let data_b64 = text.is_none().then(|| STANDARD.encode(payload));
    let line = Line { lsn: lsn.to_string(), data: text.map(Into::into), data_b64, context };
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let table = |name: &str, key: &[&str]| Table {
            schema: "s.x".to_owned(),
            table: name.to_owned(),
            key: key.iter().map(|&column| column.to_owned()).collect(),
            virtual_columns: Vec::new(),
        };
        Context {
            server_version: "18.4".to_owned(),
            encoding: "UTF8".to_owned(),
            tables: vec![table("a\"b", &["id", "n"]), table("t", &[])],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for payload in [&b"BEGIN 739"[..], b"", b"a\n\"\\\0\x7f", "é 😀".as_bytes(), b"\xe9\xff\0"] {
            for context in [None, Some(context())] {
                let mut line = Vec::new();
                write(&mut line, Lsn::new(0x16_B374), payload, context.clone()).expect("memory");
                assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
                let captured = Captured { lsn: Lsn::new(0x16_B374), payload: payload.to_vec(), context };
                assert_eq!(read(&line), Ok(captured));
            }
        }
    }

    #[test]
    fn the_shape_of_a_line() {
        let line = |payload: &[u8]| {
            let mut line = Vec::new();
            write(&mut line, Lsn::new(0x1_0000_00ff), payload, None).expect("memory");
            String::from_utf8(line).expect("text")
        };
        assert_eq!(line(b"BEGIN 1"), "{\"lsn\":\"1/FF\",\"data\":\"BEGIN 1\"}\n");
        assert_eq!(line(b"\xff"), "{\"lsn\":\"1/FF\",\"data_b64\":\"/w==\"}\n");
        let captured = read(br#" {"data": "x", "lsn": "1/ff", "more": [1]} "#).expect("a line");
        assert_eq!((captured.lsn, captured.payload), (Lsn::new(0x1_0000_00ff), b"x".to_vec()));
    }

    #[test]
    fn what_is_no_line() {
        for (line, error) in [
            (
                &b"BEGIN 1"[..],
                "byte 1 of the line: expected a JSON object with the texts lsn and data, or data_b64, found something else",
            ),
            (
                b"{\"lsn\":\"0/1\"",
                "byte 12 of the line: expected a JSON object with the texts lsn and data, or data_b64, found its end",
            ),
            (
                b"{\"lsn\":7,\"data\":\"secret\"}",
                "byte 8 of the line: expected a JSON object with the texts lsn and data, or data_b64, found other JSON",
            ),
            (
                b"[\"0/1\",\"BEGIN\",null,null]",
                "byte 1 of the line: expected a JSON object with the texts lsn and data, or data_b64, found something else",
            ),
            (b"{\"lsn\":\"0/1\"}", "expected one of data and data_b64, found none"),
            (b"{\"lsn\":\"0/1\",\"data\":\"a\",\"data_b64\":\"\"}", "expected one of data and data_b64, found both"),
            (b"{\"lsn\":\"01\",\"data\":\"a\"}", "lsn: expected an LSN such as 0/16B3748, found \"01\""),
            (
                b"{\"lsn\":\"0/1\",\"data_b64\":\"a\"}",
                "data_b64: expected base64 (RFC 4648, with padding), found other text",
            ),
        ] {
            assert_eq!(read(line).expect_err("no line").to_string(), error);
        }
    }
}
