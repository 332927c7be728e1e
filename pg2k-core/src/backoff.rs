//! How long to wait before the next attempt. No clock, no randomness.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Pauses between attempts to reach the server: the first and the longest.
pub(crate) const RECONNECT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

/// How long to wait after this many failures in a row (1 is the first): twice as long each time up to a bound, and of that the
/// upper half at random, so that many clients do not come back at once. `random` is any number.
pub(crate) fn backoff(pauses: RangeInclusive<Duration>, failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = pauses.start().saturating_mul(1 << doublings).min(*pauses.end());
    let half = longest / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let bounds = [(1, 50, 100), (2, 100, 200), (5, 800, 1_600), (9, 5_000, 10_000), (u32::MAX, 5_000, 10_000)];
        for (failures, shortest, longest) in bounds {
            for random in [0, 1, 12_345_678_901, u64::MAX] {
                let pause = backoff(RECONNECT, failures, random).as_millis();
                assert!((shortest..=longest).contains(&pause), "{failures} failures: {pause} ms");
            }
        }
    }
}
