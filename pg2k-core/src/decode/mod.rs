//! Turns one payload of test_decoding into one event.
//!
//! Payloads come from a [`transaction`](crate::transaction), events go to the [`pipeline`](crate::pipeline). Bytes in,
//! borrowed values out; a payload is understood whole or refused, with the offset where it stopped making sense.
//!
//! The text is what `contrib/test_decoding/test_decoding.c` of PostgreSQL prints, under the session settings in
//! [`postgres`](crate::postgres).

mod cursor;
mod tuple;

use pg2k_abi::{Operation, Timestamp};

use cursor::{Cursor, Part};
use tuple::ColumnParts;
pub(crate) use tuple::Tuple;

/// What one payload says.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A transaction begins.
    Begin {
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
    },
    /// The transaction that began last is complete.
    Commit {
        /// Its number; there unless the option `include-xids` is off.
        xid: Option<u32>,
        /// When it was committed; there if the option `include-timestamp` is on.
        at: Option<Timestamp>,
    },
    /// A row was inserted, updated or deleted.
    Row(RowChange<'a>),
    /// Tables were truncated.
    Truncate(Truncate<'a>),
    /// `pg_logical_emit_message` was called.
    Message(Message<'a>),
}

/// A table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relation<'a> {
    /// `schema.table` as the payload has it, in SQL's quotes where they are needed: a name for the table that needs no
    /// memory of its own.
    pub(crate) qualified: &'a str,
    /// The schema's name without quotes.
    pub(crate) schema: &'a str,
    /// The table's name without quotes.
    pub(crate) table: &'a str,
}

/// A row inserted, updated or deleted.
#[derive(Debug)]
pub(crate) struct RowChange<'a> {
    /// The table.
    pub(crate) relation: Relation<'a>,
    /// Insert, update or delete.
    pub(crate) operation: Operation,
    /// The row after the change; empty for a delete.
    pub(crate) new: Tuple<'a>,
    /// What the replica identity tells of the row before; columns that were null are not there.
    pub(crate) old: Tuple<'a>,
}

/// Tables truncated by one statement.
#[derive(Debug)]
pub(crate) struct Truncate<'a> {
    source: Source<'a>,
    relations: &'a [RelationParts],
    /// `RESTART IDENTITY`
    pub(crate) restarts_identity: bool,
    /// `CASCADE`
    pub(crate) cascades: bool,
}

impl<'a> Truncate<'a> {
    /// The tables, in the payload's order.
    pub(crate) fn relations(&self) -> impl Iterator<Item = Relation<'a>> + use<'a> {
        let source = self.source;
        self.relations.iter().map(move |parts| source.relation(parts))
    }
}

/// What `pg_logical_emit_message` was called with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Whether it belongs to the transaction around it, or stands by itself.
    pub(crate) transactional: bool,
    /// Its prefix, in the database's encoding.
    pub(crate) prefix: &'a [u8],
    /// Its content: any bytes.
    pub(crate) content: &'a [u8],
}

/// A payload that is not in test_decoding's language. It names no data of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the payload: expected {expected}, found {}", Found(*found))]
pub(crate) struct DecodeError {
    /// Bytes from the beginning of the payload.
    pub(crate) offset: usize,
    /// What the grammar asks for there.
    pub(crate) expected: &'static str,
    /// The byte that is there; `None` at the end of the payload.
    pub(crate) found: Option<u8>,
}

struct Found(Option<u8>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("its end"),
            Some(byte) => write!(f, "the byte 0x{byte:02x}"),
        }
    }
}

/// Bytes of unquoted text that are kept for the next payload.
const MAX_KEPT: usize = 1 << 20;

/// Memory that decoding one payload after another uses again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    new: Vec<ColumnParts>,
    old: Vec<ColumnParts>,
    relations: Vec<RelationParts>,
    /// Texts that differ from what the payload has: names and values without their doubled quotes.
    unquoted: String,
}

#[derive(Clone, Copy, Debug)]
struct RelationParts {
    /// Where the qualified name begins and ends in the payload.
    qualified: Part,
    schema: Part,
    table: Part,
}

/// The two texts that parts point into.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    payload: &'a str,
    unquoted: &'a str,
}

impl<'a> Source<'a> {
    /// The text of a part that this payload's decoding made.
    fn text(self, part: Part) -> &'a str {
        let text = if part.is_unquoted { self.unquoted } else { self.payload };
        // Parts begin and end beside ASCII bytes of the text they were made from.
        text.get(part.begin..part.end).unwrap_or_default()
    }

    fn relation(self, parts: &RelationParts) -> Relation<'a> {
        Relation {
            qualified: self.text(parts.qualified),
            schema: self.text(parts.schema),
            table: self.text(parts.table),
        }
    }
}

/// Turns one payload into one event.
///
/// # Errors
///
/// A payload that the grammar does not allow, or one that is no UTF-8.
pub(crate) fn decode<'a>(payload: &'a [u8], scratch: &'a mut Scratch) -> Result<Event<'a>, DecodeError> {
    match payload.first() {
        Some(b't') => change(payload, scratch),
        Some(b'B') => begin(Cursor::new(payload)),
        Some(b'C') => commit(Cursor::new(payload)),
        Some(b'm') => message(Cursor::new(payload)),
        _ => Err(Cursor::new(payload).unexpected("BEGIN, COMMIT, table or message")),
    }
}

