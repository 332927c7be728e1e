//! What the server must be like before anything is read, and what the rest needs to know of it.
//!
//! A connection comes in and a [`Server`] leaves. Whatever `Server` exists can be read by logical decoding, by this
//! role.

use std::time::Duration;

use tokio_postgres::{Client, Row};

use super::failure::QueryError;
use crate::decode::{Encoding, UnknownEncoding};

/// The oldest server that this was tried with, as `server_version_num` counts: 10.
const OLDEST_VERSION: i32 = 10_00_00;

/// A server that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// `server_version_num`: 150018 is 15.18.
    pub(crate) version: i32,
    /// The encoding of the payloads.
    pub(crate) encoding: Encoding,
    /// How long we may be silent before the server gives us up; `None` where it never does.
    pub(crate) wal_sender_timeout: Option<Duration>,
    /// Whether it is a standby, which logical decoding can read from PostgreSQL 16 on.
    pub(crate) standby: bool,
    /// The database that we are connected to.
    pub(crate) database: String,
}

/// A server that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreflightError {
    #[error("server version: expected PostgreSQL 10 or later, found {found}")]
    Version { found: String },
    #[error(
        "server setting wal_level: expected logical, found {found}; set wal_level = logical (on RDS and Aurora the parameter rds.logical_replication = 1) and restart the server"
    )]
    WalLevel { found: String },
    #[error(
        "role {role:?}: expected the REPLICATION attribute, found it without; as a superuser run: ALTER ROLE {quoted} REPLICATION (on RDS and Aurora: GRANT rds_replication TO {quoted})"
    )]
    Role { role: String, quoted: String },
    #[error("server_encoding of database {database:?}")]
    Encoding { database: String, source: UnknownEncoding },
    #[error("server settings")]
    Query(#[from] QueryError),
}

/// Looks at the server.
///
/// # Errors
///
/// Fails where a setting or the role's rights rule logical decoding out; the message says how to change that.
pub(crate) async fn preflight(client: &Client) -> Result<Server, PreflightError> {
    // rds_superuser is a member of rds_replication. In pg_settings wal_sender_timeout is a number, of milliseconds.
    const LOOK: &str = "SELECT current_setting('server_version_num')::int4 AS version_num, \
            current_setting('server_version') AS version, current_setting('wal_level') AS wal_level, \
            current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby, \
            (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_sender_timeout') AS wal_sender_timeout, \
            current_database()::text AS database, current_user::text AS role, quote_ident(current_user) AS quoted, \
            EXISTS (SELECT 1 FROM pg_roles WHERE (rolname = current_user AND (rolreplication OR rolsuper)) \
                OR (rolname = 'rds_replication' AND pg_has_role(oid, 'member'))) AS may";
    let failed = QueryError::doing("looking at the server's settings");
    let row = client.query_one(LOOK, &[]).await.map_err(&failed)?;
    let found = Found::read(&row).map_err(&failed)?;
    judge(found)
}

struct Found {
    version_num: i32,
    version: String,
    wal_level: String,
    encoding: String,
    standby: bool,
    wal_sender_timeout: i64,
    database: String,
    role: String,
    quoted: String,
    may: bool,
}

impl Found {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            version_num: row.try_get("version_num")?,
            version: row.try_get("version")?,
            wal_level: row.try_get("wal_level")?,
            encoding: row.try_get("encoding")?,
            standby: row.try_get("standby")?,
            wal_sender_timeout: row.try_get("wal_sender_timeout")?,
            database: row.try_get("database")?,
            role: row.try_get("role")?,
            quoted: row.try_get("quoted")?,
            may: row.try_get("may")?,
        })
    }
}

fn judge(found: Found) -> Result<Server, PreflightError> {
    if found.version_num < OLDEST_VERSION {
        return Err(PreflightError::Version { found: found.version });
    }
    if found.wal_level != "logical" {
        return Err(PreflightError::WalLevel { found: found.wal_level });
    }
    if !found.may {
        return Err(PreflightError::Role { role: found.role, quoted: found.quoted });
    }
    let encoding = match found.encoding.parse() {
        Ok(encoding) => encoding,
        Err(source) => return Err(PreflightError::Encoding { database: found.database, source }),
    };
    Ok(Server {
        version: found.version_num,
        encoding,
        wal_sender_timeout: u64::try_from(found.wal_sender_timeout)
            .ok()
            .filter(|milliseconds| *milliseconds > 0)
            .map(Duration::from_millis),
        standby: found.standby,
        database: found.database,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Encoding, Found, Server, judge};

    fn found() -> Found {
        Found {
            version_num: 150_018,
            version: "15.18".to_owned(),
            wal_level: "logical".to_owned(),
            encoding: "UTF8".to_owned(),
            standby: false,
            wal_sender_timeout: 60_000,
            database: "shop".to_owned(),
            role: "Ann".to_owned(),
            quoted: "\"Ann\"".to_owned(),
            may: true,
        }
    }

    #[test]
    fn a_server_that_can_be_read() {
        let server = Server {
            version: 150_018,
            encoding: Encoding::Utf8,
            wal_sender_timeout: Some(Duration::from_secs(60)),
            standby: false,
            database: "shop".to_owned(),
        };
        assert_eq!(judge(found()).unwrap(), server);
        let never = judge(Found { wal_sender_timeout: 0, encoding: "SQL_ASCII".to_owned(), ..found() }).unwrap();
        assert_eq!(never, Server { wal_sender_timeout: None, encoding: Encoding::SqlAscii, ..server });
    }

    #[test]
    fn what_rules_it_out_says_what_to_do() {
        let error = |found| judge(found).unwrap_err().to_string();
        assert_eq!(
            error(Found { version_num: 90_624, version: "9.6.24".to_owned(), ..found() }),
            "server version: expected PostgreSQL 10 or later, found 9.6.24"
        );
        let wal_level = error(Found { wal_level: "replica".to_owned(), ..found() });
        assert!(wal_level.contains("found replica; set wal_level = logical"), "{wal_level}");
        assert!(wal_level.contains("rds.logical_replication = 1"), "{wal_level}");
        let role = error(Found { may: false, ..found() });
        assert!(role.contains("ALTER ROLE \"Ann\" REPLICATION"), "{role}");
        assert!(role.contains("GRANT rds_replication TO \"Ann\""), "{role}");
        let encoding = error(Found { encoding: "EUC_TW".to_owned(), ..found() });
        assert!(encoding.contains("\"shop\""), "{encoding}");
        let source = judge(Found { encoding: "EUC_TW".to_owned(), ..found() }).unwrap_err();
        let source = std::error::Error::source(&source).map(ToString::to_string).unwrap_or_default();
        assert!(source.contains("expected one of UTF8") && source.contains("found \"EUC_TW\""), "{source}");
    }
}
