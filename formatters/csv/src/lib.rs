//! The formatter `csv`: one line of comma-separated fields for each change, as pg2kinesis's formatter `CSV` made it.
//!
//! ```text
//! 0,CDC,739,public.pgbench_accounts,UPDATE,655340
//! ```
//!
//! The fields are: the format's version, its type, the number of the transaction, the table, the operation, and one field
//! for each column of the primary key.

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
