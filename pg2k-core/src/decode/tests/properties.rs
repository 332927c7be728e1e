//! What holds of every payload. A failure prints the seed that it began with.

use fastrand::Rng;

use super::super::{Decoder, Event, layout, scan};
use super::generate::{Sample, pick};
use super::print::{describe, print};

/// Decoders that have to agree.
#[derive(Default)]
struct Decoders {
    /// It has seen what was decoded before.
    warm: Decoder,
}

type Decoded = Result<String, (usize, &'static str)>;

fn decoded(decoder: &mut Decoder, payload: &[u8]) -> Decoded {
    let event = decoder.decode(payload).map_err(|error| (error.offset(), error.expected()))?;
    let printed = print(&event, payload);
    assert_eq!(String::from_utf8_lossy(&printed), String::from_utf8_lossy(payload), "printed otherwise");
    assert_eq!(printed, payload, "printed otherwise");
    Ok(describe(&event))
}

impl Decoders {
    /// What a payload says, in all ways of decoding it. What is accepted is printed as it was.
    fn decode(&mut self, payload: &[u8]) -> Decoded {
        let cold = decoded(&mut Decoder::default(), payload);
        let text = || String::from_utf8_lossy(payload);
        assert_eq!(decoded(&mut self.warm, payload), cold, "warm and cold: {}", text());
        assert_eq!(decoded(&mut self.warm, payload), cold, "once more: {}", text());
        assert_eq!(decoded(&mut Decoder::default().forgetful(), payload), cold, "without layouts: {}", text());
        cold
    }
}

/// Calls for so many seeds; prints the one that fails.
fn for_seeds(count: u64, mut check: impl FnMut(&mut Rng)) {
    struct Failing(u64);
    impl Drop for Failing {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("seed {}", self.0);
            }
        }
    }
    for seed in 0..count {
        let failing = Failing(seed);
        check(&mut Rng::with_seed(seed));
        drop(failing);
    }
}

fn sample(random: &mut Rng) -> Sample {
    if random.u8(..4) == 0 { Sample::other(random) } else { Sample::row(random) }
}

#[test]
fn what_is_printed_comes_back() {
    let mut decoders = Decoders::default();
    for_seeds(8_000, |random| {
        let row = Sample::row(random);
        let said = decoders.decode(row.payload.as_bytes()).unwrap_or_else(|error| panic!("{error:?}: {}", row.payload));
        assert_eq!(without_layout(&said), row.said, "{}", row.payload);
        let other = Sample::other(random);
        let said = decoders.decode(other.payload.as_bytes());
        // That it is printed again says all of these.
        assert!(said.is_ok(), "{said:?}: {}", other.payload);
    });
}

/// The number of the layout stands between the operation and the columns.
fn without_layout(said: &str) -> String {
    let mut numbers = [" INSERT ", " UPDATE ", " DELETE "].iter().filter_map(|operation| {
        let (before, behind) = said.split_once(&format!(" }}{operation}"))?;
        let (_, columns) = behind.split_once(' ')?;
        Some((before.len(), format!("{before} }}{operation}{columns}")))
    });
    // A name may look like one; the first is it.
    let first = numbers.by_ref().min_by_key(|(place, _)| *place);
    first.map(|(_, said)| said).unwrap_or_default()
}

/// Cut off anywhere, a change of a row is an error, or a row of fewer columns or of another last value, exactly where
/// [`Sample::cuts`] says: the end of a payload is marked by nothing. That whole payloads arrive is up to the protocol.
#[test]
fn cut_payloads() {
    let mut decoders = Decoders::default();
    for_seeds(2_000, |random| {
        let row = Sample::row(random);
        let whole = decoders.decode(row.payload.as_bytes()).expect("what is printed");
        let accepted = (0..row.payload.len()).filter(|end| {
            let cut = decoders.decode(&row.payload.as_bytes()[..*end]);
            assert_ne!(cut.as_ref(), Ok(&whole), "{}", row.payload);
            cut.is_ok()
        });
        assert_eq!(accepted.collect::<Vec<_>>(), row.cuts, "{}", row.payload);
    });
}

/// Damaged anywhere, a payload is an error, or one that prints exactly as what was decoded of it: the decoder never takes two
/// payloads for the same, and makes nothing up.
#[test]
fn damaged_payloads() {
    let mut decoders = Decoders::default();
    for_seeds(300, |random| {
        let sample = sample(random);
        let payload = sample.payload.as_bytes();
        for at in 0..payload.len() {
            let mut removed = payload.to_vec();
            removed.remove(at);
            decoders.decode(&removed).ok();
            for byte in [
                *pick(random, &[&b' ', &b'\'', &b'"', &b'[', &b']']),
                *pick(random, &[&b':', &b'0', &b'E', &0, &0x80, &0xff]),
            ] {
                let mut replaced = payload.to_vec();
                replaced[at] = byte;
                decoders.decode(&replaced).ok();
                let mut inserted = payload.to_vec();
                inserted.insert(at, byte);
                decoders.decode(&inserted).ok();
            }
        }
    });
}

