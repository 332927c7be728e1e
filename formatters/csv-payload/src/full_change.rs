//! A change in, a record of its row out, as pg2kinesis made it with `--full-change` of what wal2json told.
//!
//! pg2kinesis 0.7.0 read one object a transaction (wal2json's format 1) and wrote each of its changes by itself, with the
//! transaction's number. The order of the members is wal2json's: `pg_decode_change_v1` and `tuple_to_stringinfo` in
//! <https://github.com/eulerto/wal2json/blob/wal2json_2_5/wal2json.c>.

use std::fmt::{self, Write as _};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use pg2k_abi::{Change, Column, Error, Message, Operation, Record, Records, Value};

use crate::dumps::string;

pub(crate) fn format(change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
    let mut record = records.record();
    record.push(b"0,CDC,{\"xid\": ")?;
    match change.xid() {
        Some(xid) => write!(record, "{xid}")?,
        None => record.push(b"null")?,
    }
    record.push(b", \"change\": {\"kind\": ")?;
    match (change.operation(), change.message()) {
        (Operation::Insert, None) => {
            table(&mut record, "insert", change)?;
            new_row(&mut record, change)?;
        }
        (Operation::Update, None) => {
            table(&mut record, "update", change)?;
            new_row(&mut record, change)?;
            old_keys(&mut record, change)?;
        }
        (Operation::Delete, None) => {
            table(&mut record, "delete", change)?;
            old_keys(&mut record, change)?;
        }
        (Operation::Truncate, None) => table(&mut record, "truncate", change)?,
        (Operation::Message, Some(said)) => message(&mut record, said)?,
        (operation, _) => {
            let operations = "INSERT, UPDATE, DELETE, TRUNCATE or MESSAGE";
            return Err(Error::new(format!("operation: expected {operations}, found {operation}")));
        }
    }
    record.push(b"}}")?;
    record.finish();
    Ok(())
}

fn table(record: &mut Record<'_>, kind: &str, change: Change<'_>) -> fmt::Result {
    write!(record, "\"{kind}\", \"schema\": ")?;
    string(record, &[change.schema()])?;
    record.push(b", \"table\": ")?;
    string(record, &[change.table()])
}

fn new_row(record: &mut Record<'_>, change: Change<'_>) -> fmt::Result {
    let known = || change.columns().iter().filter(|column| column.value() != Value::Unchanged);
    record.push(b", \"columnnames\": ")?;
    names(record, known())?;
    record.push(b", \"columntypes\": ")?;
    types(record, known())?;
    record.push(b", \"columnvalues\": ")?;
    values(record, known())
}

/// Writes what identified the row before: all that PostgreSQL tells of the old row, else the key, which did not change.
fn old_keys(record: &mut Record<'_>, change: Change<'_>) -> fmt::Result {
    match change.old_columns() {
        Some(old) => keys(record, || old.iter().filter(|column| column.value() != Value::Unchanged)),
        None if change.key().is_empty() => Ok(()),
        None => keys(record, || in_order_of_the_table(change.key(), change.columns())),
    }
}

/// The key's columns as wal2json orders them: as the table does, not the index.
fn in_order_of_the_table<'a>(key: &'a [Column<'a>], columns: &'a [Column<'a>]) -> impl Iterator<Item = &'a Column<'a>> {
    columns.iter().filter_map(|column| key.iter().find(|of_key| of_key.name() == column.name()))
}

fn keys<'a, I: Iterator<Item = &'a Column<'a>>>(record: &mut Record<'_>, columns: impl Fn() -> I) -> fmt::Result {
    record.push(b", \"oldkeys\": {\"keynames\": ")?;
    names(record, columns())?;
    record.push(b", \"keytypes\": ")?;
    types(record, columns())?;
    record.push(b", \"keyvalues\": ")?;
    values(record, columns())?;
    record.push(b"}")
}

fn names<'a>(record: &mut Record<'_>, columns: impl Iterator<Item = &'a Column<'a>>) -> fmt::Result {
    array(record, columns, |record, column| string(record, &[column.name()]))
}

fn types<'a>(record: &mut Record<'_>, columns: impl Iterator<Item = &'a Column<'a>>) -> fmt::Result {
    array(record, columns, |record, column| {
        // wal2json takes the quotes of a type's name for those of JSON.
        let type_name = column.type_name();
        let unquoted = type_name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        string(record, &[unquoted.filter(|name| !name.contains('"')).unwrap_or(type_name)])
    })
}

fn values<'a>(record: &mut Record<'_>, columns: impl Iterator<Item = &'a Column<'a>>) -> fmt::Result {
    array(record, columns, |record, column| match column.value() {
        Value::Text(text) => value(record, column.type_name(), text),
        Value::Null | Value::Unchanged => record.push(b"null"),
    })
}

