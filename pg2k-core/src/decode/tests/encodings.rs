use super::super::charset::Charset;
use super::super::{Decoder, Encoding, Event, InvalidText};
use super::{columns, row_of};

/// What PostgreSQL 15 makes of the bytes of its encodings: the number of characters, and a hash over all of them.
///
/// Compared was `convert_from(bytes, encoding)` in a database in UTF-8, for every byte from 0x80 on; for the EUC encodings for
/// every single byte, every pair of such bytes, and for EUC_JP every triple that begins with 0x8f. The hash is FNV-1a over the
/// bytes, the character in UTF-8 and a line feed, of each character in the order of its bytes. Bytes for which
/// `convert_from` fails are not in it, and mean nothing here either: the policy for invalid text is applied to them.
///
/// Nothing differs. The sets of `encoding_rs` do, and are mended in `charset.rs`: PostgreSQL is right by definition, since its
/// clients see the text so.
const CONVERTED: [(Encoding, usize, u64); 30] = [
    (Encoding::Latin1, 128, 0xa6f6_1c52_08e9_8525),
    (Encoding::Latin2, 128, 0x599a_815c_e2ad_53d8),
    (Encoding::Latin3, 121, 0x29a6_a3af_8cd0_7869),
    (Encoding::Latin4, 128, 0xd827_ec60_0688_6483),
    (Encoding::Latin5, 128, 0x6251_6260_dca3_a67c),
    (Encoding::Latin6, 128, 0xc6a7_37e3_368d_6a51),
    (Encoding::Latin7, 128, 0xd14e_d46c_79db_2a15),
    (Encoding::Latin8, 128, 0xe7f6_679c_d46c_e391),
    (Encoding::Latin9, 128, 0xd426_8093_1f33_2986),
    (Encoding::Latin10, 128, 0x7fd8_5c85_34fe_987c),
    (Encoding::Iso8859_5, 128, 0x5c25_f81b_68d6_df3b),
    (Encoding::Iso8859_6, 83, 0x5044_a4d1_dfd9_fa1e),
    (Encoding::Iso8859_7, 125, 0x6b5f_db61_cd42_06cd),
    (Encoding::Iso8859_8, 92, 0xf0b3_e2f6_e1b8_1364),
    (Encoding::Win866, 128, 0x27e1_a169_c18b_f394),
    (Encoding::Win874, 97, 0xe990_3e62_6c1c_8ca5),
    (Encoding::Win1250, 123, 0x6f33_9127_675c_5907),
    (Encoding::Win1251, 127, 0x0756_0ede_ac12_f855),
    (Encoding::Win1252, 123, 0xc78c_5ce1_bd0e_b87a),
    (Encoding::Win1253, 111, 0x2718_380d_1e03_87d4),
    (Encoding::Win1254, 121, 0x0cbb_142c_1ca8_d8a4),
    (Encoding::Win1255, 105, 0x6bb3_aa04_42a9_b865),
    (Encoding::Win1256, 128, 0xd419_22d6_bcbd_8df5),
    (Encoding::Win1257, 116, 0xe148_9174_97bb_5a56),
    (Encoding::Win1258, 119, 0x463e_7319_b5c9_5ef3),
    (Encoding::Koi8R, 128, 0xaa24_9126_86b2_f6ef),
    (Encoding::Koi8U, 128, 0xfbb7_ef5c_8b13_aa27),
    (Encoding::EucJp, 13_197, 0xbb06_5772_fc0b_a740),
    (Encoding::EucKr, 8227, 0xe8ae_3569_7912_f2fd),
    (Encoding::EucCn, 7445, 0x7fc7_1e1b_c4e2_13dc),
];

