//! Texts that look like something else in a payload, or that somebody forgot to think of.

use tokio_postgres::Client;

use super::quoted;

/// The texts.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    "'",
    "''",
    "'''",
    "it's",
    "'quoted'",
    "\"",
    "\\",
    "\\'",
    "\\\\",
    "E'x'",
    "\n",
    "two\nlines",
    "\r\n",
    "\t",
    "\u{1}",
    "\u{1f}\u{7f}",
    "\u{80}\u{9f}",
    "é",
    "e\u{301}",
    "ß€漢字",
    "😀🇩🇪👩\u{200d}👩",
    "\u{feff}",
    "\u{fffd}\u{ffff}",
    "\u{10ffff}",
    "\u{2028}\u{2029}",
    "null",
    "NULL",
    "unchanged-toast-datum",
    "true",
    "t",
    "false",
    "0",
    "1",
    "-1",
    "NaN",
    "Infinity",
    "B'1'",
    "(no-tuple-data)",
    " new-tuple:",
    " old-key:",
    "' new-tuple: id[integer]:1",
    " id[integer]:1",
    "' b[text]:'",
    "COMMIT 1",
    "BEGIN 1",
    "BEGIN",
    "table public.t: INSERT: id[integer]:1",
    ": TRUNCATE: (no-flags)",
    "message: transactional: 1 prefix: p, sz: 3 content:abc",
    ", sz: 3 content:abc",
    "]:",
    "[]",
    "x]:'",
    "{\"a\": \"b\\\"c\", \"d\": [1, null]}",
    "</data>",
    "a,b\r\n\"c\"",
    "%s%n$1{}",
];

/// Fills a table with them, in every type that holds text as it is.
pub(super) async fn fill(client: &Client) {
    let mut sql = "CREATE SCHEMA texts;
        CREATE TABLE texts.plain (id int PRIMARY KEY, t text, v varchar, c char(60), n name, j json, several text[], x bytea);
        CREATE TABLE texts.keys (id text PRIMARY KEY, note text);"
        .to_owned();
    for (id, text) in TEXTS.iter().enumerate() {
        let text = quoted(text);
        // As JSON, a control character has to be written otherwise than as itself.
        sql += &format!(
            "INSERT INTO texts.plain VALUES ({id}, {text}, {text}, {text}, {text}, to_json({text}::text),
                ARRAY[{text}, NULL, {text} || 'x'], convert_to({text}, 'UTF8'));
             INSERT INTO texts.keys VALUES ({text}, {text});"
        );
    }
    sql += "UPDATE texts.keys SET id = id || ''' ]:x', note = id; DELETE FROM texts.keys WHERE length(id) < 9;
        UPDATE texts.plain SET v = NULL, t = t || ' ', c = '' WHERE id % 2 = 0;";
    client.batch_execute(&sql).await.expect("texts");
}
