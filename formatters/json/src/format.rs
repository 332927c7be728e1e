//! A change in, one JSON object out.

use std::fmt::{self, Write as _};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use pg2k_abi::{Change, Column, Error, Message, Operation, Record, Records, Timestamp, Value};

use crate::literal;

/// How the value of a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// As what JSON has for its type, if anything; else as text.
    Typed,
    /// As text.
    Text,
}

impl Values {
    /// What the option `values` says, if it is given.
    pub(crate) fn of_option(value: Option<&str>) -> Result<Self, Error> {
        match value {
            None | Some("typed") => Ok(Self::Typed),
            Some("text") => Ok(Self::Text),
            Some(other) => Err(Error::new(format!("option values={other}: expected typed or text"))),
        }
    }
}

/// The time that was printed last. The changes of a transaction share it, and printing it takes longer than all the rest of
/// a small record.
#[derive(Debug, Default)]
pub(crate) struct PrintedTime {
    time: Option<Timestamp>,
    text: String,
}

impl PrintedTime {
    fn text(&mut self, time: Timestamp) -> Result<&str, fmt::Error> {
        if self.time != Some(time) {
            self.time = None;
            self.text.clear();
            write!(self.text, "{time}")?;
            self.time = Some(time);
        }
        Ok(&self.text)
    }
}

pub(crate) fn format(
    change: Change<'_>,
    values: Values,
    time: &mut PrintedTime,
    records: &mut Records<'_>,
) -> Result<(), Error> {
    let mut record = records.record();
    head(&mut record, change, time)?;
    match (change.operation(), change.message()) {
        (Operation::Insert | Operation::Update | Operation::Delete | Operation::Truncate, None) => {
            of_table(&mut record, change, values)?;
        }
        (Operation::Message, Some(message)) => of_message(&mut record, message)?,
        (operation, _) => {
            let operations = "INSERT, UPDATE, DELETE, TRUNCATE or MESSAGE";
            return Err(Error::new(format!("operation: expected {operations}, found {operation}")));
        }
    }
    record.push(b"}")?;
    record.finish();
    Ok(())
}

/// Writes what every change has.
fn head(record: &mut Record<'_>, change: Change<'_>, time: &mut PrintedTime) -> fmt::Result {
    let position = change.position();
    write!(record, "{{\"lsn\":\"{}\",\"index\":{}", position.end_lsn, position.index)?;
    if let Some(xid) = change.xid() {
        write!(record, ",\"xid\":{xid}")?;
    }
    if let Some(committed_at) = change.committed_at() {
        record.push(b",\"committed_at\":\"")?;
        record.push(time.text(committed_at)?.as_bytes())?;
        record.push(b"\"")?;
    }
    record.push(b",\"op\":\"")?;
    record.push(change.operation().as_str().as_bytes())?;
    record.push(b"\"")
}

fn of_table(record: &mut Record<'_>, change: Change<'_>, values: Values) -> Result<(), Error> {
    record.push(b",\"schema\":")?;
    literal::string(record, change.schema())?;
    record.push(b",\"table\":")?;
    literal::string(record, change.table())?;
    if change.operation() == Operation::Truncate {
        let (cascade, restart_identity) = (change.cascades(), change.restarts_identity());
        write!(record, ",\"truncate\":{{\"cascade\":{cascade},\"restart_identity\":{restart_identity}}}")?;
    }
    if !change.key().is_empty() {
        record.push(b",\"key\":")?;
        row(record, change.key(), values)?;
    }
    let mut is_whole = true;
    if matches!(change.operation(), Operation::Insert | Operation::Update) {
        record.push(b",\"new\":")?;
        is_whole = row(record, change.columns(), values)?;
    }
    if let Some(old) = change.old_columns() {
        record.push(b",\"old\":")?;
        row(record, old, values)?;
    }
    if !is_whole {
        record.push(b",\"unchanged\":")?;
        unchanged(record, change.columns())?;
    }
    Ok(())
}

/// Writes an object of these columns; tells whether it has them all, none of them being unchanged.
fn row(record: &mut Record<'_>, columns: &[Column<'_>], values: Values) -> Result<bool, Error> {
    let mut is_whole = true;
    let mut separator = b"{";
    for column in columns {
        let text = match column.value() {
            Value::Text(text) => Some(text),
            Value::Null => None,
            Value::Unchanged => {
                is_whole = false;
                continue;
            }
        };
        record.push(separator)?;
        separator = b",";
        literal::string(record, column.name())?;
        record.push(b":")?;
        match (text, values) {
            (None, _) => record.push(b"null")?,
            (Some(text), Values::Typed) => typed(record, column, text)?,
            (Some(text), Values::Text) => literal::string(record, text)?,
        }
    }
    record.push(if separator == b"{" { b"{}" } else { b"}" })?;
    Ok(is_whole)
}

/// Writes a value as what JSON has for its type.
///
/// Types are known by the names that PostgreSQL prints for its own: another schema's `integer` has the schema before it.
fn typed(record: &mut Record<'_>, column: &Column<'_>, text: &str) -> Result<(), Error> {
    let stands_for_itself = match column.type_name() {
        "smallint" | "integer" | "bigint" | "real" | "double precision" => literal::is_number(text),
        "boolean" => matches!(text, "true" | "false"),
        // The host may have put something else in the place of bytes that are no text.
        "json" | "jsonb" if literal::is_json(text) => {
            literal::compact_json(record, text)?;
            return Ok(());
        }
        _ => false,
    };
    if stands_for_itself {
        record.push(text.as_bytes())?;
    } else {
        literal::string(record, text)?;
    }
    Ok(())
}

/// Writes an array of the names of the columns that are unchanged.
fn unchanged(record: &mut Record<'_>, columns: &[Column<'_>]) -> fmt::Result {
    let mut separator = b"[";
    for column in columns.iter().filter(|column| column.value() == Value::Unchanged) {
        record.push(separator)?;
        separator = b",";
        literal::string(record, column.name())?;
    }
    record.push(b"]")
}

fn of_message(record: &mut Record<'_>, message: Message<'_>) -> fmt::Result {
    record.push(b",\"prefix\":")?;
    literal::string(record, message.prefix)?;
    write!(record, ",\"transactional\":{}", message.transactional)?;
    match std::str::from_utf8(message.content) {
        Ok(content) => {
            record.push(b",\"content\":")?;
            literal::string(record, content)
        }
        Err(_) => write!(record, ",\"content_base64\":\"{}\"", Base64Display::new(message.content, &STANDARD)),
    }
}

#[cfg(test)]
mod tests;
