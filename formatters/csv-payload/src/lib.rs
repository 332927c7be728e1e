//! The formatter `csv-payload`: a comma-separated head and a JSON object for each change, as pg2kinesis's formatter
//! `CSVPayload` made it.
//!
//! ```text
//! 0,CDC,{"xid": "739", "table": "public.pgbench_accounts", "operation": "UPDATE", "pkey": "655340"}
//! ```
//!
//! The object is what Python's `json.dumps` writes: a space behind commas and colons, ASCII alone. Where the primary key has
//! several columns, `pkey` is an array.

mod format;

use pg2k_abi::{Change, Error, Formatter, Options, Records, export_formatter};

struct CsvPayload;

impl Formatter for CsvPayload {
    fn new(options: Options<'_>) -> Result<Self, Error> {
        options.expect_only(&[]).map(|()| Self)
    }

    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
        format::format(change, records)
    }
}

export_formatter!(CsvPayload);
