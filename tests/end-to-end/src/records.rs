//! The records of the formatter `json`, read as strictly as they are described.
//!
//! With the option `values=text` every value is the server's text, or null.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};

use crate::history::{Change, Columns, Event, Moment, Operation, Value};
use crate::lsn::Lsn;

/// Holds one record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The end of its transaction's commit record, or of the message that belongs to none.
    pub lsn: Lsn,
    /// The number of changes before it in the transaction, published or not.
    pub index: u64,
    /// The number of the transaction, and when it was committed, where it belongs to one.
    pub transaction: Option<(u32, Moment)>,
    /// The columns of the primary key.
    pub key: Option<Columns<Value>>,
    /// The change.
    pub change: Change,
}

/// Reads records, a line each.
///
/// # Panics
///
/// If one is not as it ought to be.
pub fn parse(output: &[u8]) -> Vec<Record> {
    let text = std::str::from_utf8(output).expect("records in UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "expected a line break after the last record");
    text.lines().map(|line| Record::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Puts the records of a transaction together.
///
/// # Panics
///
/// If positions do not increase.
pub fn history(records: &[Record]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut last = None;
    for record in records {
        let Some((number, moment)) = record.transaction else {
            assert_eq!(record.index, 0, "a message that belongs to no transaction: {record:?}");
            events.push(Event::Message { lsn: record.lsn, message: record.change.clone() });
            continue;
        };
        let here = (record.lsn, record.index);
        assert!(last < Some(here), "expected a position above {last:?}, found {record:?}");
        last = Some(here);
        match events.last_mut() {
            Some(Event::Transaction { end_lsn, xid, committed_at, changes }) if *end_lsn == record.lsn => {
                assert_eq!((*xid, *committed_at), (number, moment), "{record:?}");
                changes.push(record.change.clone());
            }
            _ => events.push(Event::Transaction {
                end_lsn: record.lsn,
                xid: number,
                committed_at: moment,
                changes: vec![record.change.clone()],
            }),
        }
    }
    events
}

impl Record {
    fn parse(line: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Json::Object(mut members) = json else { return Err("expected an object".to_owned()) };
        let lsn = text(&mut members, "lsn")?.ok_or("expected an LSN")?.parse()?;
        let index = members.remove("index").and_then(|index| index.as_u64()).ok_or("expected an index")?;
        let xid =
            members.remove("xid").map(|xid| xid.as_u64().and_then(|xid| xid.try_into().ok()).ok_or("expected an xid"));
        let committed_at = text(&mut members, "committed_at")?.map(|text| moment(&text).ok_or("expected a moment"));
        let transaction = match (xid.transpose()?, committed_at.transpose()?) {
            (Some(xid), Some(committed_at)) => Some((xid, committed_at)),
            (None, None) => None,
            _ => return Err("expected both xid and committed_at, or none".to_owned()),
        };
        let name = text(&mut members, "op")?.ok_or("expected an op")?;
        let operation = operation(&name, &mut members, transaction.is_some())?;
        let (schema, table) = match operation {
            Operation::Message { .. } => (String::new(), String::new()),
            _ => (
                text(&mut members, "schema")?.ok_or("expected a schema")?,
                text(&mut members, "table")?.ok_or("expected a table")?,
            ),
        };
        let key = columns(&mut members, "key")?;
        let mut new = columns(&mut members, "new")?;
        if let Some(unchanged) = members.remove("unchanged") {
            let new = new.get_or_insert_default();
            for name in unchanged.as_array().ok_or("expected a list of unchanged columns")? {
                let name = name.as_str().ok_or("expected the name of an unchanged column")?;
                if new.insert(name.to_owned(), Value::Unchanged).is_some() {
                    return Err(format!("expected `{name}` in either new or unchanged, found it in both"));
                }
            }
        }
        let old = match columns(&mut members, "old")? {
            None => None,
            Some(columns) => Some(
                columns
                    .into_iter()
                    .map(|(name, value)| match value {
                        Value::Text(text) => Ok((name, text)),
                        _ => Err(format!("expected no null in old, found `{name}`")),
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        if !members.is_empty() {
            return Err(format!("expected no more members, found {members:?}"));
        }
        Ok(Self { lsn, index, transaction, key, change: Change { schema, table, operation, new, old } })
    }
}

fn operation(name: &str, members: &mut Map<String, Json>, in_transaction: bool) -> Result<Operation, String> {
    Ok(match name {
        "INSERT" => Operation::Insert,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        "TRUNCATE" => {
            let flags = members.remove("truncate").ok_or("expected the flags of a TRUNCATE")?;
            let flag = |name: &str| flags[name].as_bool().ok_or_else(|| format!("expected {name} in {flags}"));
            Operation::Truncate { cascade: flag("cascade")?, restart_identity: flag("restart_identity")? }
        }
        "MESSAGE" => {
            let prefix = text(members, "prefix")?.ok_or("expected a prefix")?;
            let transactional = members.remove("transactional").and_then(|flag| flag.as_bool());
            if transactional != Some(in_transaction) {
                return Err(format!("transactional: expected {in_transaction}, found {transactional:?}"));
            }
            let content = match (text(members, "content")?, text(members, "content_base64")?) {
                (Some(content), None) => content.into_bytes(),
                (None, Some(content)) => BASE64.decode(content).map_err(|error| error.to_string())?,
                _ => return Err("expected either content or content_base64".to_owned()),
            };
            Operation::Message { prefix, content }
        }
        _ => return Err(format!("expected an operation, found `{name}`")),
    })
}

fn text(members: &mut Map<String, Json>, name: &str) -> Result<Option<String>, String> {
    match members.remove(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{name}: expected a string, found {other}")),
    }
}

fn columns(members: &mut Map<String, Json>, name: &str) -> Result<Option<Columns<Value>>, String> {
    let Some(object) = members.remove(name) else { return Ok(None) };
    let Json::Object(object) = object else { return Err(format!("{name}: expected an object, found {object}")) };
    let column = |(column, value): (String, Json)| match value {
        Json::Null => Ok((column, Value::Null)),
        Json::String(text) => Ok((column, Value::Text(text))),
        other => Err(format!("{name}.{column}: expected a string or null, found {other}")),
    };
    object.into_iter().map(column).collect::<Result<_, _>>().map(Some)
}

/// Reads `2026-11-21T08:43:23.012345Z`.
fn moment(text: &str) -> Option<Moment> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "000000"));
    if fraction.len() != 6 {
        return None;
    }
    let numbers =
        |text: &str, between: char| text.split(between).map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>();
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let (&[year, month, day], &[hour, minute, second]) = (&date[..], &time[..]) else { return None };
    // The days since 1970 in the Gregorian calendar, counted in years that begin in March.
    let shifted = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * shifted + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400) + of_year - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Moment(seconds * 1_000_000 + fraction.parse::<i64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        assert_eq!(moment("1970-01-01T00:00:00.000000Z"), Some(Moment(0)));
        assert_eq!(moment("2000-02-29T00:00:00.000001Z"), Some(Moment(951_782_400_000_001)));
        assert_eq!(moment("2026-11-21T08:43:23.012345Z"), Some(Moment(1_795_250_603_012_345)));
        assert_eq!(moment("2026-11-21 08:43:23Z"), None);
    }

    #[test]
    fn records_are_read() {
        let line = r#"{"lsn":"0/16B3748","index":0,"xid":739,"committed_at":"2026-11-21T08:43:23.012345Z","op":"UPDATE",
            "schema":"public","table":"t","key":{"id":"1"},"new":{"id":"1","n":null},"old":{},"unchanged":["big"]}"#;
        let record = Record::parse(line).unwrap();
        let new = [("id", Value::Text("1".to_owned())), ("n", Value::Null), ("big", Value::Unchanged)];
        assert_eq!(record.change.new, Some(new.map(|(name, value)| (name.to_owned(), value)).into()));
        assert_eq!(record.change.old, Some(Columns::new()));
        Record::parse(&line.replace("\"op\"", "\"what\":1,\"op\"")).unwrap_err();
        Record::parse(&line.replace("[\"big\"]", "[\"n\"]")).unwrap_err();
    }
}
