//! A change in, records of its operation and key out.

use std::fmt::Write as _;

use pg2k_abi::{Change, Column, Error, Operation, Record, Records, Value};

use crate::dumps::string;

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
}
