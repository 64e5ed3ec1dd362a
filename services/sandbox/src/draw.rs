//! Chance that repeats: numbers that depend on the seed and on nothing else, not even on a library's version.

use std::sync::atomic::{AtomicU64, Ordering};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scrambles a number (the SplitMix64 finalizer): neighbours give unrelated results.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stable 64-bit hash of a text (FNV-1a, then scrambled).
pub(crate) fn hash_text(text: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    mix(hash)
}

/// Whether a hash falls into a share of 0..1: the same things fall into it every time.
pub(crate) fn in_share(hash: u64, share: f64) -> bool {
    // 53 bits are what an f64 holds exactly.
    share > 0.0 && ((mix(hash) >> 11) as f64) < share * (1_u64 << 53) as f64
}

/// A sequence of numbers from one seed, for one caller.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(mix(seed) ^ mix(number.wrapping_mul(GOLDEN)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// 0 to `limit - 1`; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The high half of the product: no division, and a bias far below anything visible here.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}

/// Dice shared by all requests: the n-th roll of a seed always falls the same way.
pub(crate) struct Dice {
    seed: u64,
    rolls: AtomicU64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: mix(seed), rolls: AtomicU64::new(0) }
    }

    /// `true` with the probability given. Certain outcomes cost no roll, so switching an unrelated fault on does not
    /// shift those that never fire.
    pub(crate) fn roll(&self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        if probability >= 1.0 {
            return true;
        }
        in_share(self.seed ^ self.rolls.fetch_add(1, Ordering::Relaxed), probability)
    }

    /// 0 up to `highest`, which is among them; a `highest` of 0 costs no roll.
    pub(crate) fn up_to(&self, highest: u64) -> u64 {
        if highest == 0 {
            return 0;
        }
        let roll = self.rolls.fetch_add(1, Ordering::Relaxed);
        Draw::new(self.seed, roll).below(highest.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_way() {
        let rolls =
            |seed| (0..64).map(|_| ()).scan(Dice::new(seed), |d, ()| Some(d.roll(0.5))).collect::<Vec<_>>();
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn a_number_up_to_another_reaches_both_ends() {
        let dice = Dice::new(3);
        let mut seen = (0..200).map(|_| dice.up_to(3)).collect::<Vec<_>>();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((seen, dice.up_to(0)), (vec![0, 1, 2, 3], 0));
    }

    #[test]
    fn a_share_is_about_its_size() {
        let hits = (0..10_000).filter(|n| in_share(*n, 0.2)).count();
        assert!((1800..2200).contains(&hits), "{hits}");
        assert_eq!((0..1000).filter(|n| in_share(*n, 0.0)).count(), 0);
        assert_eq!((0..1000).filter(|n| in_share(*n, 1.0)).count(), 1000);
    }

    #[test]
    fn numbers_stay_below_their_limit() {
        let mut draw = Draw::new(1, 1);
        assert!((0..1000).all(|_| draw.below(8) < 8));
        assert_eq!(draw.below(0), 0);
    }
}
