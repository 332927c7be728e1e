//! The formatter `json`: the row in full, one JSON object for each change, on one line.
//!
//! ```text
//! {"lsn":"0/16B3748","index":0,"xid":739,"committed_at":"2026-11-21T08:43:23.012345Z","op":"UPDATE","schema":"public","table":"t","key":{"id":7},"new":{"id":7,"done":true},"unchanged":["body"]}
//! {"lsn":"0/16B3810","index":0,"xid":740,"committed_at":"2026-11-21T08:43:24.000000Z","op":"DELETE","schema":"public","table":"t","key":{"id":7},"old":{"id":7}}
//! {"lsn":"0/16B3990","index":0,"xid":741,"committed_at":"2026-11-21T08:43:25.000000Z","op":"TRUNCATE","schema":"public","table":"t","truncate":{"cascade":false,"restart_identity":false}}
//! {"lsn":"0/16B39F8","index":0,"xid":742,"committed_at":"2026-11-21T08:43:26.000000Z","op":"MESSAGE","prefix":"audit","transactional":true,"content":"hello"}
//! ```
//!
//! Members come in this order, and what does not apply is left out:
//!
//! | member | what | left out |
//! |---|---|---|
//! | `lsn` | the end LSN of the transaction, as PostgreSQL prints it | never |
//! | `index` | how many changes of the transaction come before this one, published or not | never |
//! | `xid` | the transaction's number | where the change has none |
//! | `committed_at` | when it was committed, RFC 3339 in UTC | where the change has none |
//! | `op` | `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE` or `MESSAGE` | never |
//! | `schema`, `table` | the table; of a partitioned one, the partition | for messages |
//! | `truncate` | `cascade` and `restart_identity`, two booleans | but for truncates |
//! | `key` | the primary key after the change, before a delete, in the key's order | where there is none |
//! | `new` | the row after the change, in the table's order | but for inserts and updates |
//! | `old` | what the replica identity tells of the row before the change; by default the key, for a delete and for an update that changed it. PostgreSQL leaves out columns that were null | where it tells nothing |
//! | `unchanged` | the names of large columns that the update did not touch and PostgreSQL did not send; they are not in `new` | where there are none |
//! | `prefix`, `transactional`, `content` | of a message; `content_base64` in place of `content` where it is not UTF-8 | but for messages |
//!
//! An update that changes the key is one record, with the new key in `key` and the old one in `old`. `lsn` and `index`
//! together are the change's position: a consumer that drops what is not above the highest that it has seen, `lsn` compared as
//! a number, has each change exactly once.
//!
//! The option `values` says how a column's value is written:
//!
//! - `typed`, the default: null as `null`; `boolean`, `smallint`, `integer`, `bigint`, `real` and `double precision` as JSON's
//!   literals, with PostgreSQL's digits (`NaN` and the infinities, which JSON lacks, as strings); `json` and `jsonb` as JSON,
//!   as PostgreSQL prints it, without the whitespace between tokens (a string, where `--invalid-text` has made it something
//!   else); everything else as a string of the text that PostgreSQL
//!   prints: `numeric` too, whose digits a JSON parser would lose, and arrays, domains, composites. `bigint` is beyond what
//!   JavaScript's numbers hold exactly. The `null` of `json` looks like SQL's.
//! - `text`: null as `null`, everything else as a string of the text that PostgreSQL prints.
//!
//! Strings are UTF-8; only quotes, backslashes and control characters are escaped. Inside of `json` values stands what was
//! stored, escapes as `\u0000` and lone surrogates included, which PostgreSQL allows and some parsers do not.

mod format;
mod literal;

use pg2k_abi::{Change, Error, Formatter, Options, Records, export_formatter};

use format::{PrintedTime, Values};

struct Json {
    values: Values,
    time: PrintedTime,
}

impl Formatter for Json {
    fn new(options: Options<'_>) -> Result<Self, Error> {
        options.expect_only(&["values"])?;
        Ok(Self { values: Values::of_option(options.get("values"))?, time: PrintedTime::default() })
    }

    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
        format::format(change, self.values, &mut self.time, records)
    }
}

export_formatter!(Json);