fn array<'a>(
    record: &mut Record<'_>,
    columns: impl Iterator<Item = &'a Column<'a>>,
    mut element: impl FnMut(&mut Record<'_>, &'a Column<'a>) -> fmt::Result,
) -> fmt::Result {
    record.push(b"[")?;
    for (number, column) in columns.enumerate() {
        if number > 0 {
            record.push(b", ")?;
        }
        element(record, column)?;
    }
    record.push(b"]")
}

/// Writes a value as wal2json does: numbers and booleans as such, bytea without its `\x`, all else as text.
fn value(record: &mut Record<'_>, type_name: &str, text: &str) -> fmt::Result {
    match type_name {
        "oid" if text.bytes().all(|byte| byte.is_ascii_digit()) => record.write_str(text),
        "smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric" => match text {
            // JSON has none of them.
            "NaN" | "Infinity" | "-Infinity" => record.push(b"null"),
            _ if is_number(text) => record.write_str(text),
            _ => string(record, &[text]),
        },
        "boolean" if matches!(text, "true" | "false") => record.write_str(text),
        "bytea" => string(record, &[text.strip_prefix("\\x").unwrap_or(text)]),
        _ => string(record, &[text]),
    }
}

/// Whether this is a number, of what PostgreSQL prints for the types of numbers; all of these are JSON's too.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}

fn message(record: &mut Record<'_>, message: Message<'_>) -> fmt::Result {
    write!(record, "\"message\", \"transactional\": {}, \"prefix\": ", message.transactional)?;
    string(record, &[message.prefix])?;
    match std::str::from_utf8(message.content) {
        Ok(content) => {
            record.push(b", \"content\": ")?;
            string(record, &[content])
        }
        Err(_) => write!(record, ", \"content_base64\": \"{}\"", Base64Display::new(message.content, &STANDARD)),
    }
}

#[cfg(test)]
mod tests {
    use pg2k_abi::{ChangeParts, Lsn, Position, RecordBuffer};

    use super::*;

    const TEXT: fn(&'static str) -> Value<'static> = Value::Text;

    fn parts(operation: Operation) -> ChangeParts<'static> {
        let position = Position { end_lsn: Lsn::new(1), index: 0 };
        ChangeParts { xid: Some(739), ..ChangeParts::new(position, operation, "public", "t") }
    }

    fn formatted(parts: &ChangeParts<'_>) -> Result<String, String> {
        let mut buffer = RecordBuffer::new(10_000);
        Change::with(parts, |change| format(change, &mut Records::new(&mut buffer)))
            .map_err(|error| error.to_string())?;
        let records: Vec<_> = buffer.iter().map(|(data, _)| String::from_utf8(data.to_vec()).expect("text")).collect();
        Ok(records.join("\n"))
    }

    #[track_caller]
    fn assert_change(parts: &ChangeParts<'_>, change: &str) {
        assert_eq!(formatted(parts), Ok(format!("0,CDC,{{\"xid\": 739, \"change\": {change}}}")));
    }

    #[test]
    fn an_insert() {
        let row = [
            Column::new("id", "integer", TEXT("1")),
            Column::new("name", "character varying", TEXT("é\n")),
            Column::new("note", "text", Value::Null),
        ];
        assert_change(
            &ChangeParts { key: &row[..1], columns: &row, ..parts(Operation::Insert) },
            concat!(
                r#"{"kind": "insert", "schema": "public", "table": "t", "columnnames": ["id", "name", "note"], "#,
                r#""columntypes": ["integer", "character varying", "text"], "columnvalues": [1, "\u00e9\n", null]}"#
            ),
        );
        assert_change(
            &parts(Operation::Insert),
            concat!(
                r#"{"kind": "insert", "schema": "public", "table": "t", "#,
                r#""columnnames": [], "columntypes": [], "columnvalues": []}"#
            ),
        );
    }

    #[test]
    fn an_update_tells_the_key_in_the_order_of_the_table() {
        let row = [
            Column::new("big", "text", Value::Unchanged),
            Column::new("a", "integer", TEXT("1")),
            Column::new("n", "numeric", TEXT("1.50")),
            Column::new("b", "text", TEXT("x")),
        ];
        let key = [row[3], row[1]];
        assert_change(
            &ChangeParts { key: &key, columns: &row, ..parts(Operation::Update) },
            concat!(
                r#"{"kind": "update", "schema": "public", "table": "t", "columnnames": ["a", "n", "b"], "#,
                r#""columntypes": ["integer", "numeric", "text"], "columnvalues": [1, 1.50, "x"], "#,
                r#""oldkeys": {"keynames": ["a", "b"], "keytypes": ["integer", "text"], "keyvalues": [1, "x"]}}"#
            ),
        );
    }

    #[test]
    fn an_update_of_the_key_is_one_record_with_the_old_one() {
        let (old, new) = ([Column::new("id", "integer", TEXT("7"))], [Column::new("id", "integer", TEXT("8"))]);
        let change = ChangeParts { key: &new, old_key: Some(&old), columns: &new, ..parts(Operation::Update) };
        assert_change(
            &ChangeParts { old_columns: Some(&old), ..change },
            concat!(
                r#"{"kind": "update", "schema": "public", "table": "t", "columnnames": ["id"], "#,
                r#""columntypes": ["integer"], "columnvalues": [8], "#,
                r#""oldkeys": {"keynames": ["id"], "keytypes": ["integer"], "keyvalues": [7]}}"#
            ),
        );
    }

