//! Turns one payload of test_decoding into one event.
//!
//! Payloads come from a [`transaction`](crate::transaction), events go to the [`pipeline`](crate::pipeline). Bytes in,
//! borrowed values out; a payload is understood whole or refused, with the offset where it stopped making sense.
//!
//! The text is what `contrib/test_decoding/test_decoding.c` of PostgreSQL prints, under the session settings in
//! [`postgres`](crate::postgres).
//!
//! Most payloads are of a few relations, so a [`Decoder`] remembers each relation's layout: how its payloads begin, and its
//! columns. A payload that goes on as expected is compared with those bytes, and only its values are parsed.

mod boundary;
mod charset;
mod cursor;
mod encoding;
mod error;
mod event;
mod layout;
mod message;
mod row;
mod scan;
mod source;
mod transcode;
mod tuple;
mod value;

use cursor::Cursor;
pub use encoding::{Encoding, InvalidText, UnknownEncoding, UnknownInvalidText};
pub use error::DecodeError;
pub use event::{Event, Message, Relation, RowChange, Truncate};
use row::Rows;
use source::MAX_LENGTH;
use transcode::Transcoder;
pub use tuple::{Columns, Tuple};

/// Turns payloads into events, and keeps memory from one payload to the next.
///
/// It remembers the layouts of at most 4,096 relations and about 64 MiB of them; beyond that it forgets them all and learns
/// anew. What one huge payload took it gives back with the next one.
///
/// The default is for UTF-8 and allocates nothing until it meets a row.
///
/// ```
/// use pg2k_core::decode::{Decoder, Event};
///
/// let mut decoder = Decoder::default();
/// let event = decoder.decode(b"table public.users: INSERT: id[integer]:7 name[text]:'it''s'");
/// let Ok(Event::Row(row)) = event else { panic!("no row") };
/// assert_eq!(row.relation.table, "users");
/// assert_eq!(row.new.columns().map(|column| column.name()).collect::<Vec<_>>(), ["id", "name"]);
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    transcoder: Transcoder,
    rows: Rows,
}

impl Decoder {
    /// Decodes payloads of a database in this encoding.
    #[must_use]
    pub fn new(encoding: Encoding, invalid: InvalidText) -> Self {
        Self { transcoder: Transcoder::new(encoding, invalid), ..Self::default() }
    }

    /// Decodes without layouts: what a relation's first payload takes the time of. For benchmarks and tests.
    #[doc(hidden)]
    #[must_use]
    pub fn forgetful(self) -> Self {
        Self { rows: Rows::forgetful(), ..self }
    }

    /// Turns one payload into one event.
    ///
    /// # Errors
    ///
    /// A payload that the grammar does not allow, one that is not in the database's encoding, or one of 2 GiB, twice
    /// what PostgreSQL can print.
    pub fn decode<'a>(&'a mut self, payload: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        if payload.first() == Some(&b'm') {
            return self.message(payload);
        }
        let Self { transcoder, rows } = self;
        if let Some(text) = transcoder.transcode(payload)? {
            return event(text, rows);
        }
        let transcoder = &*transcoder;
        event(transcoder.text(), rows).map_err(|error| transcoder.locate(payload, &error))
    }

    /// Makes UTF-8 of a name as the catalogs have it, in the database's encoding: the same that it is in a payload.
    ///
    /// # Errors
    ///
    /// A name that is no text in that encoding, if such text is to be an error.
    pub fn name<'a>(&'a mut self, name: &'a [u8]) -> Result<&'a str, DecodeError> {
        Ok(match self.transcoder.transcode_text(name)? {
            Some(text) => text,
            None => self.transcoder.text(),
        })
    }

    fn message<'a>(&'a mut self, payload: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        let message::MessageParts { transactional, prefix, content } = message::parts(payload)?;
        let in_payload =
            |error: DecodeError| DecodeError::new(payload, message::PREFIX_OFFSET + error.offset(), error.expected());
        let prefix = self.name(prefix).map_err(in_payload)?;
        Ok(Event::Message(Message { transactional, prefix, content }))
    }
}

/// Decodes a payload that is no message.
#[inline(always)]
fn event<'a>(text: &'a str, rows: &'a mut Rows) -> Result<Event<'a>, DecodeError> {
    if text.len() > MAX_LENGTH {
        return Err(DecodeError::new(text.as_bytes(), MAX_LENGTH, "less than 2 GiB"));
    }
    match text.as_bytes() {
        [b't', ..] => rows.decode(text),
        [b'B', ..] => boundary::begin(Cursor::new(text)),
        [b'C', ..] if !text.starts_with("COMMIT PREPARED ") => boundary::commit(Cursor::new(text)),
        [b'C' | b'P' | b'R', ..] => {
            rows.clear();
            boundary::two_phase(Cursor::new(text), &mut rows.unquoted)
        }
        _ => Err(Cursor::new(text).unexpected("BEGIN, COMMIT, PREPARE, ROLLBACK, table or message")),
    }
}

#[cfg(test)]
mod tests;
