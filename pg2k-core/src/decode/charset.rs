//! What characters the bytes of an encoding stand for, exactly as PostgreSQL's own conversions to UTF-8 have it.
//!
//! The tables are made from `encoding_rs`, whose sets are those of the web; where PostgreSQL's differ they are mended.

use super::encoding::Encoding;

/// The characters of bytes from 0x80 on; `None` where there is none.
type Row = [Option<char>; 128];

/// The first and the last byte of what the EUC encodings put together, and how many there are.
const FIRST: u8 = 0xa1;
const LAST: u8 = 0xfe;
const COUNT: usize = (LAST - FIRST) as usize + 1;

/// Two and three bytes that introduce a character of EUC_JP from another set.
const HALF_WIDTH: u8 = 0x8e;
const SUPPLEMENT: u8 = 0x8f;

/// The characters of an encoding.
#[derive(Debug)]
pub(super) enum Charset {
    /// One byte each.
    Single(Box<Row>),
    /// Two bytes each; for EUC_JP, some have three.
    Multibyte {
        /// By both bytes.
        pairs: Vec<Option<char>>,
        /// By the two bytes behind [`SUPPLEMENT`]; empty but for EUC_JP.
        supplement: Vec<Option<char>>,
    },
}

impl Charset {
    /// The characters of an encoding; `None` for those whose text is UTF-8 if it is anything.
    pub(super) fn of(encoding: Encoding) -> Option<Self> {
        use encoding_rs as web;
        Some(match encoding {
            Encoding::Utf8 | Encoding::SqlAscii => return None,
            Encoding::Latin1 => Self::single(|byte| Some(char::from(byte))),
            Encoding::Latin2 => Self::single(of(web::ISO_8859_2)),
            Encoding::Latin3 => Self::single(of(web::ISO_8859_3)),
            Encoding::Latin4 => Self::single(of(web::ISO_8859_4)),
            // To the web it is the same as windows-1254, which has letters where ISO 8859-9 has control characters.
            Encoding::Latin5 => Self::single(|byte| match byte {
                0x80..=0x9f => Some(char::from(byte)),
                _ => of(web::WINDOWS_1254)(byte),
            }),
            Encoding::Latin6 => Self::single(of(web::ISO_8859_10)),
            Encoding::Latin7 => Self::single(of(web::ISO_8859_13)),
            Encoding::Latin8 => Self::single(of(web::ISO_8859_14)),
            Encoding::Latin9 => Self::single(of(web::ISO_8859_15)),
            Encoding::Latin10 => Self::single(of(web::ISO_8859_16)),
            Encoding::Iso8859_5 => Self::single(of(web::ISO_8859_5)),
            Encoding::Iso8859_6 => Self::single(of(web::ISO_8859_6)),
            Encoding::Iso8859_7 => Self::single(of(web::ISO_8859_7)),
            Encoding::Iso8859_8 => Self::single(of(web::ISO_8859_8)),
            Encoding::Win866 => Self::single(of(web::IBM866)),
            Encoding::Win874 => Self::single(windows(web::WINDOWS_874)),
            Encoding::Win1250 => Self::single(windows(web::WINDOWS_1250)),
            Encoding::Win1251 => Self::single(windows(web::WINDOWS_1251)),
            Encoding::Win1252 => Self::single(windows(web::WINDOWS_1252)),
            Encoding::Win1253 => Self::single(windows(web::WINDOWS_1253)),
            Encoding::Win1254 => Self::single(windows(web::WINDOWS_1254)),
            // The web has a Hebrew point there, as later versions of Windows do.
            Encoding::Win1255 => Self::single(|byte| windows(web::WINDOWS_1255)(byte).filter(|_| byte != 0xca)),
            Encoding::Win1256 => Self::single(windows(web::WINDOWS_1256)),
            Encoding::Win1257 => Self::single(windows(web::WINDOWS_1257)),
            Encoding::Win1258 => Self::single(windows(web::WINDOWS_1258)),
            Encoding::Koi8R => Self::single(of(web::KOI8_R)),
            // The web's has two Belarusian letters in the place of lines.
            Encoding::Koi8U => Self::single(|byte| match byte {
                0xae => Some('\u{255d}'),
                0xbe => Some('\u{256c}'),
                _ => of(web::KOI8_U)(byte),
            }),
            Encoding::EucJp => Self::Multibyte { pairs: pairs(japanese), supplement: pairs(japanese_supplement) },
            Encoding::EucKr => Self::Multibyte { pairs: pairs(korean), supplement: Vec::new() },
            Encoding::EucCn => Self::Multibyte { pairs: pairs(chinese), supplement: Vec::new() },
        })
    }

    fn single(of: impl Fn(u8) -> Option<char>) -> Self {
        let mut row = Box::new([None; 128]);
        for (character, byte) in row.iter_mut().zip(0x80..=0xff) {
            *character = of(byte);
        }
        Self::Single(row)
    }