    #[test]
    fn an_update_and_a_delete_without_a_key() {
        let row = [Column::new("n", "integer", TEXT("7"))];
        assert_change(
            &ChangeParts { columns: &row, ..parts(Operation::Update) },
            concat!(
                r#"{"kind": "update", "schema": "public", "table": "t", "columnnames": ["n"], "#,
                r#""columntypes": ["integer"], "columnvalues": [7]}"#
            ),
        );
        assert_change(&parts(Operation::Delete), r#"{"kind": "delete", "schema": "public", "table": "t"}"#);
    }

    #[test]
    fn a_delete_tells_what_the_replica_identity_does() {
        let old = [Column::new("a", "integer", TEXT("7")), Column::new("b", "boolean", TEXT("true"))];
        assert_change(
            &ChangeParts { key: &old[..1], old_columns: Some(&old), ..parts(Operation::Delete) },
            concat!(
                r#"{"kind": "delete", "schema": "public", "table": "t", "oldkeys": {"keynames": ["a", "b"], "#,
                r#""keytypes": ["integer", "boolean"], "keyvalues": [7, true]}}"#
            ),
        );
    }

    #[test]
    fn a_truncate() {
        let change = ChangeParts { cascades: true, ..parts(Operation::Truncate) };
        assert_change(&change, r#"{"kind": "truncate", "schema": "public", "table": "t"}"#);
    }

    #[test]
    fn a_message() {
        for (content, member) in
            [(&b"a\"\0"[..], r#""content": "a\"\u0000""#), (b"\xff", r#""content_base64": "/w==""#)]
        {
            let message = Message { transactional: true, prefix: "p", content };
            let change = ChangeParts { message: Some(message), ..parts(Operation::Message) };
            assert_change(
                &change,
                &format!(r#"{{"kind": "message", "transactional": true, "prefix": "p", {member}}}"#),
            );
        }
        let message = Message { transactional: false, prefix: "", content: b"" };
        let change = ChangeParts { message: Some(message), xid: None, ..parts(Operation::Message) };
        assert_eq!(
            formatted(&change).as_deref(),
            Ok(concat!(
                r#"0,CDC,{"xid": null, "change": "#,
                r#"{"kind": "message", "transactional": false, "prefix": "", "content": ""}}"#
            ))
        );
    }

    #[test]
    fn what_this_formatter_does_not_know() {
        let expected = "operation: expected INSERT, UPDATE, DELETE, TRUNCATE or MESSAGE, found UNKNOWN";
        assert_eq!(formatted(&parts(Operation::Unknown)), Err(expected.to_owned()));
    }

    #[test]
    fn values_and_types_as_wal2json_has_them() {
        for (type_name, printed_type, text, value) in [
            ("smallint", "smallint", "-1", "-1"),
            ("bigint", "bigint", "9223372036854775807", "9223372036854775807"),
            ("oid", "oid", "26", "26"),
            ("real", "real", "1e-05", "1e-05"),
            ("double precision", "double precision", "NaN", "null"),
            ("numeric", "numeric", "-Infinity", "null"),
            ("numeric", "numeric", "123456789012345678901234567890.50", "123456789012345678901234567890.50"),
            ("boolean", "boolean", "false", "false"),
            ("bytea", "bytea", "\\x00ff", r#""00ff""#),
            ("bytea", "bytea", "\\x", r#""""#),
            ("jsonb", "jsonb", r#"{"a": 1}"#, r#""{\"a\": 1}""#),
            ("integer[]", "integer[]", "{1,2}", r#""{1,2}""#),
            ("bit", "bit", "0101", r#""0101""#),
            ("public.positive", "public.positive", "1", r#""1""#),
            ("\"char\"", "char", "c", r#""c""#),
            ("public.\"My Type\"", r#"public.\"My Type\""#, "x", r#""x""#),
            ("\"My Schema\".\"My Type\"", r#"\"My Schema\".\"My Type\""#, "x", r#""x""#),
            ("\"char\"[]", r#"\"char\"[]"#, "{c}", r#""{c}""#),
        ] {
            let old = [Column::new("c", type_name, Value::Text(text))];
            assert_change(
                &ChangeParts { old_columns: Some(&old), ..parts(Operation::Delete) },
                &format!(
                    concat!(
                        r#"{{"kind": "delete", "schema": "public", "table": "t", "oldkeys": {{"keynames": ["c"], "#,
                        r#""keytypes": ["{printed_type}"], "keyvalues": [{value}]}}}}"#
                    ),
                    printed_type = printed_type,
                    value = value,
                ),
            );
        }
    }
}
