//! The formatter `csv`: one line of comma-separated fields for each change, as pg2kinesis's formatter `CSV` made it.
//!
//! ```text
//! 0,CDC,739,public.pgbench_accounts,UPDATE,655340
//! 0,CDC,740,public.seats,DELETE,12,A
//! 0,CDC,741,public.seats,TRUNCATE,
//! ```
//!
//! The fields:
//!
//! 1. the format's version, `0`
//! 2. its type, `CDC`
//! 3. the transaction's number, empty where it is not known
//! 4. schema and table, without SQL's quotes
//! 5. `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`
//! 6. and on: one field for each column of the primary key, in the key's order, as PostgreSQL prints the value; one empty field for
//!    a truncate, and for a table without a key
//!
//! Fields with a comma, a quote or a line break are quoted as RFC 4180 says, so a record may have line breaks inside of quotes; none
//! is at its end. An update that changes the primary key is two records, a `DELETE` of the old key and an `INSERT` of the new.
//! Messages have no record.

mod format;

use pg2k_abi::{Change, Error, Formatter, Options, Records, export_formatter};

struct Csv;

impl Formatter for Csv {
    fn new(options: Options<'_>) -> Result<Self, Error> {
        options.expect_only(&[]).map(|()| Self)
    }

    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
        format::format(change, records)
    }
}

export_formatter!(Csv);
