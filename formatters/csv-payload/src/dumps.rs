//! JSON as Python's `json.dumps` writes it: in ASCII alone.

use std::fmt::{self, Write as _};

use pg2k_abi::Record;

/// Writes one string made of these parts.
pub(crate) fn string(record: &mut Record<'_>, parts: &[&str]) -> fmt::Result {
    record.push(b"\"")?;
    for part in parts {
        if part.bytes().all(|byte| is_plain(byte.into())) {
            record.write_str(part)?;
            continue;
        }
        for run in part.split_inclusive(|character| !is_plain(character)) {
            match run.char_indices().next_back() {
                Some((at, last)) if !is_plain(last) => {
                    record.write_str(run.get(..at).unwrap_or_default())?;
                    escape(record, last)?;
                }
                _ => record.write_str(run)?,
            }
        }
    }
    record.push(b"\"")
}

fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') && !matches!(character, '"' | '\\')
}

fn escape(record: &mut Record<'_>, character: char) -> fmt::Result {
    match character {
        '"' => record.push(b"\\\""),
        '\\' => record.push(b"\\\\"),
        '\n' => record.push(b"\\n"),
        '\r' => record.push(b"\\r"),
        '\t' => record.push(b"\\t"),
        '\u{8}' => record.push(b"\\b"),
        '\u{c}' => record.push(b"\\f"),
        _ => character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(record, "\\u{unit:04x}")),
    }
}

#[cfg(test)]
mod tests {
    use pg2k_abi::{RecordBuffer, Records};

    use super::*;

    /// What `json.dumps` of Python 3.11 prints for the same strings.
    #[test]
    fn strings_as_python_writes_them() {
        for (value, json) in [
            ("say \"x\" \\", r#""say \"x\" \\""#),
            ("a\tb\nc\rd\u{8}e\u{c}f\u{1}g\u{7f}", r#""a\tb\nc\rd\be\ff\u0001g\u007f""#),
            ("é €", r#""\u00e9 \u20ac""#),
            ("aéb\0", r#""a\u00e9b\u0000""#),
            ("😀", r#""\ud83d\ude00""#),
            ("/", r#""/""#),
            ("", r#""""#),
        ] {
            let mut buffer = RecordBuffer::new(1_000);
            let mut records = Records::new(&mut buffer);
            let mut record = records.record();
            string(&mut record, &[value]).expect("room");
            record.finish();
            assert_eq!(buffer.get(0).map(|(data, _)| data), Some(json.as_bytes()));
        }
    }
}
