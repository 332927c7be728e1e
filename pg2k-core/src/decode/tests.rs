mod encodings;
mod generate;
mod print;
mod properties;

use super::*;
use pg2k_abi::{Operation, Value};

const NULL: Value<'static> = Value::Null;

type Columns = Vec<(String, String, String)>;

/// Columns as texts: `(name, type, value)`, the value behind a letter for its state.
fn columns(tuple: &Tuple<'_>) -> Columns {
    let value = |value| match value {
        Value::Text(text) => format!("={text}"),
        Value::Null => "null".to_owned(),
        Value::Unchanged => "unchanged".to_owned(),
    };
    tuple.columns().map(|c| (c.name().to_owned(), c.type_name().to_owned(), value(c.value()))).collect()
}

fn row(payload: &str) -> (String, String, Operation, Columns, Columns) {
    let mut decoder = Decoder::default();
    match decoder.decode(payload.as_bytes()) {
        Ok(Event::Row(row)) => (
            row.relation.schema.to_owned(),
            row.relation.table.to_owned(),
            row.operation,
            columns(&row.new),
            row.old.as_ref().map(columns).unwrap_or_default(),
        ),
        other => panic!("{payload}: expected a row, found {other:?}"),
    }
}

fn row_of(event: Event<'_>) -> RowChange<'_> {
    match event {
        Event::Row(row) => row,
        other => panic!("expected a row, found {other:?}"),
    }
}

fn column(name: &str, type_name: &str, value: &str) -> (String, String, String) {
    (name.to_owned(), type_name.to_owned(), value.to_owned())
}

fn error(payload: &[u8]) -> (usize, &'static str, Option<u8>) {
    let error = Decoder::default().decode(payload).expect_err("no payload of test_decoding");
    (error.offset(), error.expected(), error.found())
}

#[test]
fn begin_and_commit() {
    let mut decoder = Decoder::default();
    assert!(matches!(decoder.decode(b"BEGIN 739"), Ok(Event::Begin { xid: Some(739) })));
    assert!(matches!(decoder.decode(b"BEGIN"), Ok(Event::Begin { xid: None })));
    assert!(matches!(decoder.decode(b"COMMIT"), Ok(Event::Commit { xid: None, at: None })));
    assert!(matches!(decoder.decode(b"COMMIT 4294967295"), Ok(Event::Commit { xid: Some(u32::MAX), at: None })));
    for (payload, text) in [
        ("COMMIT 739 (at 2026-11-21 08:43:23.012345+00)", "2026-11-21T08:43:23.012345Z"),
        ("COMMIT (at 2026-11-21 08:43:23+00)", "2026-11-21T08:43:23.000000Z"),
        ("COMMIT 1 (at 2026-11-21 08:43:23.5+05:30)", "2026-11-21T03:13:23.500000Z"),
        ("COMMIT 1 (at 2026-11-21 08:43:23.5-01:00:01)", "2026-11-21T09:43:24.500000Z"),
    ] {
        match decoder.decode(payload.as_bytes()) {
            Ok(Event::Commit { at: Some(at), .. }) => assert_eq!(at.to_string(), text),
            other => panic!("{payload}: {other:?}"),
        }
    }
}

#[test]
fn every_operation() {
    let insert = "table public.t: INSERT: id[integer]:1 name[text]:'a' at[timestamp with time zone]:null";
    let new = vec![
        column("id", "integer", "=1"),
        column("name", "text", "=a"),
        column("at", "timestamp with time zone", "null"),
    ];
    assert_eq!(row(insert), ("public".into(), "t".into(), Operation::Insert, new.clone(), vec![]));
    let update = "table public.t: UPDATE: id[integer]:1 big[text]:unchanged-toast-datum";
    let (_, _, operation, new, old) = row(update);
    assert_eq!((operation, old), (Operation::Update, vec![]));
    assert_eq!(new, [column("id", "integer", "=1"), column("big", "text", "unchanged")]);
    let (_, _, _, new, old) =
        row("table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 n[text]:' new-tuple:'");
    assert_eq!(old, [column("id", "integer", "=1")]);
    assert_eq!(new, [column("id", "integer", "=2"), column("n", "text", "= new-tuple:")]);
    let (_, _, operation, new, old) = row("table public.t: DELETE: id[integer]:1");
    assert_eq!((operation, new, old), (Operation::Delete, vec![], vec![column("id", "integer", "=1")]));
}

#[test]
fn rows_without_columns() {
    for payload in [
        "table s.t: DELETE: (no-tuple-data)",
        "table s.t: DELETE:",
        "table s.t: INSERT:",
        "table s.t: INSERT: (no-tuple-data)",
    ] {
        let (_, _, _, new, old) = row(payload);
        assert_eq!((new, old), (vec![], vec![]), "{payload}");
    }
    let (_, _, _, new, old) = row("table s.t: UPDATE: old-key: new-tuple: a[integer]:1");
    assert_eq!((new, old), (vec![column("a", "integer", "=1")], vec![]));
}

#[test]
fn names_in_quotes() {
    let payload = r#"table "My ""Schema""."."a: TRUNCATE: (no-flags), b": INSERT: "new-tuple:"[integer]:1 "x]:'"[public."T]""y"[]]:'{1}'"#;
    let (schema, table, _, new, _) = row(payload);
    assert_eq!((schema.as_str(), table.as_str()), ("My \"Schema\".", "a: TRUNCATE: (no-flags), b"));
    assert_eq!(new, [column("new-tuple:", "integer", "=1"), column("x]:'", r#"public."T]""y"[]"#, "={1}")]);
    let mut decoder = Decoder::default();
    match decoder.decode(br#"table public."A""B": INSERT:"#) {
        Ok(Event::Row(row)) => assert_eq!(row.relation.qualified, r#"public."A""B""#),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_form_of_a_value() {
    for (printed, value) in [
        ("null", NULL),
        ("unchanged-toast-datum", Value::Unchanged),
        ("''", Value::Text("")),
        ("''''", Value::Text("'")),
        ("''''''", Value::Text("''")),
        ("'it''s'", Value::Text("it's")),
        ("'a b[c]:d'", Value::Text("a b[c]:d")),
        (r"'\'", Value::Text(r"\")),
        ("'COMMIT 1\n\té€😀'", Value::Text("COMMIT 1\n\té€😀")),
        ("'null'", Value::Text("null")),
        ("'é''é'''", Value::Text("é'é'")),
    ] {
        let payload = format!("table s.t: INSERT: a[x]:{printed} z[integer]:0");
        let mut decoder = Decoder::default();
        match decoder.decode(payload.as_bytes()) {
            Ok(Event::Row(row)) => {
                let columns = row.new.columns().collect::<Vec<_>>();
                assert_eq!(columns.len(), 2, "{payload}");
                assert_eq!(columns[0].value(), value, "{payload}");
            }
            other => panic!("{payload}: {other:?}"),
        }
    }
}

/// What each type takes, and what it does not. Compared with PostgreSQL 10 to 18.
#[test]
fn the_form_of_a_value_is_its_type_s() {
    const INTEGERS: [&str; 4] = ["0", "7", "-12", "9223372036854775807"];
    const FRACTIONS: [&str; 4] = ["0.5", "-12.50", "123456789012345678901234567890.1", "0.00001"];
    const SPECIAL: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    const EXPONENTS: [&str; 4] = ["1e+20", "-1.5e-07", "1e-05", "1.7976931348623157e+308"];
    const TEXTS: [&str; 4] = ["''", "'1'", "'it''s'", "'null'"];
    const BITS: [&str; 3] = ["B''", "B'0'", "B'0101'"];
    const NEVER: [&str; 27] = [
        "",
        "-",
        "1-2",
        "1.2.3",
        "1e",
        "1ee+05",
        "1e+",
        "1e5",
        "1e+5",
        "1e05",
        "0+-.",
        "1.",
        ".5",
        "1.e+05",
        "+1",
        "--1",
        "1E+05",
        "0x1",
        "1_000",
        "007",
        "00",
        "-007",
        "-NaN",
        "+Infinity",
        "tru",
        "b'0'",
        "B'2'",
    ];
    let forms: [(&[&str], &[&[&str]]); 6] = [
        (&["smallint", "integer", "bigint"], &[&INTEGERS]),
        (&["real", "double precision"], &[&INTEGERS, &FRACTIONS, &SPECIAL, &EXPONENTS, &["-0"]]),
        (&["numeric"], &[&INTEGERS, &FRACTIONS, &SPECIAL, &["unchanged-toast-datum"]]),
        (&["boolean"], &[&["true", "false"]]),
        (&["bit", "bit varying"], &[&BITS, &["unchanged-toast-datum"]]),
        (
            &[
                "text",
                "public.integer",
                "integer[]",
                "\"integer\"",
                "\"bit\"",
                "\"char\"",
                "s.oid",
                "money",
                "numeric[]",
                "public.\"oid\"",
            ],
            &[&TEXTS, &["unchanged-toast-datum"]],
        ),
    ];
    let all =
        [&INTEGERS[..], &FRACTIONS, &SPECIAL, &EXPONENTS, &TEXTS, &BITS, &["true", "false", "unchanged-toast-datum"]]
            .concat();
    let is_decoded = |type_name: &str, value: &str| {
        Decoder::default().decode(format!("table s.t: INSERT: a[{type_name}]:{value}").as_bytes()).is_ok()
    };
    for (type_names, values) in forms {
        let values = values.concat();
        for type_name in type_names {
            assert!(is_decoded(type_name, "null"), "{type_name}");
            for value in all.iter().chain(&NEVER) {
                assert_eq!(is_decoded(type_name, value), values.contains(value), "{type_name}: {value}");
            }
        }
    }
    for type_name in ["oid", "\"oid\"", "pg_catalog.oid", "pg_catalog.\"oid\"", "\"pg_catalog\".\"oid\""] {
        for value in ["0", "4294967295", "'a type of that name'", "null", "unchanged-toast-datum"] {
            assert!(is_decoded(type_name, value), "{type_name}: {value}");
        }
        for value in ["-1", "01", "1.5", "true", "B'0'"] {
            assert!(!is_decoded(type_name, value), "{type_name}: {value}");
        }
    }
}

#[test]
fn truncates() {
    for (flags, restarts_identity, cascades) in [
        ("(no-flags)", false, false),
        ("restart_seqs", true, false),
        ("restart_seqs cascade", true, true),
        ("cascade", false, true),
    ] {
        let payload = format!("table public.a, public.\"b, c\": TRUNCATE: {flags}");
        let mut decoder = Decoder::default();
        match decoder.decode(payload.as_bytes()) {
            Ok(Event::Truncate(truncate)) => {
                assert_eq!((truncate.restarts_identity, truncate.cascades), (restarts_identity, cascades), "{payload}");
                assert_eq!(truncate.relations().map(|r| r.table).collect::<Vec<_>>(), ["a", "b, c"]);
            }
            other => panic!("{payload}: {other:?}"),
        }
    }
}

#[test]
fn messages() {
    let mut decoder = Decoder::default();
    for (payload, transactional, prefix, content) in [
        (&b"message: transactional: 1 prefix: p, sz: 3 content:abc"[..], true, "p", &b"abc"[..]),
        (b"message: transactional: 0 prefix: , sz: 0 content:", false, "", b""),
        (
            b"message: transactional: 0 prefix: p, sz: 3 content:, sz: 2 content:\0\xff",
            false,
            "p, sz: 3 content:",
            b"\0\xff",
        ),
    ] {
        match decoder.decode(payload) {
            Ok(Event::Message(message)) => assert_eq!(message, Message { transactional, prefix, content }),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_not_in_the_grammar() {
    for (payload, expected) in [
        (&b""[..], (0, "BEGIN, COMMIT, PREPARE, ROLLBACK, table or message", None)),
        (b"streaming change", (0, "BEGIN, COMMIT, PREPARE, ROLLBACK, table or message", Some(b's'))),
        (b"BEGINX", (5, "the end of the payload", Some(b'X'))),
        (b"BEGIN 4294967296", (6, "a number of 32 bits", Some(b'4'))),
        (b"COMMIT 1 (at 2026-13-01 00:00:00+00)", (13, "a date and time of the calendar", Some(b'2'))),
        (b"COMMIT 1 (at 2026-01-01 00:00:00)", (32, "+ or - and a time zone", Some(b')'))),
        (b"table public", (12, ".", None)),
        (b"table P.t: INSERT:", (6, "a name", Some(b'P'))),
        (b"table p.t: UPSERT:", (11, "INSERT:, UPDATE:, DELETE: or TRUNCATE:", Some(b'U'))),
        (b"table p.t, p.u: INSERT:", (16, "TRUNCATE: behind several tables", Some(b'I'))),
        (b"table p.t: INSERT: a[integer]:1 ", (32, "a name", None)),
        (b"table p.t: INSERT: a[integer]:", (30, "null or an integer", None)),
        (b"table p.t: INSERT: a[integer]:nul", (30, "null or an integer", Some(b'n'))),
        (b"table p.t: INSERT: a[integer:1", (30, "the ] that ends the type", None)),
        (b"table p.t: INSERT: a[text]:'x", (29, "the quote that ends the value", None)),
        (b"table p.t: INSERT: a[text]:'x'y", (30, "the end of the payload", Some(b'y'))),
        (b"table p.t: INSERT: a[bit]:B'2'", (28, "0, 1 or '", Some(b'2'))),
        (b"table p.t: UPDATE: old-key: a[integer]:1", (40, "a column, or the words new-tuple:", None)),
        (b"table p.t: TRUNCATE: restart_seqs x", (33, "the end of the payload", Some(b' '))),
        (b"table p.t: INSERT: a[text]:'\xff'", (28, "UTF-8", Some(0xff))),
        (
            b"message: transactional: 1 prefix: p, sz: 2 content:abc",
            (34, "a prefix, \", sz: N content:\" and N bytes", Some(b'p')),
        ),
    ] {
        assert_eq!(error(payload), expected, "{}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn an_error_says_where_and_what_but_not_which_data() {
    let error = Decoder::default().decode(b"table p.t: INSERT: a[text]:secret").expect_err("no value");
    assert_eq!(
        error.to_string(),
        "byte 27 of the payload: expected null, unchanged-toast-datum or a text in quotes, found the byte 0x73"
    );
}

#[test]
fn two_phases() {
    let mut decoder = Decoder::default();
    for (payload, gid) in [
        ("PREPARE TRANSACTION 'a', txid 739 (at 2026-11-21 08:43:23+00)", "a"),
        ("PREPARE TRANSACTION 'it''s é, txid 1', txid 739 (at 2026-11-21 08:43:23+00)", "it's é, txid 1"),
        (r"PREPARE TRANSACTION E'a\\''\\', txid 739 (at 2026-11-21 08:43:23+00)", r"a\'\"),
    ] {
        match decoder.decode(payload.as_bytes()) {
            Ok(Event::Prepare { gid: found, xid: Some(739), at: Some(_) }) => assert_eq!(found, gid),
            other => panic!("{payload}: {other:?}"),
        }
    }
    let decoded = decoder.decode(b"COMMIT PREPARED 'a', txid 7");
    assert!(matches!(decoded, Ok(Event::CommitPrepared { gid: "a", xid: Some(7), at: None })));
    let decoded = decoder.decode(b"ROLLBACK PREPARED 'a' (at 2026-11-21 08:43:23+00)");
    assert!(matches!(decoded, Ok(Event::RollbackPrepared { gid: "a", xid: None, at: Some(_) })));
    for payload in [
        r"PREPARE TRANSACTION 'a\', txid 739",
        r"PREPARE TRANSACTION E'a', txid 739",
        r"PREPARE TRANSACTION E'a\', txid 739",
        r"PREPARE TRANSACTION E'\\\', txid 739",
        "PREPARE TRANSACTION 'a, txid 739",
        "PREPARE 'a', txid 739",
    ] {
        assert!(decoder.decode(payload.as_bytes()).is_err(), "{payload}");
    }
}
