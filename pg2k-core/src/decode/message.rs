//! What `pg_logical_emit_message` was called with.

use memchr::memmem;

use super::error::DecodeError;
use super::scan;

/// A message as pieces of its payload.
#[derive(Debug)]
pub(super) struct MessageParts<'a> {
    pub(super) transactional: bool,
    /// In the database's encoding.
    pub(super) prefix: &'a [u8],
    pub(super) content: &'a [u8],
}

/// What a prefix comes behind; the digit before it says whether the message is transactional.
const PREFIX: &[u8] = b" prefix: ";
const TRANSACTIONAL: &[u8] = b"message: transactional: ";
const SIZE: &[u8] = b", sz: ";
const CONTENT: &[u8] = b" content:";

/// Where in the payload a prefix begins.
pub(super) const PREFIX_OFFSET: usize = TRANSACTIONAL.len() + 1 + PREFIX.len();

/// `message: transactional: 1 prefix: P, sz: N content:C`, where P may hold `, sz: 3 content:` itself: the right one is
/// the first behind which N bytes remain.
pub(super) fn parts(payload: &[u8]) -> Result<MessageParts<'_>, DecodeError> {
    let unexpected = |rest: &[u8], expected| DecodeError::new(payload, payload.len() - rest.len(), expected);
    let flag = payload.strip_prefix(TRANSACTIONAL);
    let flag = flag.ok_or_else(|| unexpected(payload, "message: transactional: "))?;
    let (transactional, rest) = match flag {
        [b'0', rest @ ..] => (false, rest),
        [b'1', rest @ ..] => (true, rest),
        _ => return Err(unexpected(flag, "0 or 1")),
    };
    let rest = rest.strip_prefix(PREFIX).ok_or_else(|| unexpected(rest, " prefix: "))?;
    for begin in memmem::find_iter(rest, SIZE) {
        if let Some((prefix, behind)) = rest.split_at_checked(begin)
            && let Some(content) = content(behind)
        {
            return Ok(MessageParts { transactional, prefix, content });
        }
    }
    Err(unexpected(rest, "a prefix, \", sz: N content:\" and N bytes"))
}

/// The content, if what begins with `, sz: ` goes on with its length and ends with so many bytes.
fn content(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(SIZE)?;
    let (digits, rest) = text.split_at_checked(scan::digits(text))?;
    let content = rest.strip_prefix(CONTENT)?;
    let is_padded = digits.starts_with(b"0") && digits != b"0";
    let length = std::str::from_utf8(digits).ok()?.parse::<usize>().ok()?;
    (!is_padded && length == content.len()).then_some(content)
}
