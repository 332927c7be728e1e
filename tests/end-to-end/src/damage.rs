//! Payloads that the server never prints, made of such as it did.

use crate::grammar;
use crate::random::Random;

/// What is put in the place of something else, or beside it.
const BYTES: &[u8] = b" '\"[]:,.()-+aeBENtz019_\\\n\0\xff";

/// Cuts a payload off, or drops, replaces or adds a byte of its structure, so that there can be no such payload.
///
/// Gives nothing if chance does not find any.
///
/// # Panics
///
/// If there can be no such payload even before.
pub fn damaged(payload: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let whole = grammar::judge(payload);
    let structure =
        whole.unwrap_or_else(|| panic!("expected what the server prints, found {}", payload.escape_ascii())).structure;
    (0..20).map(|_| damage(payload, &structure, random)).find(|damaged| grammar::judge(damaged).is_none())
}

fn damage(payload: &[u8], structure: &[usize], random: &mut Random) -> Vec<u8> {
    let mut damaged = payload.to_vec();
    let place = structure[random.index(structure.len())];
    let byte = BYTES[random.index(BYTES.len())];
    match random.below(6) {
        // Inside a value as well.
        0 => damaged.truncate(random.index(payload.len())),
        1 => damaged.truncate(place),
        2 => drop(damaged.remove(place)),
        3 => damaged.insert(place, byte),
        4 => damaged.push(byte),
        _ => damaged[place] = byte,
    }
    damaged
}
