//! Messages of `pg_logical_emit_message`, with and without a transaction.

use tokio_postgres::Client;

use super::quoted;

/// Holds a message that was emitted, and that is therefore to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Whether it belongs to its transaction.
    pub transactional: bool,
    /// The kind of message.
    pub prefix: String,
    /// The message.
    pub content: Vec<u8>,
}

impl Emitted {
    /// Gives the statement that emits it.
    pub(super) fn sql(&self) -> String {
        let content: String = self.content.iter().map(|byte| format!("{byte:02x}")).collect();
        let (transactional, prefix) = (self.transactional, quoted(&self.prefix));
        format!("SELECT pg_logical_emit_message({transactional}, {prefix}, '\\x{content}'::bytea);")
    }
}

const PREFIXES: [&str; 7] =
    ["", "plain", "it's, odd", ", sz: 3 content:", "p, sz: 5 content:abc", "two\nlines", "é, sz: 1 content:😀"];

const CONTENTS: [&[u8]; 9] = [
    b"",
    b"content",
    b"it's\nCOMMIT 1",
    b"\0",
    b"a\0b\0",
    b"\xff\xfe\0\x80",
    "é😀".as_bytes(),
    b", sz: 3 content:abc",
    &[0xc3],
];

/// Emits every prefix with every content, inside transactions and outside, and one of which the transaction is rolled back.
pub(super) async fn emit(client: &Client) -> Vec<Emitted> {
    let mut emitted = Vec::new();
    client
        .batch_execute("CREATE SCHEMA messages; CREATE TABLE messages.between (id int PRIMARY KEY)")
        .await
        .expect("a table");
    let mut id = 0;
    for transactional in [true, false] {
        for prefix in PREFIXES {
            let mut sql = "BEGIN;".to_owned();
            let mut inside = Vec::new();
            for content in CONTENTS {
                let message = Emitted { transactional, prefix: prefix.to_owned(), content: content.to_vec() };
                id += 1;
                sql += &format!("{} INSERT INTO messages.between VALUES ({id});", message.sql());
                inside.push(message);
            }
            sql += "COMMIT";
            client.batch_execute(&sql).await.expect("messages");
            emitted.extend(inside);
        }
    }
    // One that belongs to no transaction is told although the transaction around it was rolled back.
    let stays = Emitted { transactional: false, prefix: "stays".to_owned(), content: b"x".to_vec() };
    let goes = Emitted { transactional: true, prefix: "goes".to_owned(), content: b"x".to_vec() };
    client.batch_execute(&format!("BEGIN; {} {} ROLLBACK", stays.sql(), goes.sql())).await.expect("messages");
    emitted.push(stays);
    // A transaction of nothing else.
    let alone = Emitted { transactional: true, prefix: "alone".to_owned(), content: vec![b'x'; 100_000] };
    client.batch_execute(&alone.sql()).await.expect("a message");
    emitted.push(alone);
    emitted
}
