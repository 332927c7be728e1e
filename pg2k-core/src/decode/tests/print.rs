//! Prints events as test_decoding does, to hold what was decoded against the payload it was decoded from.

use std::fmt::Write as _;

use pg2k_abi::{Column, Operation, Timestamp, Value};

use crate::decode::{Event, RowChange};

/// What an event cannot tell of the payload it came from, read off that payload: nothing but whether a name is in quotes that it
/// does not need, as keywords are.
struct Printer<'a> {
    original: &'a [u8],
    printed: Vec<u8>,
}

/// Prints an event. Names are put into quotes where they must be, or where the original has quotes in the same place.
pub(super) fn print(event: &Event<'_>, original: &[u8]) -> Vec<u8> {
    let mut printer = Printer { original, printed: Vec::new() };
    printer.event(event);
    printer.printed
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.printed.extend_from_slice(text.as_bytes());
    }

    fn quoted(&mut self, quote: &str, text: &str) {
        self.text(quote);
        self.text(&text.replace(quote, &quote.repeat(2)));
        self.text(quote);
    }

    fn identifier(&mut self, name: &str) {
        let is_bare = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && name.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_');
        if is_bare && self.original.get(self.printed.len()) != Some(&b'"') {
            self.text(name);
        } else {
            self.quoted("\"", name);
        }
    }

    fn qualified(&mut self, schema: &str, table: &str) {
        self.identifier(schema);
        self.text(".");
        self.identifier(table);
    }

    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin { xid } => self.numbered("BEGIN", " ", *xid, None),
            Event::Commit { xid, at } => self.numbered("COMMIT", " ", *xid, *at),
            Event::Prepare { gid, xid, at } => self.two_phase("PREPARE TRANSACTION ", gid, *xid, *at),
            Event::CommitPrepared { gid, xid, at } => self.two_phase("COMMIT PREPARED ", gid, *xid, *at),
            Event::RollbackPrepared { gid, xid, at } => self.two_phase("ROLLBACK PREPARED ", gid, *xid, *at),
            Event::Row(row) => self.row(row),
            Event::Truncate(truncate) => {
                for (number, relation) in truncate.relations().enumerate() {
                    self.text(if number == 0 { "table " } else { ", " });
                    self.qualified(relation.schema, relation.table);
                }
                self.text(match (truncate.restarts_identity, truncate.cascades) {
                    (false, false) => ": TRUNCATE: (no-flags)",
                    (true, false) => ": TRUNCATE: restart_seqs",
                    (true, true) => ": TRUNCATE: restart_seqs cascade",
                    (false, true) => ": TRUNCATE: cascade",
                });
            }
            Event::Message(message) => {
                let transactional = u8::from(message.transactional);
                let (prefix, length) = (message.prefix, message.content.len());
                self.text(&format!("message: transactional: {transactional} prefix: {prefix}, sz: {length} content:"));
                self.printed.extend_from_slice(message.content);
            }
        }
    }

    fn two_phase(&mut self, words: &str, gid: &str, xid: Option<u32>, at: Option<Timestamp>) {
        self.text(words);
        if gid.contains('\\') {
            self.text("E");
        }
        self.quoted("'", &gid.replace('\\', r"\\"));
        self.numbered("", ", txid ", xid, at);
    }

    fn numbered(&mut self, words: &str, before: &str, xid: Option<u32>, at: Option<Timestamp>) {
        self.text(words);
        if let Some(xid) = xid {
            self.text(&format!("{before}{xid}"));
        }
        if let Some(at) = at {
            let at = at.to_string().replace('T', " ");
            let at = at.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
            self.text(&format!(" (at {at}+00)"));
        }
    }

    fn row(&mut self, row: &RowChange<'_>) {
        self.text("table ");
        self.qualified(row.relation.schema, row.relation.table);
        self.text(": ");
        self.text(row.operation.as_str());
        self.text(":");
        if row.operation == Operation::Delete {
            assert!(row.layout.is_none() && row.new.columns().len() == 0);
            match &row.old {
                Some(old) => self.columns(old.columns()),
                None => self.text(" (no-tuple-data)"),
            }
            return;
        }
        if let Some(old) = &row.old {
            self.text(" old-key:");
            self.columns(old.columns());
            self.text(" new-tuple:");
        }
        match row.layout {
            Some(_) => self.columns(row.new.columns()),
            None => self.text(" (no-tuple-data)"),
        }
    }

    fn columns<'a>(&mut self, columns: impl Iterator<Item = Column<'a>>) {
        for column in columns {
            self.text(" ");
            self.identifier(column.name());
            self.text(&format!("[{}]:", column.type_name()));
            self.value(column.type_name(), column.value());
        }
    }

    fn value(&mut self, type_name: &str, value: Value<'_>) {
        let Value::Text(text) = value else {
            self.text(if value == Value::Null { "null" } else { "unchanged-toast-datum" });
            return;
        };
        match type_name {
            "smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric" | "boolean" => self.text(text),
            "bit" | "bit varying" => self.text(&format!("B'{text}'")),
            // Its values may be in quotes as well; the original tells.
            "oid" | "\"oid\"" | "pg_catalog.oid" | "pg_catalog.\"oid\"" | "\"pg_catalog\".\"oid\""
                if self.original.get(self.printed.len()) != Some(&b'\'') =>
            {
                self.text(text);
            }
            _ => self.quoted("'", text),
        }
    }
}

/// An event as text, by which two can be compared: all that it tells, and nothing of how it is kept.
pub(super) fn describe(event: &Event<'_>) -> String {
    let Event::Row(row) = event else {
        let mut text = String::from_utf8_lossy(&print(event, b"")).into_owned();
        if let Event::Truncate(truncate) = event {
            let names = truncate.relations().map(|relation| relation.qualified).collect::<Vec<_>>();
            let _infallible = write!(text, " {names:?}");
        }
        return text;
    };
    let columns = |columns: &mut dyn Iterator<Item = Column<'_>>| {
        columns.map(|c| format!("{:?}", (c.name(), c.type_name(), c.value()))).collect::<Vec<_>>()
    };
    let old = row.old.map(|old| columns(&mut old.columns()));
    format!("{:?} {} {:?} {old:?} {:?}", row.relation, row.operation, row.layout, columns(&mut row.new.columns()))
}
