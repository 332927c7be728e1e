use pg2k_abi::{ChangeParts, Lsn, Position, RecordBuffer, Timestamp};
use serde_json::Value as Json;

use super::*;

const TEXT: fn(&'static str) -> Value<'static> = Value::Text;

fn formatted(parts: &ChangeParts<'_>, values: Values) -> Result<String, String> {
    let mut buffer = RecordBuffer::new(1_000_000);
    let mut time = PrintedTime::default();
    Change::with(parts, |change| format(change, values, &mut time, &mut Records::new(&mut buffer)))
        .map_err(|error| error.to_string())?;
    let mut records = buffer.iter().map(|(data, _)| String::from_utf8(data.to_vec()).expect("text"));
    let (record, more) = (records.next().expect("a record"), records.next());
    assert_eq!(more, None);
    Ok(record)
}

fn parts(operation: Operation) -> ChangeParts<'static> {
    let position = Position { end_lsn: Lsn::new(0x16_B3748), index: 3 };
    let committed_at = Timestamp::from_utc((2026, 11, 21), (8, 43, 23), 12_345);
    ChangeParts { xid: Some(739), committed_at, ..ChangeParts::new(position, operation, "public", "t") }
}

/// What every record of these tests begins with.
const HEAD: &str = r#"{"lsn":"0/16B3748","index":3,"xid":739,"committed_at":"2026-11-21T08:43:23.012345Z","op":""#;

/// The golden of a change, behind its head.
fn golden(parts: &ChangeParts<'_>, values: Values) -> String {
    let record = formatted(parts, values).expect("a record");
    record.strip_prefix(HEAD).expect("the head").to_owned()
}

#[test]
fn an_insert() {
    let row = [
        Column::new("id", "integer", TEXT("7")),
        Column::new("name", "text", TEXT("O'Brien")),
        Column::new("note", "text", Value::Null),
    ];
    let parts = ChangeParts { key: &row[..1], columns: &row, ..parts(Operation::Insert) };
    assert_eq!(
        formatted(&parts, Values::Typed).as_deref(),
        Ok(concat!(
            r#"{"lsn":"0/16B3748","index":3,"xid":739,"committed_at":"2026-11-21T08:43:23.012345Z","#,
            r#""op":"INSERT","schema":"public","table":"t","key":{"id":7},"#,
            r#""new":{"id":7,"name":"O'Brien","note":null}}"#
        ))
    );
    assert_eq!(
        golden(&parts, Values::Text),
        r#"INSERT","schema":"public","table":"t","key":{"id":"7"},"new":{"id":"7","name":"O'Brien","note":null}}"#
    );
}

