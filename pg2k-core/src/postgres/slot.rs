//! The replication slot: looking at it, making it, dropping it, over SQL.
//!
//! What the user wants comes in, and the state of a slot that can be read leaves. A slot that has lost WAL is never
//! replaced silently: what it lost is lost, and the user must know.

use std::fmt;
use std::str::FromStr;

use pg2k_abi::Lsn;
use tokio_postgres::{Client, Row};

use super::failure::QueryError;

/// The output plugin that every slot of ours uses.
pub(crate) const OUTPUT_PLUGIN: &str = "test_decoding";

/// The most bytes of a slot's name: PostgreSQL's NAMEDATALEN, 64, with its NUL.
const MAX_NAME: usize = 63;

/// The name of a slot: 1 to 63 lower-case letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotName(String);

/// Text that cannot name a slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot name {found:?}: expected 1 to {MAX_NAME} of a to z, 0 to 9 and _")]
pub(crate) struct SlotNameError {
    found: String,
}

impl SlotName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SlotName {
    type Err = SlotNameError;

    fn from_str(text: &str) -> Result<Self, SlotNameError> {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlotNameError { found: text.to_owned() })
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What to do about the slot before reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotAction {
    /// It must be there.
    UseExisting,
    /// Make it, if it is not there.
    Create,
    /// Drop it, if it is there, and make it. Changes that it still held are not published.
    Recreate,
}

/// A slot, as `pg_replication_slots` shows it
/// (<https://www.postgresql.org/docs/current/view-pg-replication-slots.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotState {
    /// The output plugin; a physical slot has none.
    pub(crate) plugin: Option<String>,
    /// `logical` or `physical`.
    pub(crate) slot_type: String,
    /// The database it belongs to; a physical slot has none.
    pub(crate) database: Option<String>,
    /// Whether that is the database we are connected to.
    pub(crate) database_is_ours: bool,
    /// The server process that reads it now.
    pub(crate) active_pid: Option<i32>,
    /// Everything before this is confirmed.
    pub(crate) confirmed_flush: Option<Lsn>,
    /// WAL from here on is kept.
    pub(crate) restart_lsn: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`; from PostgreSQL 13 on.
    pub(crate) wal_status: Option<String>,
    /// Why it is lost; from PostgreSQL 17 on.
    pub(crate) invalidation_reason: Option<String>,
    /// Bytes of WAL that may be written before it is lost, where `max_slot_wal_keep_size` limits it; from PostgreSQL
    /// 13 on.
    pub(crate) safe_wal_size: Option<i64>,
    /// Whether prepared transactions are decoded at PREPARE TRANSACTION; from PostgreSQL 14 on.
    pub(crate) two_phase: bool,
}

/// A slot that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    #[error(
        "slot {name}: expected to exist, found none; start pg2k with --create-slot, or run: SELECT pg_create_logical_replication_slot('{name}', 'test_decoding')"
    )]
    Missing { name: SlotName },
    #[error("slot {name}: expected a logical slot, found a {found} one, which is not ours; choose another name")]
    NotLogical { name: SlotName, found: String },
    #[error(
        "slot {name}: expected a slot of the database we are connected to, found one of {found:?}; connect there, or choose another name"
    )]
    OtherDatabase { name: SlotName, found: String },
    #[error(
        "slot {name}: expected output plugin test_decoding, found {found:?}; choose another name, or start pg2k with --recreate-slot to drop it and what it holds"
    )]
    OtherPlugin { name: SlotName, found: String },
    #[error(
        "slot {name}: the server has removed WAL that it needs ({reason}), so changes are lost; start pg2k with --recreate-slot to begin anew from now, and copy the tables if consumers need all rows"
    )]
    Lost { name: SlotName, reason: String },
    #[error(
        "slot {name}: expected to be free, found it active for server process {pid}; stop what reads it, or SELECT pg_terminate_backend({pid})"
    )]
    Active { name: SlotName, pid: i32 },
    #[error(
        "slot {name}: expected one without two_phase, found one that shows transactions when they are prepared; choose another \
         name, or start pg2k with --recreate-slot to drop it and what it holds"
    )]
    TwoPhase { name: SlotName },
    #[error("slot {name}: expected to be free, found it active for another process")]
    Busy { name: SlotName, source: QueryError },
    #[error(
        "slot {name}: expected a free place for it, found none; drop a slot that is not needed, or raise max_replication_slots and restart the server"
    )]
    NoFreeSlot { name: SlotName, source: QueryError },
    #[error("slot {name}")]
    Query { name: SlotName, source: QueryError },
}

impl SlotError {
    fn query(name: &SlotName) -> impl Fn(QueryError) -> Self {
        move |source| {
            let name = name.clone();
            match source.code() {
                Some("55006") => Self::Busy { name, source },
                Some("53400") => Self::NoFreeSlot { name, source },
                _ => Self::Query { name, source },
            }
        }
    }
}

/// Sees to it that the slot is there, as the user wants it, and can be read.
///
/// # Errors
///
/// Fails where it is missing, somebody else's, lost, or (to be dropped) active. A slot that is to be used may be
/// active: the other reader may be about to go, and reading finds that out.
pub(crate) async fn ensure(client: &Client, name: &SlotName, action: SlotAction) -> Result<SlotState, SlotError> {
    let found = inspect(client, name).await?;
    match (found, action) {
        (Some(state), SlotAction::UseExisting | SlotAction::Create) => {
            ours(name, &state)?;
            usable(name, state)
        }
        (None, SlotAction::UseExisting) => Err(SlotError::Missing { name: name.clone() }),
        (None, SlotAction::Create | SlotAction::Recreate) => create(client, name).await,
        (Some(state), SlotAction::Recreate) => {
            ours(name, &state)?;
            if let Some(pid) = state.active_pid {
                return Err(SlotError::Active { name: name.clone(), pid });
            }
            remove(client, name).await?;
            create(client, name).await
        }
    }
}

/// Looks at a slot, if it is there.
///
/// # Errors
///
/// Fails where the query does.
pub(crate) async fn inspect(client: &Client, name: &SlotName) -> Result<Option<SlotState>, SlotError> {
    // Columns of newer versions come out of JSON, where a column that is not there is a NULL.
    const INSPECT: &str = "SELECT s.plugin::text, s.slot_type::text, s.database::text, \
            s.database IS NOT DISTINCT FROM current_database() AS ours, s.active_pid, \
            s.confirmed_flush_lsn::text, s.restart_lsn::text, j.j->>'wal_status' AS wal_status, \
            j.j->>'invalidation_reason' AS invalidation_reason, (j.j->>'two_phase')::bool AS two_phase, \
            (j.j->>'safe_wal_size')::int8 AS safe_wal_size \
        FROM pg_catalog.pg_replication_slots s, LATERAL (SELECT to_jsonb(s)) j(j) WHERE s.slot_name = $1";
    const DOING: &str = "looking at the slot";
    let failed = |error| SlotError::query(name)(error);
    let row = client.query_opt(INSPECT, &[&name.as_str()]).await.map_err(QueryError::doing(DOING)).map_err(failed)?;
    row.map(|row| state(&row, DOING).map_err(failed)).transpose()
}

fn state(row: &Row, doing: &'static str) -> Result<SlotState, QueryError> {
    let failed = QueryError::doing(doing);
    let lsn = |column: &'static str| match row.try_get::<_, Option<String>>(column).map_err(&failed)? {
        None => Ok(None),
        Some(found) => match found.parse() {
            Ok(lsn) => Ok(Some(lsn)),
            Err(_) => Err(QueryError::Value { doing, column, found }),
        },
    };
    Ok(SlotState {
        plugin: row.try_get("plugin").map_err(&failed)?,
        slot_type: row.try_get("slot_type").map_err(&failed)?,
        database: row.try_get("database").map_err(&failed)?,
        database_is_ours: row.try_get("ours").map_err(&failed)?,
        active_pid: row.try_get("active_pid").map_err(&failed)?,
        confirmed_flush: lsn("confirmed_flush_lsn")?,
        restart_lsn: lsn("restart_lsn")?,
        wal_status: row.try_get("wal_status").map_err(&failed)?,
        invalidation_reason: row.try_get("invalidation_reason").map_err(&failed)?,
        safe_wal_size: row.try_get("safe_wal_size").map_err(&failed)?,
        two_phase: row.try_get::<_, Option<bool>>("two_phase").map_err(&failed)?.unwrap_or_default(),
    })
}

/// Makes the slot. The server first waits for every transaction that is running to end.
///
/// # Errors
///
/// Fails where it is already there, the server has no place for it, or the role may not.
pub(crate) async fn create(client: &Client, name: &SlotName) -> Result<SlotState, SlotError> {
    // If we leave while the server waits, it shall notice and not make a slot that nobody reads; it can from PostgreSQL 14 on.
    const NOTICE: &str = "SELECT set_config(name, '1s', false) FROM pg_catalog.pg_settings \
        WHERE name = 'client_connection_check_interval'";
    client
        .execute(NOTICE, &[])
        .await
        .map_err(QueryError::doing("creating the slot"))
        .map_err(SlotError::query(name))?;
    tracing::info!(slot = %name, "creating the slot; the server waits for running transactions to end");
    client
        .execute("SELECT pg_catalog.pg_create_logical_replication_slot($1, $2)", &[&name.as_str(), &OUTPUT_PLUGIN])
        .await
        .map_err(QueryError::doing("creating the slot"))
        .map_err(SlotError::query(name))?;
    inspect(client, name).await?.ok_or_else(|| SlotError::Missing { name: name.clone() })
}

/// Drops the slot, and with it whatever it still held.
///
/// # Errors
///
/// Fails where it is not there, or active.
pub(crate) async fn remove(client: &Client, name: &SlotName) -> Result<(), SlotError> {
    client
        .execute("SELECT pg_catalog.pg_drop_replication_slot($1)", &[&name.as_str()])
        .await
        .map(|_| ())
        .map_err(QueryError::doing("dropping the slot"))
        .map_err(SlotError::query(name))
}

/// Refuses what is somebody else's, and so neither to be read nor to be dropped.
fn ours(name: &SlotName, state: &SlotState) -> Result<(), SlotError> {
    if state.slot_type != "logical" {
        return Err(SlotError::NotLogical { name: name.clone(), found: state.slot_type.clone() });
    }
    if !state.database_is_ours {
        let found = state.database.clone().unwrap_or_default();
        return Err(SlotError::OtherDatabase { name: name.clone(), found });
    }
    Ok(())
}

fn usable(name: &SlotName, state: SlotState) -> Result<SlotState, SlotError> {
    match state.plugin.as_deref() {
        Some(OUTPUT_PLUGIN) => {}
        other => {
            let found = other.unwrap_or_default().to_owned();
            return Err(SlotError::OtherPlugin { name: name.clone(), found });
        }
    }
    if state.two_phase {
        return Err(SlotError::TwoPhase { name: name.clone() });
    }
    let reason = match (&state.invalidation_reason, state.wal_status.as_deref()) {
        (Some(reason), _) => reason,
        (None, Some(status @ "lost")) => status,
        (None, _) => return Ok(state),
    };
    Err(SlotError::Lost { name: name.clone(), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use pg2k_abi::Lsn;

    use super::{SlotError, SlotName, SlotState, ours, usable};

    fn state() -> SlotState {
        SlotState {
            plugin: Some("test_decoding".to_owned()),
            slot_type: "logical".to_owned(),
            database: Some("shop".to_owned()),
            database_is_ours: true,
            active_pid: None,
            confirmed_flush: Some(Lsn::new(1)),
            restart_lsn: Some(Lsn::new(1)),
            wal_status: Some("reserved".to_owned()),
            invalidation_reason: None,
            safe_wal_size: None,
            two_phase: false,
        }
    }

    #[test]
    fn names() {
        let longest = "a".repeat(63);
        for name in ["pg2kinesis", "a", "_", "0_9", longest.as_str()] {
            assert_eq!(name.parse::<SlotName>().unwrap().to_string(), name);
        }
        for name in ["", "A", "a-b", "a b", "a\"", "é", &"a".repeat(64)] {
            let error = name.parse::<SlotName>().unwrap_err().to_string();
            assert_eq!(error, format!("slot name {name:?}: expected 1 to 63 of a to z, 0 to 9 and _"));
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_and_what_is_lost() {
        let name: SlotName = "s".parse().unwrap();
        assert!(ours(&name, &state()).is_ok());
        assert_eq!(usable(&name, state()).unwrap(), state());
        let physical = SlotState { slot_type: "physical".to_owned(), ..state() };
        assert!(matches!(ours(&name, &physical), Err(SlotError::NotLogical { .. })));
        let elsewhere = SlotState { database_is_ours: false, ..state() };
        assert!(matches!(ours(&name, &elsewhere), Err(SlotError::OtherDatabase { .. })));
        let plugin = SlotState { plugin: Some("pgoutput".to_owned()), ..state() };
        assert!(matches!(usable(&name, plugin), Err(SlotError::OtherPlugin { .. })));
        let lost = SlotState { wal_status: Some("lost".to_owned()), ..state() };
        assert!(usable(&name, lost).unwrap_err().to_string().contains("(lost)"));
        let idle = SlotState { invalidation_reason: Some("idle_timeout".to_owned()), ..state() };
        assert!(usable(&name, idle).unwrap_err().to_string().contains("(idle_timeout)"));
    }

    #[test]
    fn a_missing_slot_says_what_to_type() {
        let error = SlotError::Missing { name: "s".parse().unwrap() }.to_string();
        assert!(error.contains("--create-slot"));
        assert!(error.contains("SELECT pg_create_logical_replication_slot('s', 'test_decoding')"));
    }
}
