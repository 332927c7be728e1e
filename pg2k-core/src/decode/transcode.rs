//! Makes UTF-8 of payloads in other encodings, and of payloads that are in none.
//!
//! In every encoding of a server the bytes of characters beyond ASCII are 0x80 and above, so quotes can be found before anything
//! is known of the characters. A payload is transcoded whole, and then decoded.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::charset::Charset;
use super::encoding::{Encoding, InvalidText};
use super::error::{DecodeError, INVALID_TEXT, INVALID_UTF8};

/// Bytes of transcoded text that are kept for the next payload.
const MAX_KEPT: usize = 1 << 20;

/// Makes UTF-8 of payloads.
#[derive(Debug, Default)]
pub(super) struct Transcoder {
    /// `None` where text is UTF-8.
    charset: Option<Charset>,
    invalid: InvalidText,
    /// The payload transcoded last.
    text: String,
}

/// What takes pieces of the payload and what becomes of them.
trait Take: FnMut(&[u8], &str) {}
impl<F: FnMut(&[u8], &str)> Take for F {}

impl Transcoder {
    pub(super) fn new(encoding: Encoding, invalid: InvalidText) -> Self {
        Self { charset: Charset::of(encoding), invalid, text: String::new() }
    }

    /// Returns the payload as text if it is UTF-8 already; if not, its [text](Self::text) is here.
    #[inline]
    pub(super) fn transcode<'a>(&mut self, payload: &'a [u8]) -> Result<Option<&'a str>, DecodeError> {
        if (self.charset.is_none() || payload.is_ascii())
            && let Some(text) = utf8(payload)
        {
            return Ok(Some(text));
        }
        self.fill(payload, false)?;
        Ok(None)
    }

    /// Returns text that is not part of a payload's grammar, such as a message's prefix, if it is UTF-8 already; if not, its
    /// [text](Self::text) is here.
    pub(super) fn transcode_text<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a str>, DecodeError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if self.charset.is_none() || bytes.is_ascii() => Ok(Some(text)),
            _ => self.fill(bytes, true).map(|()| None),
        }
    }

    /// The payload transcoded last.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where an error in the transcoded text is in the payload.
    #[cold]
    pub(super) fn locate(&self, payload: &[u8], error: &DecodeError) -> DecodeError {
        let (mut offset, mut transcoded, mut found) = (0, 0, None);
        let all = self.pieces(payload, false, &mut |bytes: &[u8], text: &str| {
            let distance = error.offset().checked_sub(transcoded).filter(|distance| *distance < text.len());
            if let (Some(distance), None) = (distance, found) {
                found = Some(if bytes == text.as_bytes() { offset + distance } else { offset });
            }
            offset += bytes.len();
            transcoded += text.len();
        });
        let offset = if all.is_ok() { found.unwrap_or(payload.len()) } else { 0 };
        DecodeError::new(payload, offset, error.expected())
    }

    #[inline(never)]
    fn fill(&mut self, payload: &[u8], is_alone: bool) -> Result<(), DecodeError> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.shrink_to(MAX_KEPT);
        let result = self.pieces(payload, is_alone, &mut |_: &[u8], piece: &str| text.push_str(piece));
        self.text = text;
        result
    }

    fn expected(&self) -> &'static str {
        if self.charset.is_some() { INVALID_TEXT } else { INVALID_UTF8 }
    }

    /// Goes through the payload and hands over its pieces, and what becomes of each.
    fn pieces(&self, payload: &[u8], is_alone: bool, take: &mut impl Take) -> Result<(), DecodeError> {
        match self.invalid {
            InvalidText::Replace if is_alone => {
                self.replaced(payload, take);
                Ok(())
            }
            InvalidText::Base64 if is_alone && self.first_invalid(payload).is_some() => {
                take(payload, &BASE64_STANDARD.encode(payload));
                Ok(())
            }
            InvalidText::Replace | InvalidText::Base64 if self.first_invalid(payload).is_some() => {
                self.tokens(payload, take)
            }
            InvalidText::Fail | InvalidText::Replace | InvalidText::Base64 => {
                let mut valid = 0;
                let mut counted = |bytes: &[u8], text: &str| {
                    valid += bytes.len();
                    take(bytes, text);
                };
                let is_whole = self.characters(payload, &mut counted, |_, _| false);
                if is_whole { Ok(()) } else { Err(DecodeError::new(payload, valid, self.expected())) }
            }
        }
    }

    /// Hands over every piece that has a meaning, and to `invalid` every one that has none, for as long as that wants to go on.
    /// Returns whether it always did.
    fn characters<T: Take>(&self, text: &[u8], take: &mut T, mut invalid: impl FnMut(&mut T, &[u8]) -> bool) -> bool {
        let Some(charset) = &self.charset else {
            for chunk in text.utf8_chunks() {
                take(chunk.valid().as_bytes(), chunk.valid());
                if !chunk.invalid().is_empty() && !invalid(take, chunk.invalid()) {
                    return false;
                }
            }
            return true;
        };
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            let (head, behind) = rest.split_at_checked(ascii).unwrap_or_default();
            take(head, std::str::from_utf8(head).unwrap_or_default());
            let end = behind.iter().position(u8::is_ascii).unwrap_or(behind.len());
            let (mut run, behind) = behind.split_at_checked(end).unwrap_or_default();
            while !run.is_empty() {
                let (length, character) = charset.first(run);
                let (bytes, others) = run.split_at_checked(length).unwrap_or((run, &[]));
                match character {
                    Some(character) => take(bytes, character.encode_utf8(&mut [0; 4])),
                    None if invalid(take, bytes) => {}
                    None => return false,
                }
                run = others;
            }
            rest = behind;
        }
        true
    }

    /// Where the first bytes without a meaning are.
    fn first_invalid(&self, text: &[u8]) -> Option<usize> {
        let mut valid = 0;
        let mut count = |bytes: &[u8], _: &str| valid += bytes.len();
        let is_whole = self.characters(text, &mut count, |_, _| false);
        (!is_whole).then_some(valid)
    }

    /// Hands over the text with U+FFFD in the place of what has no meaning.
    fn replaced(&self, text: &[u8], take: &mut impl Take) {
        self.characters(text, take, |take, bytes| {
            take(bytes, "\u{fffd}");
            true
        });
    }

    /// Hands over the payload with something else in the place of each name and value that has no meaning: base64, or, of a value
    /// alone, what is left of it. Two names would be one if their differences were replaced.
    fn tokens(&self, payload: &[u8], take: &mut impl Take) -> Result<(), DecodeError> {
        let mut rest = payload;
        loop {
            let begin = memchr::memchr2(b'\'', b'"', rest).unwrap_or(rest.len());
            let (outside, behind) = rest.split_at_checked(begin).unwrap_or_default();
            if let Some(beyond) = outside.iter().position(|byte| !byte.is_ascii()) {
                let offset = payload.len() - rest.len() + beyond;
                return Err(DecodeError::new(payload, offset, "ASCII outside of quotes"));
            }
            let outside_text = std::str::from_utf8(outside).unwrap_or_default();
            let Some((quote, inside)) = behind.split_first() else {
                take(outside, outside_text);
                return Ok(());
            };
            let Some(length) = length_of_quoted(inside, *quote) else {
                let offset = payload.len() - inside.len();
                let invalid = self.first_invalid(inside).unwrap_or(inside.len());
                return Err(DecodeError::new(payload, offset + invalid, "the closing quote, or text in its encoding"));
            };
            let (token, behind_token) = inside.split_at_checked(length).unwrap_or_default();
            let quote_text = if *quote == b'"' { "\"" } else { "'" };
            let quote_bytes = quote_text.as_bytes();
            let is_value = *quote == b'\'';
            if is_value && self.invalid == InvalidText::Replace {
                take(outside, outside_text);
                take(quote_bytes, quote_text);
                self.replaced(token, take);
            } else if self.first_invalid(token).is_some() {
                // Base64 has no backslash, so the text is no longer one with E.
                let bare = outside_text.strip_suffix('E').filter(|_| is_value);
                take(outside, bare.unwrap_or(outside_text));
                take(quote_bytes, quote_text);
                take(token, &BASE64_STANDARD.encode(unescaped(token, *quote, bare.is_some())));
            } else {
                take(outside, outside_text);
                take(quote_bytes, quote_text);
                self.characters(token, take, |_, _| false);
            }
            take(quote_bytes, quote_text);
            rest = behind_token.get(1..).unwrap_or_default();
        }
    }
}

/// The payload, if it is UTF-8.
#[inline(always)]
fn utf8(payload: &[u8]) -> Option<&str> {
    // Measured: below this the standard library is done before wide registers are set up, at least with ASCII.
    const SHORT: usize = 256;
    if payload.len() < SHORT { std::str::from_utf8(payload).ok() } else { simdutf8::basic::from_utf8(payload).ok() }
}

/// How much is before the quote that ends what begins here.
fn length_of_quoted(text: &[u8], quote: u8) -> Option<usize> {
    let mut length = 0;
    loop {
        let rest = text.get(length..)?;
        length += memchr::memchr(quote, rest)?;
        if text.get(length + 1) != Some(&quote) {
            return Some(length);
        }
        length += 2;
    }
}

/// The text with one quote for two, and if it is escaped one backslash for two.
fn unescaped(text: &[u8], quote: u8, is_escaped: bool) -> Vec<u8> {
    let mut bytes = text.iter().copied().peekable();
    let mut unescaped = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        unescaped.push(byte);
        if byte == quote || (is_escaped && byte == b'\\') {
            // A lone one cannot be here; what follows it would be kept.
            bytes.next_if_eq(&byte);
        }
    }
    unescaped
}
