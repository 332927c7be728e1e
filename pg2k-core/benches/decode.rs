//! How long decoding takes: per payload, and in bytes per second.
//!
//! One measurement is the decoding of one payload and a look at all its columns. `warm` is a decoder that has seen the
//! relation, which is what nearly every payload meets; `general` the same payloads without layouts; `first_sight` a decoder
//! that never saw the relation, and has to be made. Payloads of one shape come by turns.

use std::fmt::Write as _;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use pg2k_core::decode::{Decoder, Encoding, Event, InvalidText, Tuple};

fn main() {
    divan::main();
}

/// Rounds through a shape's payloads that one measurement makes, so that the clock costs nothing.
const ROUNDS: usize = 64;

/// Enough that the fastest is undisturbed on a machine that does other things as well.
const SAMPLES: u32 = 5_000;

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Five columns of different types.
    Narrow,
    /// What one transaction of pgbench changes: three updates and an insert, four tables.
    Pgbench,
    /// 100 columns.
    Wide,
    /// 100 columns that are deleted, with REPLICA IDENTITY FULL, a quarter of them null.
    WideDelete,
    /// A text of 100 KB.
    Long,
    /// A text with a quote every eight bytes.
    Quotes,
    /// Cyrillic text, in UTF-8.
    Cyrillic,
}

const SHAPES: [Shape; 7] =
    [Shape::Narrow, Shape::Pgbench, Shape::Wide, Shape::WideDelete, Shape::Long, Shape::Quotes, Shape::Cyrillic];

impl Shape {
    fn payloads(self) -> Vec<Vec<u8>> {
        let texts = match self {
            Self::Narrow => vec![
                "table public.orders: INSERT: id[bigint]:100042 customer[integer]:77062 note[text]:'to the door' \
                 paid[boolean]:true at[timestamp without time zone]:'2026-11-21 08:43:23.012345'"
                    .to_owned(),
            ],
            Self::Pgbench => vec![
                format!(
                    "table public.pgbench_accounts: UPDATE: aid[integer]:77062 bid[integer]:1 abalance[integer]:-2513 \
                     filler[character]:'{}'",
                    " ".repeat(84)
                ),
                "table public.pgbench_tellers: UPDATE: tid[integer]:3 bid[integer]:1 tbalance[integer]:-2513 \
                 filler[character]:null"
                    .to_owned(),
                "table public.pgbench_branches: UPDATE: bid[integer]:1 bbalance[integer]:-2513 filler[character]:null"
                    .to_owned(),
                "table public.pgbench_history: INSERT: tid[integer]:3 bid[integer]:1 aid[integer]:77062 \
                 delta[integer]:-2513 mtime[timestamp without time zone]:'2026-11-21 08:43:23.012345' \
                 filler[character]:null"
                    .to_owned(),
            ],
            Self::Wide => vec![format!("table public.wide: INSERT:{}", columns(|_| true))],
            Self::WideDelete => vec![
                format!("table public.wide: DELETE:{}", columns(|number| number % 4 != 0)),
                format!("table public.wide: UPDATE: id[integer]:1{}", columns(|_| true)),
            ],
            Self::Long => {
                vec![format!("table public.documents: INSERT: id[integer]:1 body[text]:'{}'", "text ".repeat(20_000))]
            }
            Self::Quotes => {
                vec![format!("table public.documents: INSERT: id[integer]:1 body[text]:'{}'", "quoted'' ".repeat(100))]
            }
            Self::Cyrillic => vec![format!(
                "table public.letters: INSERT: id[integer]:1 \"имя\"[text]:'Александр' body[text]:'{}'",
                "съешь ещё этих мягких французских булок ".repeat(5)
            )],
        };
        texts.into_iter().map(String::into_bytes).collect()
    }
}

/// Columns of 100 kinds by turns, those that are wanted.
fn columns(is_wanted: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for number in (0..100).filter(|number| is_wanted(*number)) {
        let value = match number % 5 {
            0 => format!("integer]:{}", number * 1_234),
            1 => format!("character varying]:'value {number}'"),
            2 => format!("numeric]:{number}.25"),
            3 => "timestamp with time zone]:'2026-11-21 08:43:23.012345+00'".to_owned(),
            _ => "boolean]:false".to_owned(),
        };
        let _infallible = write!(text, " column_{number}[{value}");
    }
    text
}

fn look(tuple: &Tuple<'_>) {
    for column in tuple.columns() {
        black_box(column);
    }
}

fn decode(decoder: &mut Decoder, payload: &[u8]) {
    match decoder.decode(black_box(payload)) {
        Ok(Event::Row(row)) => {
            black_box(row.relation);
            row.old.iter().for_each(look);
            look(&row.new);
        }
        other => {
            black_box(other.is_ok());
        }
    }
}

/// Measures a decoder that goes on from one payload to the next.
fn rounds(bencher: Bencher<'_, '_>, mut decoder: Decoder, payloads: &[Vec<u8>]) {
    let rounds = if payloads.iter().any(|payload| payload.len() > 10_000) { 1 } else { ROUNDS };
    let bytes = payloads.iter().map(Vec::len).sum::<usize>() * rounds;
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(payloads.len() * rounds)).bench_local(|| {
        for _ in 0..rounds {
            for payload in payloads {
                decode(&mut decoder, payload);
            }
        }
    });
}

#[divan::bench(args = SHAPES, sample_count = SAMPLES)]
fn warm(bencher: Bencher<'_, '_>, shape: Shape) {
    rounds(bencher, Decoder::default(), &shape.payloads());
}

#[divan::bench(args = SHAPES, sample_count = SAMPLES)]
fn general(bencher: Bencher<'_, '_>, shape: Shape) {
    rounds(bencher, Decoder::default().forgetful(), &shape.payloads());
}

#[divan::bench(args = SHAPES, sample_count = SAMPLES)]
fn first_sight(bencher: Bencher<'_, '_>, shape: Shape) {
    let payloads = shape.payloads();
    let bytes = payloads.iter().map(Vec::len).sum::<usize>();
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(payloads.len())).bench_local(|| {
        let mut decoder = Decoder::default();
        for payload in &payloads {
            decode(&mut decoder, payload);
        }
    });
}

/// The shape of Cyrillic text once more, from a database in WIN1251.
#[divan::bench(sample_count = SAMPLES)]
fn transcoded(bencher: Bencher<'_, '_>) {
    // In WIN1251 the letters of Russian but one are in the order that they have in Unicode.
    let letter = |letter: char| match u32::from(letter) {
        0x451 => 0xb8,
        code @ 0x410..=0x44f => u8::try_from(code - 0x410 + 0xc0).unwrap_or(b'?'),
        code => u8::try_from(code).unwrap_or(b'?'),
    };
    let payloads = Shape::Cyrillic.payloads();
    let payloads = payloads.iter().map(|payload| String::from_utf8_lossy(payload).chars().map(letter).collect());
    let payloads = payloads.collect::<Vec<_>>();
    rounds(bencher, Decoder::new(Encoding::Win1251, InvalidText::Fail), &payloads);
}
