//! Turns one payload of test_decoding into one event.
//!
//! Payloads come from a [`transaction`](crate::transaction), events go to the [`pipeline`](crate::pipeline). Bytes in,
//! borrowed values out; a payload is understood whole or refused, with the offset where it stopped making sense.
//!
//! The text is what `contrib/test_decoding/test_decoding.c` of PostgreSQL prints, under the session settings in
//! [`postgres`](crate::postgres).

mod cursor;
mod encoding;
mod error;
mod event;
mod source;
mod tuple;

use pg2k_abi::Operation;

use cursor::Cursor;
pub use encoding::{Encoding, InvalidText, UnknownEncoding, UnknownInvalidText};
pub use error::DecodeError;
pub use event::{Event, Message, Relation, RowChange, Truncate};
use source::{Part, RelationParts, Source};
use tuple::ColumnParts;
pub use tuple::Tuple;

/// Bytes of unquoted text that are kept for the next payload.
const MAX_KEPT: usize = 1 << 20;

/// Turns payloads into events, and keeps memory from one payload to the next.
///
/// The default is for UTF-8 and allocates nothing until it meets a row.
#[derive(Debug, Default)]
pub struct Decoder {
    #[expect(dead_code, reason = "transcoding is still to come")]
    encoding: Encoding,
    #[expect(dead_code, reason = "transcoding is still to come")]
    invalid: InvalidText,
    new: Vec<ColumnParts>,
    old: Vec<ColumnParts>,
    relations: Vec<RelationParts>,
    /// Texts that differ from what the payload has: names and values without their doubled quotes.
    unquoted: String,
}

impl Decoder {
    /// Decodes payloads of a database in this encoding.
    #[must_use]
    pub fn new(encoding: Encoding, invalid: InvalidText) -> Self {
        Self { encoding, invalid, ..Self::default() }
    }

    /// Turns one payload into one event.
    ///
    /// # Errors
    ///
    /// A payload that the grammar does not allow, or one that is not in the database's encoding.
    pub fn decode<'a>(&'a mut self, payload: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        match payload.first() {
            Some(b't') => change(payload, self),
            Some(b'B') => begin(Cursor::new(payload)),
            Some(b'C') if payload.starts_with(b"COMMIT PREPARED ") => two_phase(payload, self),
            Some(b'C') => commit(Cursor::new(payload)),
            Some(b'P' | b'R') => two_phase(payload, self),
            Some(b'm') => message(Cursor::new(payload)),
            _ => Err(Cursor::new(payload).unexpected("BEGIN, COMMIT, PREPARE, ROLLBACK, table or message")),
        }
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
    // A time is in parentheses, where a number would begin.
    let xid = if cursor.rest().starts_with(b" (") || !cursor.eat(" ") { None } else { Some(cursor.number()?) };
    let at = cursor.time()?;
    cursor.expect_end()?;
    Ok(Event::Commit { xid, at })
}

fn two_phase<'a>(payload: &'a [u8], decoder: &'a mut Decoder) -> Result<Event<'a>, DecodeError> {
    enum Phase {
        Prepare,
        Commit,
        Rollback,
    }
    let text = utf8(payload)?;
    decoder.unquoted.clear();
    let mut cursor = Cursor::new(payload);
    let phase = if cursor.eat("PREPARE TRANSACTION ") {
        Phase::Prepare
    } else if cursor.eat("COMMIT PREPARED ") {
        Phase::Commit
    } else if cursor.eat("ROLLBACK PREPARED ") {
        Phase::Rollback
    } else {
        return Err(cursor.unexpected("PREPARE TRANSACTION, COMMIT PREPARED or ROLLBACK PREPARED"));
    };
    let gid = cursor.literal(&mut decoder.unquoted)?;
    let xid = if cursor.eat(", txid ") { Some(cursor.number()?) } else { None };
    let at = cursor.time()?;
    cursor.expect_end()?;
    let gid = Source { payload: text, unquoted: &decoder.unquoted }.text(gid);
    Ok(match phase {
        Phase::Prepare => Event::Prepare { gid, xid, at },
        Phase::Commit => Event::CommitPrepared { gid, xid, at },
        Phase::Rollback => Event::RollbackPrepared { gid, xid, at },
    })
}

fn utf8(payload: &[u8]) -> Result<&str, DecodeError> {
    utf8_at(payload, 0)
}

/// `offset` is where the piece begins in the payload.
fn utf8_at(payload: &[u8], offset: usize) -> Result<&str, DecodeError> {
    std::str::from_utf8(payload).map_err(|error| DecodeError {
        offset: offset + error.valid_up_to(),
        expected: "UTF-8",
        found: payload.get(error.valid_up_to()).copied(),
    })
}

fn change<'a>(payload: &'a [u8], decoder: &'a mut Decoder) -> Result<Event<'a>, DecodeError> {
    let text = utf8(payload)?;
    let Decoder { new, old, relations, unquoted, .. } = decoder;
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
    let mut has_old = operation == Operation::Delete;
    let mut has_new = !has_old;
    if operation == Operation::Delete {
        has_old = tuple::columns(&mut cursor, old, unquoted)?;
    } else {
        if operation == Operation::Update && cursor.eat(" old-key:") {
            has_old = true;
            tuple::old_key(&mut cursor, old, unquoted)?;
        }
        has_new = tuple::columns(&mut cursor, new, unquoted)?;
    }
    let source = Source { payload: text, unquoted };
    let [relation] = relations.as_slice() else { return Err(cursor.unexpected("one table")) };
    let new = Tuple::new(source, new);
    Ok(Event::Row(RowChange {
        relation: source.relation(relation),
        operation,
        new,
        old: has_old.then(|| Tuple::new(source, old)),
        layout: has_new.then(|| new.layout()),
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
            let prefix = utf8_at(prefix, cursor.offset())?;
            return Ok(Event::Message(Message { transactional, prefix, content: size.rest() }));
        }
    }
    Err(cursor.unexpected("a prefix, \", sz: N content:\" and N bytes"))
}

#[cfg(test)]
mod tests;
