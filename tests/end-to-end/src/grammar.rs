//! The grammar of what `test_decoding` prints, as a judge of payloads: it tells whether there can be such a payload.
//!
//! It is written from the server's source, `contrib/test_decoding/test_decoding.c` and `quote_identifier`, and shares nothing
//! with the program's decoder. Where the server never prints something that is harmless, it is rather lenient.

/// Holds what is true of a payload that there can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammatical {
    /// Where the bytes are that are not the inside of quotes, or of a message.
    pub structure: Vec<usize>,
}

/// Judges a payload. `None` says that the server never prints it.
pub fn judge(payload: &[u8]) -> Option<Grammatical> {
    let mut reader = Reader { payload, at: 0, structure: Vec::new() };
    reader.payload()?;
    (reader.at == payload.len()).then_some(Grammatical { structure: reader.structure })
}

struct Reader<'a> {
    payload: &'a [u8],
    at: usize,
    structure: Vec<usize>,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.payload[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Takes a byte of the structure.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.structure.push(self.at);
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, expected: &[u8]) -> Option<()> {
        if !self.rest().starts_with(expected) {
            return None;
        }
        self.structure.extend(self.at..self.at + expected.len());
        self.at += expected.len();
        Some(())
    }

    fn take_while(&mut self, matches: impl Fn(u8) -> bool) -> usize {
        let length = self.rest().iter().take_while(|&&byte| matches(byte)).count();
        self.structure.extend(self.at..self.at + length);
        self.at += length;
        length
    }

    fn payload(&mut self) -> Option<()> {
        if self.take(b"BEGIN").is_some() {
            return self.number_of_transaction();
        }
        if self.take(b"COMMIT").is_some() {
            self.number_of_transaction()?;
            if self.take(b" (at ").is_some() {
                self.take_while(|byte| byte != b')');
                self.take(b")")?;
            }
            return Some(());
        }
        if self.take(b"message: transactional: ").is_some() {
            return self.message();
        }
        self.take(b"table ")?;
        self.table()?;
        let mut tables = 1;
        while self.take(b", ").is_some() {
            self.table()?;
            tables += 1;
        }
        self.take(b": ")?;
        if self.take(b"TRUNCATE:").is_some() {
            if self.take(b" (no-flags)").is_some() {
                return Some(());
            }
            let restart = self.take(b" restart_seqs");
            return self.take(b" cascade").or(restart);
        }
        if tables > 1 {
            return None;
        }
        if self.take(b"UPDATE:").is_some() {
            if self.take(b" old-key:").is_some() {
                self.columns()?;
                self.take(b" new-tuple:")?;
            }
        } else if self.take(b"INSERT:").is_none() {
            self.take(b"DELETE:")?;
        }
        self.take(b" (no-tuple-data)").or_else(|| self.columns())
    }

    fn number_of_transaction(&mut self) -> Option<()> {
        match self.peek() {
            Some(b' ') if self.rest().get(1).is_some_and(u8::is_ascii_digit) => {
                self.next();
                self.take_while(|byte| byte.is_ascii_digit());
            }
            _ => {}
        }
        Some(())
    }

    /// Reads a message from its flag on. A prefix may hold what comes after a prefix.
    fn message(&mut self) -> Option<()> {
        self.take(b"0").or_else(|| self.take(b"1"))?;
        self.take(b" prefix: ")?;
        let rest = self.rest();
        let fits = |at: usize| {
            let tail = rest[at..].strip_prefix(b", sz: ")?;
            let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let size: usize = std::str::from_utf8(&tail[..digits]).ok()?.parse().ok()?;
            let content = tail[digits..].strip_prefix(b" content:")?;
            (content.len() == size).then_some(at)
        };
        let start = (0..rest.len()).find_map(fits)? + self.at;
        let content = self.payload[start..].windows(9).position(|window| window == b" content:")?;
        self.structure.extend(start..start + content + 9);
        self.at = self.payload.len();
        Some(())
    }

    fn table(&mut self) -> Option<()> {
        self.identifier()?;
        self.take(b".")?;
        self.identifier()
    }

    fn identifier(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.quoted(b'"', |_| true),
            b'a'..=b'z' | b'_' => {
                self.take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
                Some(())
            }
            _ => None,
        }
    }

    /// Reads what is in quotes, in which a quote is doubled.
    fn quoted(&mut self, quote: u8, inside: impl Fn(u8) -> bool) -> Option<()> {
        self.take(&[quote])?;
        loop {
            match self.peek()? {
                byte if byte != quote => {
                    if !inside(byte) {
                        return None;
                    }
                    self.at += 1;
                }
                _ if self.rest().get(1) == Some(&quote) => self.at += 2,
                _ => return self.take(&[quote]),
            }
        }
    }

    fn columns(&mut self) -> Option<()> {
        while self.peek() == Some(b' ') && !self.rest().starts_with(b" new-tuple:") {
            self.take(b" ")?;
            self.identifier()?;
            self.take(b"[")?;
            self.kind()?;
            self.take(b"]:")?;
            self.value()?;
        }
        Some(())
    }

    /// Reads a type, which ends at the first bracket that neither is in quotes nor closes one.
    fn kind(&mut self) -> Option<()> {
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => self.quoted(b'"', |_| true)?,
                b'[' => self.take(b"[]")?,
                b']' => return (self.at > start).then_some(()),
                _ => drop(self.next()),
            }
        }
    }

    fn value(&mut self) -> Option<()> {
        if self.peek()? == b'\'' {
            return self.quoted(b'\'', |_| true);
        }
        if self.take(b"B").is_some() {
            return self.quoted(b'\'', |byte| matches!(byte, b'0' | b'1'));
        }
        let start = self.at;
        self.take_while(|byte| byte != b' ');
        let word = &self.payload[start..self.at];
        let words: [&[u8]; 7] =
            [b"null", b"unchanged-toast-datum", b"true", b"false", b"NaN", b"Infinity", b"-Infinity"];
        (words.contains(&word) || is_number(word)).then_some(())
    }
}

/// Tells whether it is a number such as `-12.50` or `1e-07`.
fn is_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (mantissa, exponent) = match word.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let digits = |text: &[u8]| text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let points = mantissa.iter().filter(|&&byte| byte == b'.').count();
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent) == exponent.len()
    });
    points <= 1 && digits(mantissa) > 0 && digits(mantissa) + points == mantissa.len() && exponent
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn payloads_are_judged() {
        for good in [
            "BEGIN 1",
            "COMMIT 1 (at 2026-01-02 03:04:05.6+00)",
            "table a.b: INSERT: (no-tuple-data)",
            "table a.b: DELETE:",
            "table a.b: UPDATE: old-key: new-tuple: a[\"x]:'\".y[]]:'it''s' b[bit(3)]:B'101' c[numeric]:-1.5e+7",
            "table a.b, \"c, \"\"d\".e: TRUNCATE: restart_seqs cascade",
            "message: transactional: 1 prefix: , sz: 3 content:, sz: 4 content:a, b",
        ] {
            assert!(judge(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "BEGIN x",
            "table a.b: INSERT: ",
            "table a.b: UPDATE: old-key: a[int]:1",
            "table a.b: INSERT: a[int]:1x",
            "table a.b: INSERT: a[text]:'x",
            "table a.b: INSERT: a[text]:'x' ",
            "table a.b: INSERT: a[]:1",
            "table a.b, c.d: INSERT:",
            "table a.B: INSERT:",
            "table a.b: TRUNCATE:",
            "message: transactional: 1 prefix: p, sz: 4 content:abc",
        ] {
            assert!(judge(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
