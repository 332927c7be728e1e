//! A change in, heads and JSON objects out.

use std::fmt::Write as _;
use std::io;

use pg2k_abi::{Change, Column, Error, Operation, Record, Records, Value};
use serde_json::ser::Formatter as Style;

pub(crate) fn format(change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
    // A message changes no row; these records are of rows alone.
    if change.message().is_some() {
        return Ok(());
    }
    for (operation, key) in change.by_key() {
        let mut record = records.record();
        object(&mut record, change, operation, key)?;
        record.finish();
    }
    Ok(())
}

fn object(record: &mut Record<'_>, change: Change<'_>, operation: Operation, key: &[Column<'_>]) -> Result<(), Error> {
    record.push(b"0,CDC,{\"xid\": \"")?;
    if let Some(xid) = change.xid() {
        write!(record, "{xid}")?;
    }
    record.push(b"\", \"table\": ")?;
    string(record, &[change.schema(), ".", change.table()])?;
    write!(record, ", \"operation\": \"{operation}\", \"pkey\": ")?;
    match key {
        [] => record.push(b"\"\"")?,
        [column] => string(record, &[text(column)?])?,
        columns => {
            for (number, column) in columns.iter().enumerate() {
                record.push(if number == 0 { b"[" } else { b", " })?;
                string(record, &[text(column)?])?;
            }
            record.push(b"]")?;
        }
    }
    record.push(b"}")?;
    Ok(())
}

fn text<'a>(column: &Column<'a>) -> Result<&'a str, Error> {
    match column.value() {
        Value::Text(text) => Ok(text),
        Value::Null | Value::Unchanged => {
            Err(Error::new(format!("key column {}: expected a value, found none", column.name())))
        }
    }
}

/// Writes one JSON string made of these parts.
fn string(record: &mut Record<'_>, parts: &[&str]) -> Result<(), Error> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if parts.iter().all(|part| part.bytes().all(plain)) {
        record.push(b"\"")?;
        parts.iter().try_for_each(|part| record.push(part.as_bytes()))?;
        record.push(b"\"")?;
    } else {
        let mut serializer = serde_json::Serializer::with_formatter(record, Ascii);
        serde::Serializer::serialize_str(&mut serializer, &parts.concat())?;
    }
    Ok(())
}

/// JSON strings as Python's `json.dumps` writes them: what is not printable ASCII as the escapes of its UTF-16.
struct Ascii;

impl Style for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            let mut units = [0; 2];
            match u8::try_from(character) {
                Ok(byte @ b' '..=b'~') => writer.write_all(&[byte])?,
                _ => character.encode_utf16(&mut units).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pg2k_abi::{ChangeParts, Lsn, Position, RecordBuffer};

    use super::*;

    fn objects(table: &str, operation: Operation, key: &[&str], old_key: Option<&[&str]>) -> Vec<String> {
        let columns = |values: &[&str]| -> Vec<Column<'static>> {
            // The texts outlive the test; leaking them keeps the helper short.
            values.iter().map(|value| Column::new("c", "text", Value::Text(value.to_string().leak()))).collect()
        };
        let (key, old_key) = (columns(key), old_key.map(columns));
        let position = Position { end_lsn: Lsn::new(1), index: 0 };
        let change = ChangeParts::new(position, operation, "public", table);
        let parts = ChangeParts { xid: Some(739), key: &key, old_key: old_key.as_deref(), ..change };
        let mut buffer = RecordBuffer::new(1_000);
        Change::with(&parts, |change| format(change, &mut Records::new(&mut buffer))).expect("records");
        buffer.iter().map(|(data, _)| String::from_utf8(data.to_vec()).expect("text")).collect()
    }

    #[test]
    fn as_pg2kinesis() {
        assert_eq!(
            objects("pgbench_accounts", Operation::Update, &["655340"], None),
            [r#"0,CDC,{"xid": "739", "table": "public.pgbench_accounts", "operation": "UPDATE", "pkey": "655340"}"#]
        );
    }

    #[test]
    fn a_key_of_several_columns_is_an_array() {
        assert_eq!(
            objects("t", Operation::Insert, &["7", "a,b"], None),
            [r#"0,CDC,{"xid": "739", "table": "public.t", "operation": "INSERT", "pkey": ["7", "a,b"]}"#]
        );
    }

    #[test]
    fn a_changed_key_is_two_records() {
        assert_eq!(
            objects("t", Operation::Update, &["8"], Some(&["7"])),
            [
                r#"0,CDC,{"xid": "739", "table": "public.t", "operation": "DELETE", "pkey": "7"}"#,
                r#"0,CDC,{"xid": "739", "table": "public.t", "operation": "INSERT", "pkey": "8"}"#,
            ]
        );
    }

    #[test]
    fn a_truncate_has_an_empty_key() {
        assert_eq!(
            objects("t", Operation::Truncate, &[], None),
            [r#"0,CDC,{"xid": "739", "table": "public.t", "operation": "TRUNCATE", "pkey": ""}"#]
        );
    }

    /// What `json.dumps` of Python 3.11 prints for the same strings.
    #[test]
    fn strings_as_python_writes_them() {
        for (value, json) in [
            ("say \"x\" \\", r#""say \"x\" \\""#),
            ("a\tb\nc\rd\u{8}e\u{c}f\u{1}g\u{7f}", r#""a\tb\nc\rd\be\ff\u0001g\u007f""#),
            ("é €", r#""\u00e9 \u20ac""#),
            ("😀", r#""\ud83d\ude00""#),
            ("/", r#""/""#),
            ("", r#""""#),
        ] {
            let expected =
                format!(r#"0,CDC,{{"xid": "739", "table": "public.t", "operation": "DELETE", "pkey": {json}}}"#);
            assert_eq!(objects("t", Operation::Delete, &[value], None), [expected]);
        }
    }
}
