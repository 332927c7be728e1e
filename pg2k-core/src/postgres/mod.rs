//! Everything that talks to PostgreSQL.
//!
//! Data comes from one replication slot, over a replication connection or over SQL, and what goes back is the LSN up to which
//! the slot may forget. Only the slot's owner writes to the server, and nothing here writes to a table.

pub(crate) mod authentication;
pub(crate) mod channel;
pub(crate) mod connect;
pub(crate) mod copy_both;
pub(crate) mod failure;
pub(crate) mod keys;
pub(crate) mod password;
pub(crate) mod preflight;
pub(crate) mod replication;
pub(crate) mod settings;
pub(crate) mod slot;
pub(crate) mod sql;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod wire;
