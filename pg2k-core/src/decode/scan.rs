//! Finds where words end. Most are a few bytes long, so what is called for longer ones is avoided for them.

use memchr::memchr;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Notes that so many bytes were looked at.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn spend(_bytes: usize) {}

#[cfg(test)]
thread_local! {
    static SPENT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Notes that so many bytes were looked at.
#[cfg(test)]
pub(super) fn spend(bytes: usize) {
    SPENT.set(SPENT.get() + bytes);
}

/// How many bytes are looked at in this.
#[cfg(test)]
pub(super) fn work(act: impl FnOnce()) -> usize {
    let before = SPENT.get();
    act();
    SPENT.get() - before
}

/// What follows `prefix` if the text begins with it.
#[inline(always)]
pub(super) fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    spend(prefix.len().min(text.len()));
    let (head, rest) = text.split_at_checked(prefix.len())?;
    is_equal(head, prefix).then_some(rest)
}

/// Whether two texts of the same length are the same.
#[inline(always)]
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    // Two words that overlap in the middle are compared faster than a call is made.
    if a.len() > 32 {
        return a == b;
    }
    if a.len() > 16 {
        return words::<16>(a, b);
    }
    if a.len() >= 8 {
        return words::<8>(a, b);
    }
    if a.len() >= 4 { words::<4>(a, b) } else { a.iter().eq(b) }
}

/// Whether the first and the last N bytes of both are the same.
#[inline(always)]
fn words<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<N>() == b.first_chunk::<N>() && a.last_chunk::<N>() == b.last_chunk::<N>()
}

/// Where this ASCII byte is first.
#[inline(always)]
pub(super) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let found = search(byte, text);
    spend(found.unwrap_or(text.len()));
    found
}

#[inline(always)]
fn search(byte: u8, text: &[u8]) -> Option<usize> {
    let sought = LOW.wrapping_mul(u64::from(byte));
    let mut rest = text;
    let mut offset = 0;
    while offset < 32 {
        let Some((word, behind)) = rest.split_first_chunk::<8>() else { break };
        let word = u64::from_le_bytes(*word) ^ sought;
        // The lowest bit set here is in the first byte that is zero.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(offset + bytes_below(zeros));
        }
        offset += 8;
        rest = behind;
    }
    if rest.len() < 8 {
        return rest.iter().position(|candidate| *candidate == byte).map(|found| offset + found);
    }
    memchr(byte, rest).map(|found| offset + found)
}

/// How many digits the text begins with.
#[inline(always)]
pub(super) fn digits(text: &[u8]) -> usize {
    let count = count_digits(text);
    spend(count);
    count
}

#[inline(always)]
fn count_digits(text: &[u8]) -> usize {
    const NIBBLE: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const DIGIT: u64 = 0x3030_3030_3030_3030;
    const SIX: u64 = 0x0606_0606_0606_0606;
    let mut rest = text;
    let mut count = 0;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // A digit's upper half is 3, also after 6 was added to it. What the addition carries over comes from a byte that is
        // no digit, and changes nothing before it.
        let others = ((word & NIBBLE) ^ DIGIT) | ((word.wrapping_add(SIX) & NIBBLE) ^ DIGIT);
        if others != 0 {
            return count + bytes_below(others);
        }
        count += 8;
        rest = behind;
    }
    count + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// How many bytes of the word are before the one that holds the lowest bit set.
#[inline(always)]
fn bytes_below(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_simple_ways_do() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100_000 {
            let length = random.usize(..70);
            let text = (0..length).map(|_| *b"'\"0123456789/:\xff\xfa&\xa7".get(random.usize(..18)).unwrap_or(&b'a'));
            let text = text.collect::<Vec<_>>();
            let from = random.usize(..=length);
            let rest = &text[from..];
            assert_eq!(find(b'\'', rest), rest.iter().position(|byte| *byte == b'\''));
            assert_eq!(digits(rest), rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
            let mut prefix = rest[..random.usize(..=rest.len())].to_vec();
            assert_eq!(strip(rest, &prefix), Some(&rest[prefix.len()..]));
            if let Some(byte) = random.choice(prefix.iter_mut()) {
                *byte ^= 1;
                assert_eq!(strip(rest, &prefix), None);
            }
        }
    }
}
