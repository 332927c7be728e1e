//! Random changes, and how test_decoding prints them.

use std::fmt::Write as _;

use fastrand::Rng;

/// A payload, and what it says.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) payload: String,
    /// As [`print::describe`](super::print::describe) describes the event, of a row without its layout.
    pub(super) said: String,
    /// Where the payload can be cut and still be one, of a change of a row: behind a column, inside a bare number, between two
    /// quotes that stand for one.
    pub(super) cuts: Vec<usize>,
}

pub(super) fn pick<'a, T: ?Sized>(random: &mut Rng, among: &[&'a T]) -> &'a T {
    among[random.usize(..among.len())]
}

/// A text of pieces that mean something elsewhere in a payload.
pub(super) fn text(random: &mut Rng) -> String {
    const PIECES: [&str; 26] = [
        "a",
        "z9",
        "_",
        "'",
        "''",
        "\"",
        "\\",
        "[",
        "]",
        ":",
        " ",
        ", ",
        ".",
        "\n",
        "é",
        "€",
        "😀",
        "A",
        "null",
        " new-tuple:",
        ": TRUNCATE: (no-flags)",
        ", sz: 3 content:",
        " b[text]:'",
        "COMMIT 1",
        "E'",
        "0123456789012345678901234567890123456789",
    ];
    (0..random.usize(..6)).map(|_| pick(random, &PIECES)).collect()
}

/// A name of at least one character: of a small set, so that it comes again, or any.
fn name(random: &mut Rng) -> String {
    let text = if random.u8(..3) == 0 { text(random) } else { String::new() };
    if text.is_empty() {
        pick(random, &["a", "b", "id", "_c2", "select", "Ä", "x y", "q\"q"]).to_owned()
    } else {
        text
    }
}