/// A relation's columns are changed between its payloads, one at a time.
#[test]
fn layouts_change() {
    let mut decoders = Decoders::default();
    let mut layouts = std::collections::HashMap::new();
    for_seeds(3_000, |random| {
        let mut columns = String::new();
        for name in ["a", "b", "\"c\"\"\"", "d", "e"] {
            if random.u8(..4) > 0 {
                let column = *pick(random, &[&"[text]:''", &"[integer]:1", &"[text]:'x'"]);
                columns += &format!(" {name}{column}");
            }
        }
        let operation = pick(random, &["INSERT:", "UPDATE:", "DELETE:", "UPDATE: old-key: a[integer]:7 new-tuple:"]);
        let payload = format!("table s.t: {operation}{columns}");
        decoders.decode(payload.as_bytes()).expect("a row");
        if let Ok(Event::Row(row)) = decoders.warm.decode(payload.as_bytes()) {
            let list = row.new.columns().map(|c| format!("{} {}", c.name(), c.type_name())).collect::<Vec<_>>();
            if let Some(layout) = row.layout {
                assert_eq!(*layouts.entry(list).or_insert(layout), layout, "the same list has the same number");
            }
        }
    });
    let numbers = layouts.values().collect::<std::collections::HashSet<_>>();
    assert_eq!(numbers.len(), layouts.len(), "other lists have other numbers");
    assert!(layouts.len() > 100);
}

/// What decoding costs grows as the payload does, in the bytes that are looked at: four times the payload, four times the work.
#[test]
fn work_is_linear() {
    type Shape = (&'static str, fn(usize) -> Vec<String>);
    const SHAPES: [Shape; 15] = [
        ("quotes", |n| vec![format!("table s.t: INSERT: a[text]:'{}'", "''".repeat(n))]),
        ("unterminated", |n| vec![format!("table s.t: INSERT: a[text]:'{}", "''".repeat(n))]),
        ("quotes in names", |n| vec![format!("table s.\"{}\": INSERT: \"{0}\"[\"{0}\"]:''", "\"\"".repeat(n))]),
        ("brackets", |n| vec![format!("table s.t: INSERT: a[b{}]:''", "[]".repeat(n))]),
        ("quotes in types", |n| vec![format!("table s.t: INSERT: a[{}]:''", "\"x\"[]".repeat(n))]),
        ("columns", |n| vec![format!("table s.t: INSERT:{}", " a[integer]:1".repeat(n))]),
        ("columns twice", |n| vec![format!("table s.t: INSERT:{}", " a[integer]:1".repeat(n)); 2]),
        ("a key of many columns", |n| {
            let columns = |from: usize| (from..n).map(|number| format!(" c{number}[integer]:1")).collect::<String>();
            let insert = format!("table s.t: INSERT:{}", columns(0));
            let odd = (0..n).filter(|number| number % 2 > 0).map(|number| format!(" c{number}[integer]:1"));
            let odd = format!("table s.t: DELETE:{}", odd.collect::<String>());
            vec![
                insert,
                format!("table s.t: DELETE:{}", columns(n - 1)),
                format!("table s.t: DELETE:{}", columns(n / 2)),
                odd,
            ]
        }),
        ("no column of a key is known", |n| {
            let columns = |name: &str| format!(" {name}[integer]:1").repeat(n);
            let update = format!("table s.t: UPDATE: old-key:{} new-tuple:{}", columns("b"), columns("a"));
            vec![format!("table s.t: INSERT:{}", columns("a")), update.clone(), update]
        }),
        ("other columns every time", |n| {
            let columns = |last: &str| format!("table s.t: INSERT:{} {last}[text]:''", " a[integer]:1".repeat(n));
            vec![columns("b"), columns("c"), columns("b"), columns("c")]
        }),
        ("relations", |n| vec![format!("table {}: TRUNCATE: cascade", vec!["s.\"T\""; n].join(", "))]),
        ("sizes", |n| vec![format!("message: transactional: 1 prefix: {}", ", sz: 1 content:".repeat(n))]),
        ("digits", |n| vec![format!("message: transactional: 1 prefix: , sz: {}", "1".repeat(n))]),
        ("backslashes", |n| vec![format!("PREPARE TRANSACTION E'{}'", r"\\".repeat(n)); 2]),
        ("digits of a number", |n| vec![format!("table s.t: INSERT: a[numeric]:{}", "1".repeat(n)); 2]),
    ];
    for (name, payloads) in SHAPES {
        let [small, large] = [1_000, 4_000].map(|size| {
            let mut decoder = Decoder::default();
            let payloads = payloads(size);
            let bytes = payloads.iter().map(String::len).sum::<usize>();
            let work = scan::work(|| {
                for payload in &payloads {
                    decoder.decode(payload.as_bytes()).map(|_| ()).ok();
                }
            });
            assert!(work <= 8 * bytes, "{name}: {work} bytes looked at, of {bytes}");
            work
        });
        assert!(large <= 5 * small.max(1_000), "{name}: {small}, then {large}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut decoder = Decoder::default();
    // The size is added up at every change, and held against what is there.
    for (number, expected) in (1..=layout::MAX_RELATIONS).chain([1, 2]).enumerate() {
        let payload = format!("table s.t{number}: INSERT: a[integer]:1");
        assert!(decoder.decode(payload.as_bytes()).is_ok());
        if expected < 10 || expected == layout::MAX_RELATIONS {
            assert_eq!(decoder.rows.layouts.usage().0, expected);
        }
    }
    let mut decode = |payload: String| {
        assert!(decoder.decode(payload.as_bytes()).is_ok());
        decoder.rows.layouts.usage()
    };
    let columns = (0..10_000).map(|number| format!(" column_{number}[integer]:1")).collect::<String>();
    let mut most = 0;
    for number in 0..100 {
        let (_, size) = decode(format!("table s.t{number}: INSERT:{columns}"));
        most = most.max(size);
        // One row more may come on top.
        assert!(size < layout::MAX_BYTES + 2_000_000);
    }
    assert!(most > layout::MAX_BYTES / 2);
    // Fewer columns than before are less to remember.
    let (_, before) = decode(format!("table s.t99: INSERT:{columns}"));
    let (_, after) = decode("table s.t99: INSERT: a[integer]:1".to_owned());
    assert!(after < before);
}
