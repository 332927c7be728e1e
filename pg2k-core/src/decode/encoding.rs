//! The encodings that databases are in.

use std::fmt;
use std::str::FromStr;

/// The encoding of a database, which `SHOW server_encoding` names.
///
/// Parsing is lenient: letters of either case, with or without `-`, `_` and spaces, and the names that the rest of the world has for
/// the same sets (`windows-1252`, `ISO-8859-15`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `UTF8`
    #[default]
    Utf8,
    /// `SQL_ASCII`: bytes of which the server knows nothing.
    SqlAscii,
    /// `LATIN1`, ISO 8859-1.
    Latin1,
    /// `LATIN2`, ISO 8859-2.
    Latin2,
    /// `LATIN3`, ISO 8859-3.
    Latin3,
    /// `LATIN4`, ISO 8859-4.
    Latin4,
    /// `LATIN5`, ISO 8859-9.
    Latin5,
    /// `LATIN6`, ISO 8859-10.
    Latin6,
    /// `LATIN7`, ISO 8859-13.
    Latin7,
    /// `LATIN8`, ISO 8859-14.
    Latin8,
    /// `LATIN9`, ISO 8859-15.
    Latin9,
    /// `LATIN10`, ISO 8859-16.
    Latin10,
    /// `ISO_8859_5`, Cyrillic.
    Iso8859_5,
    /// `ISO_8859_6`, Arabic.
    Iso8859_6,
    /// `ISO_8859_7`, Greek.
    Iso8859_7,
    /// `ISO_8859_8`, Hebrew.
    Iso8859_8,
    /// `WIN866`, code page 866.
    Win866,
    /// `WIN874`, code page 874.
    Win874,
    /// `WIN1250`, code page 1250.
    Win1250,
    /// `WIN1251`, code page 1251.
    Win1251,
    /// `WIN1252`, code page 1252.
    Win1252,
    /// `WIN1253`, code page 1253.
    Win1253,
    /// `WIN1254`, code page 1254.
    Win1254,
    /// `WIN1255`, code page 1255.
    Win1255,
    /// `WIN1256`, code page 1256.
    Win1256,
    /// `WIN1257`, code page 1257.
    Win1257,
    /// `WIN1258`, code page 1258.
    Win1258,
    /// `KOI8R`
    Koi8R,
    /// `KOI8U`
    Koi8U,
    /// `EUC_JP`
    EucJp,
    /// `EUC_KR`
    EucKr,
    /// `EUC_CN`
    EucCn,
}

impl Encoding {
    /// Each encoding with the names it has, PostgreSQL's first; the others in the form in which names are compared.
    const NAMES: [(Self, &'static [&'static str]); 32] = [
        (Self::Utf8, &["UTF8", "UNICODE"]),
        (Self::SqlAscii, &["SQL_ASCII"]),
        (Self::Latin1, &["LATIN1", "ISO88591"]),
        (Self::Latin2, &["LATIN2", "ISO88592"]),
        (Self::Latin3, &["LATIN3", "ISO88593"]),
        (Self::Latin4, &["LATIN4", "ISO88594"]),
        (Self::Latin5, &["LATIN5", "ISO88599"]),
        (Self::Latin6, &["LATIN6", "ISO885910"]),
        (Self::Latin7, &["LATIN7", "ISO885913"]),
        (Self::Latin8, &["LATIN8", "ISO885914"]),
        (Self::Latin9, &["LATIN9", "ISO885915"]),
        (Self::Latin10, &["LATIN10", "ISO885916"]),
        (Self::Iso8859_5, &["ISO_8859_5"]),
        (Self::Iso8859_6, &["ISO_8859_6"]),
        (Self::Iso8859_7, &["ISO_8859_7"]),
        (Self::Iso8859_8, &["ISO_8859_8"]),
        (Self::Win866, &["WIN866", "WINDOWS866", "CP866", "IBM866", "ALT"]),
        (Self::Win874, &["WIN874", "WINDOWS874", "CP874"]),
        (Self::Win1250, &["WIN1250", "WINDOWS1250", "CP1250"]),
        (Self::Win1251, &["WIN1251", "WINDOWS1251", "CP1251", "WIN"]),
        (Self::Win1252, &["WIN1252", "WINDOWS1252", "CP1252"]),
        (Self::Win1253, &["WIN1253", "WINDOWS1253", "CP1253"]),
        (Self::Win1254, &["WIN1254", "WINDOWS1254", "CP1254"]),
        (Self::Win1255, &["WIN1255", "WINDOWS1255", "CP1255"]),
        (Self::Win1256, &["WIN1256", "WINDOWS1256", "CP1256"]),
        (Self::Win1257, &["WIN1257", "WINDOWS1257", "CP1257"]),
        (Self::Win1258, &["WIN1258", "WINDOWS1258", "CP1258", "ABC", "TCVN", "TCVN5712", "VSCII"]),
        (Self::Koi8R, &["KOI8R", "KOI8"]),
        (Self::Koi8U, &["KOI8U"]),
        (Self::EucJp, &["EUC_JP"]),
        (Self::EucKr, &["EUC_KR"]),
        (Self::EucCn, &["EUC_CN"]),
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.iter().map(|(encoding, _)| *encoding)
    }

    /// PostgreSQL's name: `UTF8`, `LATIN1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let names = Self::NAMES.iter().find(|(encoding, _)| *encoding == self).map(|(_, names)| *names);
        names.and_then(|names| names.first()).copied().unwrap_or_default()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name of no encoding that can be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("encoding: expected one of {}, found {found:?}", names())]
pub struct UnknownEncoding {
    found: String,
}

fn names() -> String {
    Encoding::all().map(Encoding::as_str).collect::<Vec<_>>().join(", ")
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // As pg_char_to_encoding() of PostgreSQL compares names: by their letters and digits.
        let letters = |name: &str| {
            let letters = name.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|letter| letter.to_ascii_uppercase()).collect::<String>()
        };
        let sought = letters(name);
        let is_it = |(_, names): &&(Self, &[&str])| names.iter().any(|known| letters(known) == sought);
        let found = Self::NAMES.iter().find(is_it).map(|(encoding, _)| *encoding);
        found.ok_or_else(|| UnknownEncoding { found: name.to_owned() })
    }
}

/// What becomes of text that is not in the database's encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InvalidText {
    /// `fail`: the payload is refused.
    #[default]
    Fail,
    /// `replace`: what has no meaning in a value becomes U+FFFD, the replacement character; each name that has none becomes
    /// base64, so that it stays another than all others.
    Replace,
    /// `base64`: each name or value that has no meaning becomes the standard base64, with padding, of its bytes.
    Base64,
}

impl InvalidText {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Replace, Self::Base64];

    /// `fail`, `replace` or `base64`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Replace => "replace",
            Self::Base64 => "base64",
        }
    }
}

impl fmt::Display for InvalidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word for nothing that can be done about invalid text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid text: expected fail, replace or base64, found {found:?}")]
pub struct UnknownInvalidText {
    found: String,
}

impl FromStr for InvalidText {
    type Err = UnknownInvalidText;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.as_str().eq_ignore_ascii_case(word));
        found.ok_or_else(|| UnknownInvalidText { found: word.to_owned() })
    }
}
