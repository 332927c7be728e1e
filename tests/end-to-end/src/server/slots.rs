//! Replication slots, and how far they are confirmed, as the server tells it over SQL.

use std::time::Duration;

use tokio_postgres::Client;

use super::Server;
use crate::lsn::Lsn;
use crate::wait;

impl Server {
    /// Makes a slot of `test_decoding` in the database `postgres`.
    pub async fn create_slot(&self, name: &str) {
        self.query_one(&format!("SELECT pg_create_logical_replication_slot('{name}', 'test_decoding')::text")).await;
    }

    /// Makes a slot that begins where another one stands.
    pub async fn copy_slot(&self, from: &str, to: &str) {
        self.query_one(&format!("SELECT pg_copy_logical_replication_slot('{from}', '{to}')::text")).await;
    }

    /// Gives the position up to which the slot may forget.
    pub async fn confirmed(&self, slot: &str) -> Lsn {
        confirmed(&self.client().await, slot).await
    }

    /// Waits until the slot is confirmed up to a position, or beyond.
    pub async fn wait_confirmed(&self, slot: &str, lsn: Lsn, within: Duration) {
        let client = self.client().await;
        wait::until(&format!("{lsn} confirmed to slot {slot}"), within, async || {
            (confirmed(&client, slot).await >= lsn).then_some(())
        })
        .await;
    }

    /// Waits until somebody reads the slot, and gives the number of the process in the server.
    pub async fn wait_active(&self, slot: &str, within: Duration) -> i32 {
        let client = self.client().await;
        let sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1";
        wait::until(&format!("a reader of slot {slot}"), within, async || {
            client.query_opt(sql, &[&slot]).await.expect("the slot's state")?.get(0)
        })
        .await
    }

    /// Gives the end of the WAL.
    pub async fn wal_end(&self) -> Lsn {
        self.query_one("SELECT pg_current_wal_insert_lsn()::text").await.parse().expect("an LSN")
    }
}

async fn confirmed(client: &Client, slot: &str) -> Lsn {
    let sql = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
    let row = client.query_one(sql, &[&slot]).await.expect("the slot's state");
    row.get::<_, String>(0).parse().expect("an LSN")
}