/// As `quote_identifier()` prints it; some names are keywords.
fn identifier(name: &str) -> String {
    let is_bare =
        |(number, letter): (usize, char)| matches!(letter, 'a'..='z' | '_') || number > 0 && letter.is_ascii_digit();
    if name != "select" && name.chars().enumerate().all(is_bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A type, a value as it is printed, and the value itself.
struct Printed {
    type_name: String,
    value: String,
    said: String,
    /// Where in the printed value it can be cut, and still be one.
    cuts: Vec<usize>,
}

fn printed(random: &mut Rng) -> Printed {
    const NUMBERS: [(&str, &str, &str); 7] = [
        ("smallint", "-12", r"^-?(0|[1-9]\d*)$"),
        ("integer", "1002003", r"^-?(0|[1-9]\d*)$"),
        ("bigint", "9223372036854775807", r"^-?(0|[1-9]\d*)$"),
        ("oid", "4294967295", r"^(0|[1-9]\d*)$"),
        ("numeric", "-120.0305", r"^-?(0|[1-9]\d*)(\.\d+)?$"),
        ("real", "-1.50e-07", r"^-?(0|[1-9]\d*)(\.\d+)?(e[-+]\d{2,3})?$"),
        ("double precision", "1.7976931348623157e+308", r"^-?(0|[1-9]\d*)(\.\d+)?(e[-+]\d{2,3})?$"),
    ];
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let said = |value: &str| format!("Text({value:?})");
    let bare = |type_name: &str, value: &str| Printed {
        type_name: type_name.to_owned(),
        value: value.to_owned(),
        said: said(value),
        cuts: Vec::new(),
    };
    match random.u8(..8) {
        0 => Printed { said: "Null".to_owned(), ..bare(pick(random, &["integer", "text", "boolean", "bit"]), "null") },
        1 => Printed {
            said: "Unchanged".to_owned(),
            ..bare(pick(random, &["text", "numeric", "bit", "s.\"T]\"[]"]), "unchanged-toast-datum")
        },
        2 => bare("boolean", pick(random, &["true", "false"])),
        3 => bare(pick(random, &["real", "numeric"]), pick(random, &["NaN", "Infinity", "-Infinity", "0"])),
        4 => {
            let bits = pick(random, &["", "0", "0101"]);
            let type_name = pick(random, &["bit", "bit varying"]);
            Printed { value: format!("B'{bits}'"), said: said(bits), ..bare(type_name, "") }
        }
        5 => {
            let (type_name, value, form) = NUMBERS[random.usize(..NUMBERS.len())];
            let form = regex::Regex::new(form).expect("a pattern");
            let cuts = (1..value.len()).filter(|end| form.is_match(&value[..*end])).collect();
            Printed { cuts, ..bare(type_name, value) }
        }
        _ => {
            let value = text(random);
            let name = identifier(&name(random));
            let type_name = match random.u8(..5) {
                0 => name,
                1 => format!("public.{name}"),
                2 => format!("public.{name}[]"),
                3 => "timestamp without time zone".to_owned(),
                _ => "text".to_owned(),
            };
            let printed = quoted(&value);
            let mut cuts = Vec::new();
            let mut place = 1;
            for letter in value.chars() {
                if letter == '\'' {
                    cuts.push(place + 1);
                }
                place += if letter == '\'' { 2 } else { letter.len_utf8() };
            }
            Printed { type_name, said: said(&value), value: printed, cuts }
        }
    }
}

impl Sample {
    /// Appends columns; returns what they say.
    fn columns(&mut self, random: &mut Rng, count: usize) -> String {
        self.cuts = vec![self.payload.len()];
        let columns = (0..count).map(|_| {
            let name = name(random);
            let printed = printed(random);
            let _infallible = write!(self.payload, " {}[{}]:", identifier(&name), printed.type_name);
            self.cuts.extend(printed.cuts.iter().map(|cut| self.payload.len() + cut));
            self.payload.push_str(&printed.value);
            self.cuts.push(self.payload.len());
            format!("({name:?}, {:?}, {})", printed.type_name, printed.said)
        });
        let columns = columns.collect::<Vec<_>>();
        format!("{columns:?}")
    }

    /// A change of a row of a few relations.
    pub(super) fn row(random: &mut Rng) -> Self {
        let (schema, table) = (name(random), name(random));
        let operation = pick(random, &["INSERT", "UPDATE", "DELETE"]);
        let mut sample = Self::default();
        let qualified = format!("{}.{}", identifier(&schema), identifier(&table));
        sample.payload = format!("table {qualified}: {operation}:");
        let relation = format!("Relation {{ qualified: {qualified:?}, schema: {schema:?}, table: {table:?} }}");
        let mut old = "None".to_owned();
        let mut new = "[]".to_owned();
        let count = random.usize(..5);
        // Cut off here, an update is one of a row without columns.
        let bare = sample.payload.len();
        if operation == "UPDATE" && random.bool() {
            sample.payload.push_str(" old-key:");
            let count = random.usize(..3);
            old = format!("Some({})", sample.columns(random, count));
            sample.payload.push_str(" new-tuple:");
        }
        if random.u8(..8) == 0 {
            // What comes before it is a row without columns.
            sample.cuts = vec![sample.payload.len()];
            sample.payload.push_str(" (no-tuple-data)");
        } else if operation == "DELETE" {
            old = format!("Some({})", sample.columns(random, count));
        } else {
            new = sample.columns(random, count);
        }
        if operation != "DELETE" && sample.payload[bare..].starts_with(" old-key:") {
            sample.cuts.insert(0, bare);
        }
        sample.cuts.retain(|cut| *cut < sample.payload.len());
        sample.said = format!("{relation} {operation} {old} {new}");
        sample
    }

    /// Any payload that is no change of a row.
    pub(super) fn other(random: &mut Rng) -> Self {
        let xid = random.u32(..);
        let at = "2026-11-21 08:43:23.012345+00";
        let quoted = |text: &str| {
            let escaped = text.replace('\'', "''").replace('\\', r"\\");
            format!("{}'{escaped}'", if text.contains('\\') { "E" } else { "" })
        };
        let payload = match random.u8(..9) {
            0 => format!("BEGIN {xid}"),
            1 => format!("COMMIT {xid} (at {at})"),
            2 => format!("COMMIT (at {at})"),
            3 => format!("PREPARE TRANSACTION {}, txid {xid} (at {at})", quoted(&text(random))),
            4 => format!("COMMIT PREPARED {}, txid {xid}", quoted(&text(random))),
            5 => format!("ROLLBACK PREPARED {} (at {at})", quoted(&text(random))),
            6 => {
                let (prefix, content) = (text(random), text(random));
                let transactional = random.u8(..2);
                let length = content.len();
                format!("message: transactional: {transactional} prefix: {prefix}, sz: {length} content:{content}")
            }
            _ => {
                let mut name = || format!("{}.{}", identifier(&name(random)), identifier(&name(random)));
                let names = [name(), name(), name()].join(", ");
                let flags = pick(random, &["(no-flags)", "restart_seqs", "restart_seqs cascade", "cascade"]);
                format!("table {names}: TRUNCATE: {flags}")
            }
        };
        Self { said: payload.clone(), payload, cuts: Vec::new() }
    }
}
