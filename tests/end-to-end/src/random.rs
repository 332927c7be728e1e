//! Seeded randomness: every random test prints its seed, and `PG2K_SEED` makes it run with the same again.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// Gives numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Takes the seed from `PG2K_SEED`, or makes one up, and prints it.
    pub fn from_environment() -> Self {
        let seed = match env::var("PG2K_SEED") {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("PG2K_SEED={text}: expected a number")),
            Err(_) => RandomState::new().hash_one(()),
        };
        // The test runner shows it when the test fails.
        #[allow(clippy::print_stdout, reason = "a seed that nobody sees cannot be used again")]
        {
            println!("PG2K_SEED={seed}");
        }
        Self(seed)
    }

    /// Starts at this seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Tells true in so many of a hundred cases.
    pub fn percent(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }

    /// Chooses an element of a slice that has one, by its index.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap())).unwrap()
    }
}
