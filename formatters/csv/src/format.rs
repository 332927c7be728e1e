//! A change in, lines out.

use std::fmt::{self, Write};

use pg2k_abi::{Change, Column, Error, Operation, Record, Records, Value};

pub(crate) fn format(change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
    // A message changes no row; these records are of rows alone.
    if change.message().is_some() {
        return Ok(());
    }
    for (operation, key) in change.by_key() {
        let mut record = records.record();
        line(&mut record, change, operation, key)?;
        record.finish();
    }
    Ok(())
}

fn line(record: &mut Record<'_>, change: Change<'_>, operation: Operation, key: &[Column<'_>]) -> Result<(), Error> {
    record.write_str("0,CDC,")?;
    if let Some(xid) = change.xid() {
        write!(record, "{xid}")?;
    }
    record.write_char(',')?;
    field(record, &[change.schema(), ".", change.table()])?;
    write!(record, ",{operation}")?;
    if key.is_empty() {
        record.write_char(',')?;
    }
    for column in key {
        let Value::Text(text) = column.value() else {
            return Err(Error::new(format!("key column {}: expected a value, found none", column.name())));
        };
        record.write_char(',')?;
        field(record, &[text])?;
    }
    Ok(())
}

/// Writes a field made of these parts, in quotes where RFC 4180 asks for them.
fn field(record: &mut Record<'_>, parts: &[&str]) -> fmt::Result {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    if !parts.iter().any(|part| part.bytes().any(special)) {
        return parts.iter().try_for_each(|part| record.write_str(part));
    }
    record.write_char('"')?;
    for part in parts {
        for (number, piece) in part.split('"').enumerate() {
            if number > 0 {
                record.write_str("\"\"")?;
            }
            record.write_str(piece)?;
        }
    }
    record.write_char('"')
}

#[cfg(test)]
mod tests {
    use pg2k_abi::{ChangeParts, Lsn, Position, RecordBuffer};

    use super::*;

    fn lines(table: &str, operation: Operation, key: &[&str], old_key: Option<&[&str]>) -> Vec<String> {
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
            lines("pgbench_accounts", Operation::Update, &["655340"], None),
            ["0,CDC,739,public.pgbench_accounts,UPDATE,655340"]
        );
    }

    #[test]
    fn a_field_for_each_column_of_the_key() {
        assert_eq!(lines("t", Operation::Insert, &["7", "a b"], None), ["0,CDC,739,public.t,INSERT,7,a b"]);
    }

    #[test]
    fn a_changed_key_is_two_records() {
        assert_eq!(
            lines("t", Operation::Update, &["8"], Some(&["7"])),
            ["0,CDC,739,public.t,DELETE,7", "0,CDC,739,public.t,INSERT,8"]
        );
    }

    #[test]
    fn a_truncate_has_an_empty_key() {
        assert_eq!(lines("t", Operation::Truncate, &[], None), ["0,CDC,739,public.t,TRUNCATE,"]);
    }

    #[test]
    fn quotes_as_rfc_4180_says() {
        for (value, field) in [
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("\r", "\"\r\""),
            ("\"", "\"\"\"\""),
            ("", ""),
            ("it's é", "it's é"),
        ] {
            assert_eq!(lines("t", Operation::Delete, &[value], None), [format!("0,CDC,739,public.t,DELETE,{field}")]);
        }
        assert_eq!(lines("a,\"b\"", Operation::Delete, &["1"], None), ["0,CDC,739,\"public.a,\"\"b\"\"\",DELETE,1"]);
    }
}