#[test]
fn characters_are_those_of_postgresql() {
    for (encoding, count, expected) in CONVERTED {
        let charset = Charset::of(encoding).expect("a table");
        let high = || 0x80..=0xff_u8;
        let pairs = || high().flat_map(|first| high().map(move |second| [first, second]));
        let singles = high().map(|byte| vec![byte]);
        let triples = pairs().map(|[first, second]| vec![0x8f, first, second]);
        let mut texts = singles.chain(pairs().map(|pair| pair.to_vec())).chain(triples).collect::<Vec<_>>();
        texts.sort();
        let mut found = 0;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for text in texts {
            let (length, character) = charset.first(&text);
            let Some(character) = character.filter(|_| length == text.len()) else { continue };
            found += 1;
            for byte in text.iter().chain(character.encode_utf8(&mut [0; 4]).as_bytes()).chain(b"\n") {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!((found, hash), (count, expected), "{encoding}");
    }
}

#[test]
fn names_of_encodings() {
    for encoding in Encoding::all() {
        assert_eq!(encoding.to_string().parse(), Ok(encoding));
        assert_eq!(encoding.to_string().to_lowercase().replace('_', "-").parse(), Ok(encoding));
    }
    for (name, encoding) in [
        ("UTF-8", Encoding::Utf8),
        ("unicode", Encoding::Utf8),
        ("sql_ascii", Encoding::SqlAscii),
        ("latin1", Encoding::Latin1),
        ("ISO-8859-15", Encoding::Latin9),
        ("iso 8859-5", Encoding::Iso8859_5),
        ("windows-1252", Encoding::Win1252),
        ("cp866", Encoding::Win866),
        ("koi8", Encoding::Koi8R),
        ("euc-jp", Encoding::EucJp),
    ] {
        assert_eq!(name.parse(), Ok(encoding), "{name}");
    }
    for name in ["EUC_TW", "EUC_JIS_2004", "MULE_INTERNAL", "SJIS", "", "LATIN"] {
        let error = name.parse::<Encoding>().expect_err("cannot be decoded").to_string();
        assert!(error.contains("UTF8, SQL_ASCII, LATIN1,") && error.contains(&format!("{name:?}")), "{error}");
    }
    for choice in InvalidText::ALL {
        assert_eq!(choice.to_string().parse(), Ok(choice));
    }
    assert!("ignore".parse::<InvalidText>().is_err());
}

/// The columns of a row of this payload, or where and what was expected.
fn decoded(encoding: Encoding, invalid: InvalidText, payload: &[u8]) -> Result<Vec<String>, (usize, &'static str)> {
    let mut decoder = Decoder::new(encoding, invalid);
    let event = decoder.decode(payload).map_err(|error| (error.offset(), error.expected()))?;
    let row = row_of(event);
    Ok(columns(&row.new).into_iter().map(|(name, type_name, value)| format!("{name}:{type_name}{value}")).collect())
}

#[test]
fn text_is_transcoded() {
    for (encoding, payload, expected) in [
        (Encoding::Latin1, &b"table s.t: INSERT: \"\xe9\"[text]:'\x80\xff'"[..], "é:text=\u{80}ÿ"),
        (Encoding::Win1252, b"table s.t: INSERT: a[text]:'\x80 it''s'", "a:text=€ it's"),
        (Encoding::EucJp, b"table s.t: INSERT: a[text]:'\xa4\xa2\x8e\xb1\x8f\xb0\xa1'", "a:text=あｱ丂"),
        (Encoding::EucKr, b"table s.t: INSERT: a[s.\"\xb0\xa1\"]:'\xb0\xa1'", "a:s.\"가\"=가"),
        (Encoding::Koi8R, b"table s.t: INSERT: a[text]:'plain'", "a:text=plain"),
    ] {
        assert_eq!(decoded(encoding, InvalidText::Fail, payload), Ok(vec![expected.to_owned()]), "{encoding}");
    }
}

#[test]
fn an_error_is_where_the_payload_has_it() {
    const TEXT: &str = "text in the database's encoding";
    for invalid in InvalidText::ALL {
        let found = decoded(Encoding::Latin1, invalid, b"table s.t: INSERT: a[text]:'\xe9\xe9\xe9' b[integer]:x");
        assert_eq!(found, Err((44, "null or an integer")));
        let found = decoded(Encoding::EucJp, invalid, b"table s.t: INSERT: a[text]:'\x8f\xb0\xa1'x");
        assert_eq!(found, Err((32, "the end of the payload")));
        let found = decoded(Encoding::Latin1, invalid, b"table s.t: INSERT: a[text]:'\xe9");
        assert_eq!(found, Err((29, "the quote that ends the value")));
    }
    let found = decoded(Encoding::Win1252, InvalidText::Fail, b"table s.t: INSERT: a[text]:'\xe9\x81'");
    assert_eq!(found, Err((29, TEXT)));
    let found = decoded(Encoding::EucJp, InvalidText::Fail, b"table s.t: INSERT: a[text]:'\xa4\xa2\xa4'");
    assert_eq!(found, Err((30, TEXT)));
    for encoding in [Encoding::Utf8, Encoding::SqlAscii] {
        let found = decoded(encoding, InvalidText::Fail, b"table s.t: INSERT: a[text]:'\xc3\xa9\xff'");
        assert_eq!(found, Err((30, "UTF-8")));
        // Behind text that was replaced.
        let found = decoded(encoding, InvalidText::Replace, b"table s.t: INSERT: a[text]:'\xff\xfe' b[integer]:x");
        assert_eq!(found, Err((43, "null or an integer")));
        let found = decoded(encoding, InvalidText::Base64, b"table s.t: INSERT: a[text]:'\xff\xfe' b[integer]:x");
        assert_eq!(found, Err((43, "null or an integer")));
    }
    let found = decoded(Encoding::Utf8, InvalidText::Base64, b"table s.t: INSERT: a\xff[text]:''");
    assert_eq!(found, Err((20, "ASCII outside of quotes")));
    let found = decoded(Encoding::Utf8, InvalidText::Base64, b"table s.t: INSERT: a[text]:'it\xffs");
    assert_eq!(found, Err((30, "the closing quote, or text in its encoding")));
}

#[test]
fn text_without_a_meaning() {
    let payload =
        b"table s.t: INSERT: \"\xff\"[text]:'\xc3\xa9 it''s' b[\"\xfe\"]:'\xc3''\xa9' c[text]:'x\\' d[text]:''";
    assert_eq!(
        decoded(Encoding::SqlAscii, InvalidText::Replace, payload),
        Ok(["/w==:text=é it's", "b:\"/g==\"=\u{fffd}'\u{fffd}", "c:text=x\\", "d:text="].map(str::to_owned).to_vec())
    );
    // `wyep` would be that of é: the quote between its bytes is one.
    assert_eq!(
        decoded(Encoding::SqlAscii, InvalidText::Base64, payload),
        Ok(["/w==:text=é it's", "b:\"/g==\"=wyep", "c:text=x\\", "d:text="].map(str::to_owned).to_vec())
    );
    assert_eq!(
        decoded(Encoding::Win1252, InvalidText::Base64, b"table s.t: INSERT: a[text]:'\xe9' b[text]:'\xe9\x81'"),
        Ok(["a:text=é", "b:text=6YE="].map(str::to_owned).to_vec())
    );
    let mut decoder = Decoder::new(Encoding::Utf8, InvalidText::Base64);
    let prepared = decoder.decode(b"PREPARE TRANSACTION E'\\\\\xff''', txid 7");
    assert!(matches!(prepared, Ok(Event::Prepare { gid: "XP8n", xid: Some(7), at: None })), "{prepared:?}");
}

#[test]
fn only_the_prefix_of_a_message_is_text() {
    let payload = b"message: transactional: 1 prefix: \xe9, sz: 2 content:\xe9\xff";
    let prefixes = [
        (Encoding::Latin1, InvalidText::Fail, Ok("é")),
        (Encoding::Utf8, InvalidText::Fail, Err((34, "UTF-8"))),
        (Encoding::Utf8, InvalidText::Replace, Ok("\u{fffd}")),
        (Encoding::Utf8, InvalidText::Base64, Ok("6Q==")),
    ];
    for (encoding, invalid, expected) in prefixes {
        let mut decoder = Decoder::new(encoding, invalid);
        let found = match decoder.decode(payload) {
            Ok(Event::Message(message)) => {
                assert_eq!(message.content, b"\xe9\xff");
                Ok(message.prefix)
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.offset(), error.expected())),
        };
        assert_eq!(found, expected, "{encoding} {invalid}");
    }
}
