//! Where transactions begin and end.

use super::cursor::Cursor;
use super::error::DecodeError;
use super::event::Event;
use super::source::Source;

/// `BEGIN 739`
pub(super) fn begin(mut cursor: Cursor<'_>) -> Result<Event<'_>, DecodeError> {
    cursor.expect("BEGIN")?;
    let xid = if cursor.eat(" ") { Some(cursor.number()?) } else { None };
    cursor.expect_end()?;
    Ok(Event::Begin { xid })
}

/// `COMMIT 739 (at 2026-11-21 08:43:23.012345+00)`
pub(super) fn commit(mut cursor: Cursor<'_>) -> Result<Event<'_>, DecodeError> {
    cursor.expect("COMMIT")?;
    // A time is in parentheses, where a number would begin.
    let xid = if cursor.rest().starts_with(b" (") || !cursor.eat(" ") { None } else { Some(cursor.number()?) };
    let at = cursor.time()?;
    cursor.expect_end()?;
    Ok(Event::Commit { xid, at })
}

/// `PREPARE TRANSACTION 'gid', txid 739 (at 2026-11-21 08:43:23.012345+00)`, and the same of a prepared one.
pub(super) fn two_phase<'a>(mut cursor: Cursor<'a>, unquoted: &'a mut String) -> Result<Event<'a>, DecodeError> {
    let is_prepare = cursor.eat("PREPARE TRANSACTION ");
    let is_commit = !is_prepare && cursor.eat("COMMIT PREPARED ");
    if !is_prepare && !is_commit && !cursor.eat("ROLLBACK PREPARED ") {
        return Err(cursor.unexpected("PREPARE TRANSACTION, COMMIT PREPARED or ROLLBACK PREPARED"));
    }
    let gid = cursor.literal(unquoted)?;
    let xid = if cursor.eat(", txid ") { Some(cursor.number()?) } else { None };
    let at = cursor.time()?;
    cursor.expect_end()?;
    let gid = Source { payload: cursor.text(), unquoted }.text(gid);
    Ok(match (is_prepare, is_commit) {
        (true, _) => Event::Prepare { gid, xid, at },
        (_, true) => Event::CommitPrepared { gid, xid, at },
        _ => Event::RollbackPrepared { gid, xid, at },
    })
}
