//! A database that is watched in two ways: by a slot of `test_decoding`, which the program reads, and by one of `pgoutput`.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use crate::history::{Change, Columns, Event, Operation, Value, assert_same_history, without};
use crate::lsn::Lsn;
use crate::pgoutput::ReadText;
use crate::records::Record;
use crate::server::{Server, Settings, Version};
use crate::{pgoutput, tool};

/// What makes a record of everything, with the text as the server has it.
pub const EVERYTHING: &[&str] = &["--formatter", "json", "--formatter-opt", "values=text", "--messages"];

/// Starts a server on which everything that a row's text depends on is set to something else than the records show.
pub async fn start(version: Version) -> Server {
    Settings::default()
        .version(version)
        .set("timezone", "Asia/Tokyo")
        .set("datestyle", "German")
        .set("intervalstyle", "sql_standard")
        .set("bytea_output", "escape")
        .set("extra_float_digits", "-15")
        .set("quote_all_identifiers", "on")
        .set("max_prepared_transactions", "5")
        .start()
        .await
}

/// Holds a database that is watched.
#[derive(Debug)]
pub struct Watched<'a> {
    server: &'a Server,
    database: String,
    client: Client,
}

impl<'a> Watched<'a> {
    /// Begins to watch the database of a session, which it takes to work with.
    pub async fn begin(server: &'a Server, client: Client) -> Self {
        let database = client.query_one("SELECT current_database()::text", &[]).await.expect("a name").get(0);
        let watched = Self { server, database, client };
        // Before 18, generated columns cannot be published.
        let options = if server.major() >= 18 { " WITH (publish_generated_columns = stored)" } else { "" };
        let publication = format!("CREATE PUBLICATION {} FOR ALL TABLES{options}", pgoutput::PUBLICATION);
        watched.client.batch_execute(&publication).await.expect("a publication");
        for (slot, plugin) in [(watched.slot(), "test_decoding"), (watched.slot_of_pgoutput(), "pgoutput")] {
            let sql = format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')");
            watched.client.batch_execute(&sql).await.expect("a slot");
        }
        watched
    }

    /// Ends it: a server has room for a few slots only.
    pub async fn end(self) {
        for slot in [self.slot(), self.slot_of_pgoutput()] {
            self.client.execute("SELECT pg_drop_replication_slot($1)", &[&slot]).await.expect("the end of a slot");
        }
    }

    /// Gives a session in the database.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Gives the slot of `test_decoding`.
    pub fn slot(&self) -> String {
        format!("captured_{}", self.database)
    }

    fn slot_of_pgoutput(&self) -> String {
        format!("told_{}", self.database)
    }

    /// Gives the lines that `pg2k capture` writes.
    ///
    /// # Panics
    ///
    /// If it moves the slot.
    pub async fn capture(&self) -> Vec<u8> {
        let slot = self.slot();
        let confirmed: Lsn = self.server.confirmed(&slot).await;
        let lines = tool::capture(self.server, &self.database, &slot).await.succeeded();
        assert_eq!(self.server.confirmed(&slot).await, confirmed, "a capture moved the slot");
        lines
    }

    /// Gives what `pgoutput` tells in this encoding, to which the server converts.
    pub async fn told(&self, client_encoding: &str, text: ReadText) -> Vec<Event> {
        let session = self.server.pinned_client_of(&self.database).await;
        session.batch_execute(&format!("SET client_encoding = '{client_encoding}'")).await.expect("an encoding");
        pgoutput::history(&session, self.server.major(), &self.slot_of_pgoutput(), text).await
    }

    /// Compares what records tell with what `pgoutput` tells, as far as both do.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub fn assert_told(&self, what: &str, found: Vec<Event>, expected: Vec<Event>) {
        let major = self.server.major();
        let what = format!("PostgreSQL {major}, {}, {what}", self.database);
        let comparable = |history| without(history, |change| is_told_by_one_alone(change, major));
        let found = without_columns_told_by_one_alone(found, major);
        assert_same_history(&what, &comparable(found), &comparable(expected));
    }

    /// Compares the keys of the records with what the catalogs say that they are, for tables whose key does not change.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub async fn assert_keys(&self, records: &[Record]) {
        let sql = "SELECT nspname::text, relname::text,
                ARRAY(SELECT attname::text FROM (SELECT indkey FROM pg_index
                    WHERE indrelid = c.oid AND (indisprimary OR indisreplident) ORDER BY indisprimary DESC LIMIT 1) i,
                    unnest(indkey) k JOIN pg_attribute ON attnum = k AND attrelid = c.oid)
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname <> 'changing' AND relkind IN ('r', 'm')";
        let rows = self.client.query(sql, &[]).await.expect("the keys");
        let table = |row: &Row| -> (String, String) { (row.get(0), row.get(1)) };
        let keys: BTreeMap<_, Vec<String>> = rows.iter().map(|row| (table(row), row.get(2))).collect();
        for Record { key: found, change, .. } in records {
            let Some(names) = keys.get(&(change.schema.clone(), change.table.clone())) else { continue };
            let value = |name: &String| {
                let old = || change.old.as_ref()?.get(name).cloned().map(Value::Text);
                match change.new.as_ref().and_then(|new| new.get(name)) {
                    None | Some(Value::Unchanged) => old(),
                    Some(new) => Some(new.clone()),
                }
            };
            let expected: Option<Columns<Value>> =
                names.iter().map(|name| Some((name.clone(), value(name)?))).collect();
            let expected = expected.filter(|key| !key.is_empty());
            assert_eq!(found, &expected, "the key of {change:?}");
        }
    }
}

/// Tells of changes that pgoutput does not tell of.
fn is_told_by_one_alone(change: &Change, major: u32) -> bool {
    match (&*change.schema, &change.operation) {
        // pgoutput has messages since 14.
        (_, Operation::Message { .. }) => major < 14,
        // Publications have no materialised views. test_decoding prints what makes their rows as that of a table.
        ("unpublished", _) => true,
        // A publication of updates refuses them for tables without a replica identity, so this one leaves them out.
        ("unidentified", Operation::Update | Operation::Delete) => true,
        // The same goes for an identity that includes a column which is not stored.
        ("tables", Operation::Update | Operation::Delete) => change.table == "virtual_entire",
        // A publication tells of partitions. test_decoding also prints what they are partitions of.
        ("tables", Operation::Truncate { .. }) => ["visits", "visits_eu"].contains(&&*change.table),
        _ => false,
    }
}

/// Drops the columns of which only test_decoding tells.
fn without_columns_told_by_one_alone(mut history: Vec<Event>, major: u32) -> Vec<Event> {
    let drop = |change: &mut Change| {
        let dropped: &[&str] = match (&*change.schema, &*change.table) {
            // Until 11 the number of a row is a column without one, which the protocol does not know.
            ("identities", "with_oids" | "entire_with_oids" | "by_oid") if major <= 11 => &["oid"],
            // Before 18 generated columns are left to the subscriber.
            ("tables", "generated" | "generated_entire") if major < 18 => &["twice", "quoted"],
            _ => return,
        };
        for name in dropped {
            change.new.as_mut().and_then(|new| new.remove(*name));
            change.old.as_mut().and_then(|old| old.remove(*name));
        }
    };
    for event in &mut history {
        match event {
            Event::Transaction { changes, .. } => changes.iter_mut().for_each(drop),
            Event::Message { message, .. } => drop(message),
        }
    }
    history
}
