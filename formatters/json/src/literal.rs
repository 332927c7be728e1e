//! Text in, JSON's literals out: strings, numbers, and JSON itself.

use std::fmt::{self, Write as _};

use pg2k_abi::Record;
use serde::de::IgnoredAny;

/// Writes a string.
#[inline]
pub(crate) fn string(record: &mut Record<'_>, text: &str) -> fmt::Result {
    record.push(b"\"")?;
    if is_plain(text.as_bytes()) {
        record.push(text.as_bytes())?;
    } else {
        escaped(record, text.as_bytes())?;
    }
    record.push(b"\"")
}

/// Whether a byte cannot stand for itself in a string: RFC 8259, section 7.
#[inline]
fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    // Sixteen at a time, without a branch for each, become a few instructions.
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| !chunk.iter().fold(false, |special, byte| special | is_special(*byte)))
        && !rest.iter().any(|byte| is_special(*byte))
}

fn escaped(record: &mut Record<'_>, bytes: &[u8]) -> fmt::Result {
    for run in bytes.split_inclusive(|byte| is_special(*byte)) {
        match run.split_last() {
            Some((last, plain)) if is_special(*last) => {
                record.push(plain)?;
                escape(record, *last)?;
            }
            _ => record.push(run)?,
        }
    }
    Ok(())
}

fn escape(record: &mut Record<'_>, byte: u8) -> fmt::Result {
    match byte {
        b'"' => record.push(b"\\\""),
        b'\\' => record.push(b"\\\\"),
        b'\n' => record.push(b"\\n"),
        b'\r' => record.push(b"\\r"),
        b'\t' => record.push(b"\\t"),
        0x08 => record.push(b"\\b"),
        0x0C => record.push(b"\\f"),
        _ => write!(record, "\\u{byte:04x}"),
    }
}

/// Whether the text is a number in JSON's grammar: RFC 8259, section 6.
pub(crate) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let rest = match digits(unsigned) {
        ([], _) | ([b'0', _, ..], _) => return false,
        (_, [b'.', fraction @ ..]) => match digits(fraction) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        (_, rest) => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            matches!(digits(exponent), ([_, ..], []))
        }
        _ => false,
    }
}

/// The digits at the beginning, and what follows them.
#[inline]
fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let count = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at_checked(count).unwrap_or((bytes, &[]))
}

/// Whether the text is JSON, of any depth. Escapes that stand for no character are JSON, as they are to PostgreSQL.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Writes JSON without the whitespace between its tokens, line breaks above all.
pub(crate) fn compact_json(record: &mut Record<'_>, json: &str) -> fmt::Result {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_between_tokens = |byte: &u8| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' => return !in_string,
            _ => {}
        }
        false
    };
    json.as_bytes().split(is_between_tokens).try_for_each(|token| record.push(token))
}

#[cfg(test)]
mod tests {
    use pg2k_abi::{RecordBuffer, Records};

    use super::*;

    fn written(write: impl FnOnce(&mut Record<'_>) -> fmt::Result) -> String {
        let mut buffer = RecordBuffer::new(10_000_000);
        let mut records = Records::new(&mut buffer);
        let mut record = records.record();
        write(&mut record).expect("room");
        record.finish();
        buffer.get(0).map(|(data, _)| String::from_utf8(data.to_vec()).expect("text")).expect("a record")
    }

    #[test]
    fn strings() {
        for (text, json) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("say \"x\" \\", r#""say \"x\" \\""#),
            ("a\tb\nc\rd\u{8}e\u{c}f\u{1}g\u{1f}h\0", r#""a\tb\nc\rd\be\ff\u0001g\u001fh\u0000""#),
            ("\u{7f} é € 😀 \u{2028} /", "\"\u{7f} é € 😀 \u{2028} /\""),
            ("0123456789abcde\n", r#""0123456789abcde\n""#),
            ("0123456789abcdef\"", r#""0123456789abcdef\"""#),
        ] {
            assert_eq!(written(|record| string(record, text)), json, "{text:?}");
        }
    }

    #[test]
    fn every_character_is_read_back() {
        for character in '\0'..='\u{2fff}' {
            // At either side of what is looked at in one go.
            let text = format!("{character}0123456789abcde{character}");
            let json = written(|record| string(record, &text));
            assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text), "{json}");
        }
    }

    #[test]
    fn numbers() {
        for text in ["0", "-0", "7", "-12", "9223372036854775807", "1.5", "0.0", "1e+20", "1e-05", "1.5E7", "-0.1e9"] {
            assert!(is_number(text) && serde_json::from_str::<f64>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-01",
            ".5",
            "5.",
            "1.e5",
            "1e",
            "1e+",
            "1e5.",
            "1 ",
            " 1",
            "--1",
            "0x1",
            "1,5",
            "NaN",
            "Infinity",
            "-Infinity",
            "１",
        ] {
            assert!(!is_number(text), "{text:?}");
        }
    }

    #[test]
    fn json_keeps_all_but_the_whitespace_between_tokens() {
        for (json, compact) in [
            ("{\"a b\": [1, 2 ,\r\n\t3.50 ]}", r#"{"a b":[1,2,3.50]}"#),
            (r#" "a \" b \\" "#, r#""a \" b \\""#),
            (r#"{"\\": " \" ", "b" : 1e400}"#, r#"{"\\":" \" ","b":1e400}"#),
            (r#"["\ud800", "\u0000", "é"]"#, r#"["\ud800","\u0000","é"]"#),
            ("123456789012345678901234567890.50", "123456789012345678901234567890.50"),
            ("null", "null"),
        ] {
            assert!(is_json(json), "{json}");
            assert_eq!(written(|record| compact_json(record, json)), compact);
        }
    }

    #[test]
    fn json_of_any_depth() {
        let deep = format!("{}{}", "[ ".repeat(1_000_000), "] ".repeat(1_000_000));
        assert!(is_json(&deep));
        assert_eq!(written(|record| compact_json(record, &deep)), deep.replace(' ', ""));
        assert!(!is_json(deep.trim_end().trim_end_matches(']')));
    }

    #[test]
    fn what_is_no_json() {
        for text in ["", " ", "a", "{", "{}}", "[1,]", "{a:1}", "'a'", "\"a\nb\"", "1 2", "01", "\"\\x\"", "nul"] {
            assert!(!is_json(text), "{text:?}");
        }
    }
}
