//! The formatter `csv-payload`: a comma-separated head and a JSON object for each change, as pg2kinesis's formatter
//! `CSVPayload` made it.
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
