//! The smallest useful formatter: one line of text for each change, its position first.
//!
//! ```text
//! 0/16B3748/0 INSERT public.users id=1
//! ```

use std::fmt::Write;

use pg2k_abi::{Change, Error, Formatter, Options, Records, Value, export_formatter};

struct Minimal;

impl Formatter for Minimal {
    fn new(_options: Options<'_>) -> Result<Self, Error> {
        Ok(Minimal)
    }

    fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
        let mut record = records.record();
        write!(record, "{} {} {}.{}", change.position(), change.operation(), change.schema(), change.table())?;
        for column in change.key() {
            if let Value::Text(text) = column.value() {
                write!(record, " {}={}", column.name(), text)?;
            }
        }
        record.finish();
        Ok(())
    }
}

export_formatter!(Minimal);