    /// The character that the text begins with, and how many bytes it has. The text begins with a byte from 0x80 on, and holds
    /// no other byte: nothing here may take a quote for a part of a character.
    #[inline]
    pub(super) fn first(&self, text: &[u8]) -> (usize, Option<char>) {
        match self {
            Self::Single(row) => {
                let place = text.first().map(|byte| usize::from(byte & 0x7f));
                (1, place.and_then(|place| row.get(place).copied().flatten()))
            }
            Self::Multibyte { pairs, supplement } => match text {
                [HALF_WIDTH, second @ FIRST..=LAST, ..] if !supplement.is_empty() => (2, half_width(*second)),
                [SUPPLEMENT, first @ FIRST..=LAST, second @ FIRST..=LAST, ..] if !supplement.is_empty() => {
                    (3, look_up(supplement, *first, *second))
                }
                [first @ FIRST..=LAST, second @ FIRST..=LAST, ..] => (2, look_up(pairs, *first, *second)),
                _ => (1, None),
            },
        }
    }
}

fn look_up(pairs: &[Option<char>], first: u8, second: u8) -> Option<char> {
    let place = usize::from(first - FIRST) * COUNT + usize::from(second - FIRST);
    pairs.get(place).copied().flatten()
}

fn pairs(of: impl Fn([u8; 2]) -> Option<char>) -> Vec<Option<char>> {
    let bytes = (FIRST..=LAST).flat_map(|first| (FIRST..=LAST).map(move |second| [first, second]));
    bytes.map(of).collect()
}

/// The only character that these bytes are to the web.
fn decoded(encoding: &'static encoding_rs::Encoding, bytes: &[u8]) -> Option<char> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

fn of(encoding: &'static encoding_rs::Encoding) -> impl Fn(u8) -> Option<char> {
    move |byte| decoded(encoding, &[byte])
}

/// The web fills the gaps of Microsoft's sets with control characters.
fn windows(encoding: &'static encoding_rs::Encoding) -> impl Fn(u8) -> Option<char> {
    move |byte| of(encoding)(byte).filter(|character| !matches!(character, '\u{80}'..='\u{9f}'))
}

/// JIS X 0201.
fn half_width(second: u8) -> Option<char> {
    decoded(encoding_rs::EUC_JP, &[HALF_WIDTH, second])
}

/// JIS X 0208. The web has extensions of IBM in rows 89 to 92, which PostgreSQL has in the supplement.
fn japanese(pair: [u8; 2]) -> Option<char> {
    match pair {
        [0xf9..=0xff, _] => None,
        _ => decoded(encoding_rs::EUC_JP, &pair),
    }
}

/// The extensions of IBM, from 0x8ff3f3 on, to the end of the next row.
const IBM_EXTENSIONS: &str = "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓\
    﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇\
    諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑";

/// JIS X 0212 and the extensions of IBM.
fn japanese_supplement(pair: [u8; 2]) -> Option<char> {
    let [first, second] = pair;
    match pair {
        [0xa2, 0xb7] => None,
        [0xa2, 0xc3] => Some('\u{ffe4}'),
        [0xf3, 0xf3..=0xff] => IBM_EXTENSIONS.chars().nth(usize::from(second - 0xf3)),
        [0xf4, _] => IBM_EXTENSIONS.chars().nth(12 + usize::from(second - FIRST)),
        _ => decoded(encoding_rs::EUC_JP, &[SUPPLEMENT, first, second]),
    }
}

/// KS X 1001. The web has the letters of code page 949 too, around this square and in it.
fn korean(pair: [u8; 2]) -> Option<char> {
    match pair {
        [0xa2, 0xe8] => Some('\u{327e}'),
        _ => decoded(encoding_rs::EUC_KR, &pair),
    }
}

/// GB 2312. The web has GB 18030, which has more in the same square.
fn chinese(pair: [u8; 2]) -> Option<char> {
    let is_assigned = matches!(
        pair,
        [0xa1 | 0xa3 | 0xb0..=0xd6 | 0xd8..=0xf7, _]
            | [0xa2, 0xb1..=0xe2 | 0xe5..=0xee | 0xf1..=0xfc]
            | [0xa4, 0xa1..=0xf3]
            | [0xa5, 0xa1..=0xf6]
            | [0xa6, 0xa1..=0xb8 | 0xc1..=0xd8]
            | [0xa7, 0xa1..=0xc1 | 0xd1..=0xf1]
            | [0xa8, 0xa1..=0xba | 0xc5..=0xe9]
            | [0xa9, 0xa4..=0xef]
            | [0xd7, 0xa1..=0xf9]
    );
    match pair {
        [0xa1, 0xa4] => Some('\u{30fb}'),
        [0xa1, 0xaa] => Some('\u{2015}'),
        _ => decoded(encoding_rs::GB18030, &pair).filter(|_| is_assigned),
    }
}
