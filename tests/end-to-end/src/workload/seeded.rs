//! Random changes from a seed, over tables of every replica identity.

use tokio_postgres::Client;

use super::messages::Emitted;
use super::quoted;
use super::texts::TEXTS;
use crate::random::Random;

const COLUMNS: &str =
    "id int NOT NULL, t text NOT NULL, n numeric, b boolean, bits varbit, j jsonb, several text[], big text,
    m timestamptz, \"Odd \"\"]:' name\" text";

const TABLES: [(&str, &str); 5] = [
    ("keyed", "ALTER TABLE seeded.keyed ADD PRIMARY KEY (id)"),
    ("keyed_by_two", "ALTER TABLE seeded.keyed_by_two ADD PRIMARY KEY (t, id)"),
    ("entire", "ALTER TABLE seeded.entire REPLICA IDENTITY FULL"),
    (
        "indexed",
        "CREATE UNIQUE INDEX indexed_key ON seeded.indexed (id, t);
         ALTER TABLE seeded.indexed REPLICA IDENTITY USING INDEX indexed_key",
    ),
    ("Odd, \"one\".x: ", "ALTER TABLE seeded.\"Odd, \"\"one\"\".x: \" ADD PRIMARY KEY (id)"),
];

/// How many transactions there are, and the most changes in one.
const TRANSACTIONS: u64 = 500;
const CHANGES: u64 = 16;
/// How many different values the column `id` has, so that changes meet rows.
const IDS: u64 = 60;

/// Does a few thousand changes, and gives the messages among them.
pub(super) async fn run(client: &Client, major: u32, random: &mut Random) -> Vec<Emitted> {
    client.batch_execute("CREATE SCHEMA seeded").await.expect("a schema");
    for (name, key) in TABLES {
        let sql = format!(
            "CREATE TABLE seeded.{table} ({COLUMNS}); ALTER TABLE seeded.{table} ALTER big SET STORAGE EXTERNAL; {key}",
            table = super::quoted_name(name)
        );
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let mut seeded = Seeded { random, major, emitted: Vec::new() };
    for _ in 0..TRANSACTIONS {
        let (sql, emitted) = seeded.transaction();
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        seeded.emitted.extend(emitted);
    }
    seeded.emitted
}

struct Seeded<'a> {
    random: &'a mut Random,
    major: u32,
    emitted: Vec<Emitted>,
}

impl Seeded<'_> {
    /// Gives a transaction, and the messages that are told of it.
    fn transaction(&mut self) -> (String, Vec<Emitted>) {
        let mut sql = "BEGIN;".to_owned();
        let mut messages = Vec::new();
        for _ in 0..=self.random.below(CHANGES) {
            match self.random.below(100) {
                0..4 => {
                    let message = Emitted {
                        transactional: self.random.percent(70),
                        prefix: self.text(),
                        content: (0..self.random.below(40)).map(|_| self.random.number().to_le_bytes()[0]).collect(),
                    };
                    sql += &message.sql();
                    messages.push(message);
                }
                4..8 => {
                    let change = self.change();
                    sql += &format!("SAVEPOINT s; {change} {change} ROLLBACK TO s;");
                }
                8 if self.major >= 11 => sql += &format!("TRUNCATE {};", self.table()),
                _ => sql += &self.change(),
            }
        }
        if self.random.percent(8) {
            sql += "ROLLBACK";
            messages.retain(|message| !message.transactional);
        } else {
            sql += "COMMIT";
        }
        // Those without a transaction are told when they are met, which is before the COMMIT of the one around them.
        messages.sort_by_key(|message| message.transactional);
        (sql, messages)
    }

    fn change(&mut self) -> String {
        let (table, id) = (self.table(), self.random.below(IDS));
        match self.random.below(10) {
            0..4 => {
                let values: Vec<_> = (0..9).map(|column| self.value(column)).collect();
                format!("INSERT INTO {table} VALUES ({id}, {}) ON CONFLICT DO NOTHING;", values.join(", "))
            }
            4 => {
                let moved = self.random.number() % 1_000_000 + IDS;
                format!(
                    "UPDATE {table} SET id = {moved} WHERE ctid = (SELECT ctid FROM {table} WHERE id = {id} LIMIT 1)
                     AND NOT EXISTS (SELECT FROM {table} WHERE id = {moved});"
                )
            }
            5 => format!("DELETE FROM {table} WHERE id = {id};"),
            _ => {
                const NAMES: [&str; 9] = ["t", "n", "b", "bits", "j", "several", "big", "m", "\"Odd \"\"]:' name\""];
                // Not `t`, which is part of keys.
                let column = 1 + self.random.index(8);
                format!("UPDATE {table} SET {} = {} WHERE id = {id};", NAMES[column], self.value(column))
            }
        }
    }

    fn table(&mut self) -> String {
        format!("seeded.{}", super::quoted_name(TABLES[self.random.index(TABLES.len())].0))
    }

    fn value(&mut self, column: usize) -> String {
        if column > 0 && self.random.percent(20) {
            return "NULL".to_owned();
        }
        let number = self.random.number();
        match column {
            1 => format!("{}e{}", number % 1_000_000, number % 20),
            2 => (number.is_multiple_of(2)).to_string(),
            3 => format!("B'{:b}'", number % 1000),
            4 => format!("to_jsonb({}::text)", quoted(&self.text())),
            5 => format!("ARRAY[{}, NULL, {}]", quoted(&self.text()), quoted(&self.text())),
            // Large enough to be stored apart in a third of the cases.
            6 => format!(
                "repeat({}, {})",
                quoted(&self.text()),
                if number.is_multiple_of(3) { 3000 } else { number % 5 }
            ),
            7 => format!("to_timestamp({})", number % 4_000_000_000),
            _ => quoted(&self.text()),
        }
    }

    /// Puts texts together that are odd already.
    fn text(&mut self) -> String {
        (0..=self.random.below(3)).map(|_| TEXTS[self.random.index(TEXTS.len())]).collect()
    }
}
