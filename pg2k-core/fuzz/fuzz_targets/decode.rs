//! Any bytes, decoded in every way there is: nothing panics, all ways agree, and what is accepted is what was printed.

#![no_main]

// The decoder by itself: see Cargo.toml. Its docs link to the rest of pg2k-core.
#[allow(dead_code, unused_imports)]
#[path = "../../src/decode/mod.rs"]
mod decode;
#[path = "../../src/decode/tests/print.rs"]
mod print;

use std::cell::RefCell;

use decode::{Decoder, Encoding, InvalidText};
use libfuzzer_sys::fuzz_target;

/// Decoders that live from one input to the next.
struct Lasting {
    /// It has seen other layouts of the relations that come.
    warm: Decoder,
    /// One for every encoding and every policy.
    others: Vec<Decoder>,
    inputs: usize,
}

impl Lasting {
    /// Inputs after which all decoders are made anew: a hundred of them remember more than the fuzzer may use.
    const MAX_INPUTS: usize = 200_000;

    fn new() -> Self {
        let of = |encoding| InvalidText::ALL.map(|invalid| Decoder::new(encoding, invalid));
        Self { warm: Decoder::default(), others: Encoding::all().flat_map(of).collect(), inputs: 0 }
    }
}

thread_local! {
    static LASTING: RefCell<Lasting> = RefCell::new(Lasting::new());
}

/// What is decoded, or where it failed and what was expected there.
fn describe(decoder: &mut Decoder, payload: &[u8]) -> Result<String, (usize, &'static str)> {
    let event = decoder.decode(payload).map_err(|error| (error.offset(), error.expected()))?;
    Ok(print::describe(&event))
}

fuzz_target!(|payload: &[u8]| {
    LASTING.with_borrow_mut(|lasting| {
        if lasting.inputs >= Lasting::MAX_INPUTS {
            *lasting = Lasting::new();
        }
        let Lasting { warm, others, inputs } = lasting;
        *inputs += 1;
        let cold = describe(&mut Decoder::default(), payload);
        assert_eq!(describe(warm, payload), cold, "warm and cold");
        assert_eq!(describe(warm, payload), cold, "once more");
        assert_eq!(describe(&mut Decoder::default().forgetful(), payload), cold, "without layouts");
        if let Ok(event) = Decoder::default().decode(payload) {
            let printed = print::print(&event, payload);
            // A time comes back in UTC.
            if printed != payload {
                assert!(payload.ends_with(b")") && !payload.ends_with(b"+00)"), "printed otherwise");
                assert_eq!(describe(&mut Decoder::default(), &printed), cold, "another time");
            }
        }
        // One of them an input, always the same for it: all would take nearly all of the time.
        let sum = payload.iter().fold(payload.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let count = others.len();
        if let Some(decoder) = others.get_mut(sum % count) {
            let found = describe(decoder, payload);
            assert!(found.is_ok() || cold.is_err() || !payload.is_ascii(), "ASCII is the same in all encodings");
            if let Err((offset, _)) = found {
                assert!(offset <= payload.len(), "an error is in the payload");
            }
        }
    });
});