fn begin<'a>(mut cursor: Cursor<'_>) -> Result<Event<'a>, DecodeError> {
    cursor.expect("BEGIN")?;
    let xid = if cursor.eat(" ") { Some(cursor.number()?) } else { None };
    cursor.expect_end()?;
    Ok(Event::Begin { xid })
}

fn commit<'a>(mut cursor: Cursor<'_>) -> Result<Event<'a>, DecodeError> {
    cursor.expect("COMMIT")?;
    let mut open = cursor.eat(" (at ");
    let xid = if !open && cursor.eat(" ") { Some(cursor.number()?) } else { None };
    open = open || cursor.eat(" (at ");
    let at = if open {
        let at = cursor.timestamp()?;
        cursor.expect(")")?;
        Some(at)
    } else {
        None
    };
    cursor.expect_end()?;
    Ok(Event::Commit { xid, at })
}

fn change<'a>(payload: &'a [u8], scratch: &'a mut Scratch) -> Result<Event<'a>, DecodeError> {
    let text = std::str::from_utf8(payload).map_err(|error| DecodeError {
        offset: error.valid_up_to(),
        expected: "UTF-8",
        found: payload.get(error.valid_up_to()).copied(),
    })?;
    let Scratch { new, old, relations, unquoted } = scratch;
    new.clear();
    old.clear();
    relations.clear();
    unquoted.clear();
    // One huge value shall not hold its memory for ever.
    unquoted.shrink_to(MAX_KEPT);
    let mut cursor = Cursor::new(payload);
    cursor.expect("table ")?;
    relations.push(relation(&mut cursor, unquoted)?);
    while cursor.eat(", ") {
        relations.push(relation(&mut cursor, unquoted)?);
    }
    cursor.expect(": ")?;
    let operation = match relations.as_slice() {
        [_] if cursor.eat("INSERT:") => Operation::Insert,
        [_] if cursor.eat("UPDATE:") => Operation::Update,
        [_] if cursor.eat("DELETE:") => Operation::Delete,
        _ if cursor.eat("TRUNCATE:") => Operation::Truncate,
        [_] => return Err(cursor.unexpected("INSERT:, UPDATE:, DELETE: or TRUNCATE:")),
        _ => return Err(cursor.unexpected("TRUNCATE: behind several tables")),
    };
    if operation == Operation::Truncate {
        let (restarts_identity, cascades) = truncate_flags(&mut cursor)?;
        let source = Source { payload: text, unquoted };
        return Ok(Event::Truncate(Truncate { source, relations, restarts_identity, cascades }));
    }
    match operation {
        Operation::Delete => tuple::columns(&mut cursor, old, unquoted)?,
        Operation::Update if cursor.eat(" old-key:") => {
            tuple::old_key(&mut cursor, old, unquoted)?;
            tuple::columns(&mut cursor, new, unquoted)?;
        }
        _ => tuple::columns(&mut cursor, new, unquoted)?,
    }
    let source = Source { payload: text, unquoted };
    let [relation] = relations.as_slice() else { return Err(cursor.unexpected("one table")) };
    Ok(Event::Row(RowChange {
        relation: source.relation(relation),
        operation,
        new: Tuple::new(source, new),
        old: Tuple::new(source, old),
    }))
}

fn relation(cursor: &mut Cursor<'_>, unquoted: &mut String) -> Result<RelationParts, DecodeError> {
    let begin = cursor.offset();
    let schema = cursor.identifier(unquoted)?;
    cursor.expect(".")?;
    let table = cursor.identifier(unquoted)?;
    let qualified = Part { begin, end: cursor.offset(), is_unquoted: false };
    Ok(RelationParts { qualified, schema, table })
}

fn truncate_flags(cursor: &mut Cursor<'_>) -> Result<(bool, bool), DecodeError> {
    if cursor.eat(" (no-flags)") {
        cursor.expect_end()?;
        return Ok((false, false));
    }
    let restarts_identity = cursor.eat(" restart_seqs");
    let cascades = cursor.eat(" cascade");
    if !restarts_identity && !cascades {
        return Err(cursor.unexpected(" (no-flags), restart_seqs or cascade"));
    }
    cursor.expect_end()?;
    Ok((restarts_identity, cascades))
}

/// `message: transactional: 1 prefix: P, sz: N content:C`, where P may hold `, sz: 3 content:` itself: the right one is
/// the one behind which N bytes remain.
fn message(mut cursor: Cursor<'_>) -> Result<Event<'_>, DecodeError> {
    cursor.expect("message: transactional: ")?;
    let transactional = cursor.eat("1");
    if !transactional {
        cursor.expect("0")?;
    }
    cursor.expect(" prefix: ")?;
    let rest = cursor.rest();
    for begin in memchr::memmem::find_iter(rest, ", sz: ") {
        let Some((prefix, behind)) = rest.split_at_checked(begin) else { continue };
        let mut size = Cursor::new(behind);
        if size.expect(", sz: ").is_err() {
            continue;
        }
        let Ok(length) = size.number() else { continue };
        if size.eat(" content:") && usize::try_from(length) == Ok(size.rest().len()) {
            return Ok(Event::Message(Message { transactional, prefix, content: size.rest() }));
        }
    }
    Err(cursor.unexpected("a prefix, \", sz: N content:\" and N bytes"))
}

#[cfg(test)]
mod tests;