#[test]
fn an_insert_without_columns_and_without_a_key() {
    assert_eq!(golden(&parts(Operation::Insert), Values::Typed), r#"INSERT","schema":"public","table":"t","new":{}}"#);
}

#[test]
fn an_update_with_unchanged_columns() {
    let row = [
        Column::new("big", "text", Value::Unchanged),
        Column::new("id", "integer", TEXT("7")),
        Column::new("n", "integer", TEXT("1")),
        Column::new("huge", "bytea", Value::Unchanged),
    ];
    let change = ChangeParts { key: &row[1..2], columns: &row, ..parts(Operation::Update) };
    assert_eq!(
        golden(&change, Values::Typed),
        r#"UPDATE","schema":"public","table":"t","key":{"id":7},"new":{"id":7,"n":1},"unchanged":["big","huge"]}"#
    );
    // Of a table whose every column is large.
    let change = ChangeParts { columns: &row[..1], ..parts(Operation::Update) };
    assert_eq!(
        golden(&change, Values::Typed),
        r#"UPDATE","schema":"public","table":"t","new":{},"unchanged":["big"]}"#
    );
}

#[test]
fn an_update_of_the_key_is_one_record() {
    let (key, old_key) = ([Column::new("id", "integer", TEXT("8"))], [Column::new("id", "integer", TEXT("7"))]);
    let row = [key[0], Column::new("big", "text", Value::Unchanged)];
    let change = ChangeParts {
        key: &key,
        old_key: Some(&old_key),
        columns: &row,
        old_columns: Some(&old_key),
        ..parts(Operation::Update)
    };
    assert_eq!(
        golden(&change, Values::Typed),
        concat!(
            r#"UPDATE","schema":"public","table":"t","key":{"id":8},"new":{"id":8},"old":{"id":7},"#,
            r#""unchanged":["big"]}"#
        )
    );
}

#[test]
fn a_delete() {
    let old = [
        Column::new("b", "text", TEXT("x")),
        Column::new("a", "integer", TEXT("7")),
        Column::new("big", "text", Value::Unchanged),
    ];
    // In the key's order, which may not be the table's.
    let key = [old[1], old[0]];
    let change = ChangeParts { key: &key, old_columns: Some(&old), ..parts(Operation::Delete) };
    assert_eq!(
        golden(&change, Values::Typed),
        r#"DELETE","schema":"public","table":"t","key":{"a":7,"b":"x"},"old":{"b":"x","a":7}}"#
    );
    let change = ChangeParts { old_columns: Some(&[]), ..parts(Operation::Delete) };
    assert_eq!(golden(&change, Values::Typed), r#"DELETE","schema":"public","table":"t","old":{}}"#);
    assert_eq!(golden(&parts(Operation::Delete), Values::Typed), r#"DELETE","schema":"public","table":"t"}"#);
}

#[test]
fn a_truncate() {
    let plain = parts(Operation::Truncate);
    let with_all = ChangeParts { cascades: true, restarts_identity: true, ..plain };
    for (change, flags) in [
        (plain, r#"{"cascade":false,"restart_identity":false}"#),
        (ChangeParts { restarts_identity: true, ..plain }, r#"{"cascade":false,"restart_identity":true}"#),
        (with_all, r#"{"cascade":true,"restart_identity":true}"#),
    ] {
        let expected = format!(r#"TRUNCATE","schema":"public","table":"t","truncate":{flags}}}"#);
        assert_eq!(golden(&change, Values::Typed), expected);
    }
}

#[test]
fn a_message() {
    for (content, member) in [
        (&b"say \"hi\"\n\0"[..], r#""content":"say \"hi\"\n\u0000""#),
        ("é".as_bytes(), r#""content":"é""#),
        (b"", r#""content":"""#),
        (b"\xff\xfe\x00", r#""content_base64":"//4A""#),
        (b"a\xc3", r#""content_base64":"YcM=""#),
    ] {
        let message = Message { transactional: true, prefix: "a\tb", content };
        let change = ChangeParts { schema: "", table: "", message: Some(message), ..parts(Operation::Message) };
        let expected = format!(r#"MESSAGE","prefix":"a\tb","transactional":true,{member}}}"#);
        assert_eq!(golden(&change, Values::Typed), expected);
    }
}

#[test]
fn a_message_outside_of_transactions() {
    let message = Message { transactional: false, prefix: "", content: b"x" };
    let change = ChangeParts {
        message: Some(message),
        ..ChangeParts::new(Position { end_lsn: Lsn::new(u64::MAX), index: u64::MAX }, Operation::Message, "", "")
    };
    assert_eq!(
        formatted(&change, Values::Typed).as_deref(),
        Ok(concat!(
            r#"{"lsn":"FFFFFFFF/FFFFFFFF","index":18446744073709551615,"op":"MESSAGE","#,
            r#""prefix":"","transactional":false,"content":"x"}"#
        ))
    );
}

#[test]
fn a_time_is_printed_again_when_it_changes() {
    let (mut time, begin) = (PrintedTime::default(), Timestamp::from_unix_micros(0));
    for at in [begin, begin, Timestamp::from_unix_micros(1), begin] {
        assert_eq!(time.text(at), Ok(at.to_string().as_str()));
    }
}

#[test]
fn what_this_formatter_does_not_know() {
    for operation in [Operation::Unknown, Operation::Message] {
        let expected = "operation: expected INSERT, UPDATE, DELETE, TRUNCATE or MESSAGE, found ";
        let error = formatted(&parts(operation), Values::Typed).expect_err("an error");
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn values_of_every_type() {
    for (type_name, text, typed) in [
        ("boolean", "true", "true"),
        ("boolean", "false", "false"),
        ("boolean", "t", r#""t""#),
        ("smallint", "-32768", "-32768"),
        ("integer", "0", "0"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("real", "1e-05", "1e-05"),
        ("real", "NaN", r#""NaN""#),
        ("double precision", "1.2345678901234567e+300", "1.2345678901234567e+300"),
        ("double precision", "-0", "-0"),
        ("double precision", "Infinity", r#""Infinity""#),
        ("double precision", "-Infinity", r#""-Infinity""#),
        ("json", "{\"a\" : [1.50,\n null]}", r#"{"a":[1.50,null]}"#),
        ("json", r#""\ud800\u0000""#, r#""\ud800\u0000""#),
        ("jsonb", r#"{"a b": "c d"}"#, r#"{"a b":"c d"}"#),
        ("jsonb", "null", "null"),
        ("numeric", "1.50", r#""1.50""#),
        ("oid", "26", r#""26""#),
        ("money", "$0.00", r#""$0.00""#),
        ("bit", "0101", r#""0101""#),
        ("bytea", "\\x00ff", r#""\\x00ff""#),
        ("text", "", r#""""#),
        ("text", "null", r#""null""#),
        ("integer[]", "{1,NULL}", r#""{1,NULL}""#),
        ("json[]", "{\"{}\"}", r#""{\"{}\"}""#),
        ("public.integer", "7", r#""7""#),
        ("\"integer\"", "7", r#""7""#),
        ("public.json", "{}", r#""{}""#),
        ("timestamp with time zone", "2026-11-21 08:43:23+00", r#""2026-11-21 08:43:23+00""#),
    ] {
        let row = [Column::new("c", type_name, Value::Text(text))];
        let change = ChangeParts { columns: &row, ..parts(Operation::Insert) };
        let record = |value: &str| format!(r#"INSERT","schema":"public","table":"t","new":{{"c":{value}}}}}"#);
        assert_eq!(golden(&change, Values::Typed), record(typed), "{type_name} {text}");
        let as_text = Json::from(text).to_string();
        assert_eq!(golden(&change, Values::Text), record(&as_text), "{type_name} {text}");
    }
}

#[test]
fn json_that_is_none_is_text() {
    let row = [Column::new("doc", "jsonb", TEXT("eyJhIjog6Q=="))];
    let change = ChangeParts { columns: &row, ..parts(Operation::Insert) };
    assert_eq!(formatted(&change, Values::Typed), formatted(&change, Values::Text));
}

#[test]
fn the_option() {
    assert_eq!(Values::of_option(None).ok(), Some(Values::Typed));
    assert_eq!(Values::of_option(Some("typed")).ok(), Some(Values::Typed));
    assert_eq!(Values::of_option(Some("text")).ok(), Some(Values::Text));
    let refused = Values::of_option(Some("Text")).map_err(|error| error.to_string());
    assert_eq!(refused, Err("option values=Text: expected typed or text".to_owned()));
}

/// A column of a random change, and what a parser should read of it.
struct Sample {
    name: String,
    type_name: &'static str,
    /// `None` for null.
    text: Option<String>,
    is_unchanged: bool,
    json: Json,
}

fn random_text(random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 16] = [
        "\"",
        "\\",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "é",
        "😀",
        "\u{2028}",
        "}",
        "null",
        "0123456789abcdef",
        "'",
        " ",
    ];
    (0..random.usize(..12)).map(|_| *random.choice(&PIECES).expect("a piece")).collect()
}

fn random_json(random: &mut fastrand::Rng, depth: u32) -> Json {
    match random.u32(..if depth == 0 { 4 } else { 6 }) {
        0 => Json::Null,
        1 => random.bool().into(),
        2 => random.i64(..).into(),
        3 => random_text(random).into(),
        4 => (0..random.u32(..4)).map(|_| random_json(random, depth - 1)).collect(),
        _ => (0..random.u32(..4)).map(|_| (random_text(random), random_json(random, depth - 1))).collect(),
    }
}

fn random_column(random: &mut fastrand::Rng, number: usize) -> Sample {
    let (type_name, text, json) = match random.u32(..6) {
        0 => ("text", None, Json::Null),
        1 => {
            let number = random.i64(..);
            ("bigint", Some(number.to_string()), number.into())
        }
        2 => ("boolean", Some("true".to_owned()), true.into()),
        3 => {
            let json = random_json(random, 4);
            ("jsonb", Some(serde_json::to_string_pretty(&json).expect("JSON")), json)
        }
        4 => ("double precision", Some("NaN".to_owned()), "NaN".into()),
        _ => {
            let text = random_text(random);
            ("character varying", Some(text.clone()), text.into())
        }
    };
    // Names that look the same, but for the number of spaces at their end.
    let name = format!("{}|{}", random_text(random), " ".repeat(number));
    Sample { name, type_name, text, is_unchanged: random.u32(..8) == 0, json }
}

fn columns(samples: &[Sample]) -> Vec<Column<'_>> {
    fn value(sample: &Sample) -> Value<'_> {
        if sample.is_unchanged { Value::Unchanged } else { sample.text.as_deref().map_or(Value::Null, Value::Text) }
    }
    samples.iter().map(|sample| Column::new(&sample.name, sample.type_name, value(sample))).collect()
}

fn object(samples: &[Sample], values: Values) -> Json {
    let json = |sample: &Sample| match values {
        Values::Typed => sample.json.clone(),
        Values::Text => sample.text.clone().map_or(Json::Null, Json::from),
    };
    let present = samples.iter().filter(|sample| !sample.is_unchanged);
    Json::Object(present.map(|sample| (sample.name.clone(), json(sample))).collect())
}

#[test]
fn a_parser_reads_what_went_in() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..2_000 {
        let [new, old] =
            [(); 2].map(|()| (0..random.usize(..8)).map(|at| random_column(&mut random, at)).collect::<Vec<_>>());
        let (schema, table) = (random_text(&mut random), random_text(&mut random));
        let (new_columns, old_columns) = (columns(&new), columns(&old));
        let change = ChangeParts {
            schema: &schema,
            table: &table,
            key: &new_columns,
            columns: &new_columns,
            old_columns: Some(&old_columns),
            ..parts(Operation::Update)
        };
        for values in [Values::Typed, Values::Text] {
            let record = formatted(&change, values).expect("a record");
            let unchanged: Vec<_> =
                new.iter().filter(|sample| sample.is_unchanged).map(|sample| &sample.name).collect();
            let mut expected = serde_json::json!({
                "lsn": "0/16B3748", "index": 3, "xid": 739, "committed_at": "2026-11-21T08:43:23.012345Z",
                "op": "UPDATE", "schema": schema, "table": table,
                "new": object(&new, values), "old": object(&old, values),
            });
            if !new.is_empty() {
                expected["key"] = object(&new, values);
            }
            if !unchanged.is_empty() {
                expected["unchanged"] = serde_json::json!(unchanged);
            }
            let read: Json = serde_json::from_str(&record).expect("JSON");
            assert_eq!(read, expected, "seed {seed}, round {round}");
            assert!(!record.bytes().any(|byte| byte < b' '), "seed {seed}, round {round}: expected one line");
        }
    }
}
