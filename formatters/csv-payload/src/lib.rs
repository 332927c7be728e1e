//! The formatter `csv-payload`: a comma-separated head and a JSON object for each change, as pg2kinesis's formatter
//! `CSVPayload` made it.
//!
//! The head is the format's version and its type, `0,CDC`. The object is what Python's `json.dumps` writes: on one line, a space
//! behind commas and colons, ASCII alone.
//!
//! # Keys
//!
//! ```text
//! 0,CDC,{"xid": "739", "table": "public.pgbench_accounts", "operation": "UPDATE", "pkey": "655340"}
//! 0,CDC,{"xid": "740", "table": "public.seats", "operation": "DELETE", "pkey": ["12", "A"]}
//! 0,CDC,{"xid": "741", "table": "public.seats", "operation": "TRUNCATE", "pkey": ""}
//! ```
//!
//! - `xid`: the transaction's number as a string, empty where it is not known.
//! - `table`: schema and table, without SQL's quotes.
//! - `operation`: `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`. An update that changes the primary key is two records, a `DELETE` of
//!   the old key and an `INSERT` of the new.
//! - `pkey`: the primary key's value as PostgreSQL prints it, always a string; of several columns, an array in the key's order;
//!   an empty string for a truncate, and for a table without a key.
//!
//! Messages have no record.
//!
//! # Rows, with the option `full-change=true`
//!
//! ```text
//! 0,CDC,{"xid": 739, "change": {"kind": "insert", "schema": "public", "table": "t", "columnnames": ["id", "n"], "columntypes": ["integer", "numeric"], "columnvalues": [7, 1.50]}}
//! 0,CDC,{"xid": 740, "change": {"kind": "update", "schema": "public", "table": "t", "columnnames": ["id", "n"], "columntypes": ["integer", "numeric"], "columnvalues": [8, null], "oldkeys": {"keynames": ["id"], "keytypes": ["integer"], "keyvalues": [7]}}}
//! 0,CDC,{"xid": 741, "change": {"kind": "delete", "schema": "public", "table": "t", "oldkeys": {"keynames": ["id"], "keytypes": ["integer"], "keyvalues": [8]}}}
//! 0,CDC,{"xid": 742, "change": {"kind": "truncate", "schema": "public", "table": "t"}}
//! 0,CDC,{"xid": 743, "change": {"kind": "message", "transactional": true, "prefix": "audit", "content": "hello"}}
//! ```
//!
//! What pg2kinesis 0.7.0 wrote with `--full-change`: each change of wal2json's format 1 by itself, with the transaction's number.
//!
//! - `xid`: a number, `null` for a message outside of transactions.
//! - `columnnames`, `columntypes`, `columnvalues`: the row after the change, in the table's order. A large column that the update
//!   did not touch, and that PostgreSQL therefore did not send, is in none of the three.
//! - `oldkeys`: what the replica identity tells of the row before, without the columns that were null; where an update left it
//!   as it was, the primary key from the new row, in the table's order. Left out for an update without either. An update that
//!   changes the key is one record.
//! - Values: null is `null`; `boolean`, and numbers (`smallint`, `integer`, `bigint`, `oid`, `real`, `double precision`, `numeric`)
//!   are JSON's own, `NaN` and the infinities `null`; `bytea` is a string of hexadecimal digits, without `\x`; everything else, `json`
//!   too, is a string of the text that PostgreSQL prints.
//! - A message's `content` is `content_base64` where it is not UTF-8.
//!
//! It differs from pg2kinesis over wal2json in this:
//!
//! - Types are without their modifiers (`numeric`, not `numeric(10,2)`; `bpchar` is `character`), and those outside `pg_catalog` have
//!   their schema (`public.mood`).
//! - Numbers have PostgreSQL's digits: `1.50`, where Python read and wrote `1.5`.
//! - A truncate, which wal2json leaves out, has a record; so has a message, on which pg2kinesis ended.
//! - wal2json takes `oldkeys` of an unchanged row from the index that is the replica identity, even if the primary key is another;
//!   and it leaves out updates and deletes of tables that have no replica identity.

mod dumps;
mod format;
mod full_change;

use pg2k_abi::{Change, Error, Formatter, Options, Records, export_formatter};

struct CsvPayload {
    full_change: bool,
}

impl Formatter for CsvPayload {
    fn new(options: Options<'_>) -> Result<Self, Error> {
        options.expect_only(&["full-change"])?;
        match options.get("full-change") {
            None | Some("false") => Ok(Self { full_change: false }),
            Some("true") => Ok(Self { full_change: true }),
            Some(other) => Err(Error::new(format!("option full-change={other}: expected true or false"))),
        }
    }

    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
        if self.full_change { full_change::format(change, records) } else { format::format(change, records) }
    }
}

export_formatter!(CsvPayload);
