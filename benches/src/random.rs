//! Choices that a run makes: cheap, and the same again from the same seed.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a few shifts a number. Good enough to
/// choose what to read.
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which MUST NOT be 0. Uniform but for 2^-64 × `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number in 0.0 .. 1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How often each thing that a log holds, in their order, is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Skew {
    /// All equally often.
    Uniform,
    /// The newest most: the n-th newest 1/n as often as the newest (Zipf's law with exponent 1). Of
    /// 10^6, half of all reads go to the newest 1,000.
    Zipf,
}

impl Skew {
    /// A position below `count`, which MUST NOT be 0; the highest is the newest.
    pub(crate) fn pick(self, count: u64, random: &mut Random) -> u64 {
        match self {
            Self::Uniform => random.below(count),
            Self::Zipf => {
                // (count + 1)^U rounded down is the rank r with probability ln((r + 1) / r) /
                // ln(count + 1): 1/r, smoothed.
                let rank = ((count + 1) as f64).powf(random.unit()) as u64;
                count - rank.clamp(1, count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 100_000;

    fn share_of_newest(skew: Skew, count: u64, newest: u64) -> f64 {
        let mut random = Random::new(1);
        let hits = (0..DRAWS)
            .filter(|_| skew.pick(count, &mut random) >= count - newest)
            .count();
        hits as f64 / DRAWS as f64
    }

    #[test]
    fn uniform_is_even() {
        for tenth in 1..=10 {
            let share = share_of_newest(Skew::Uniform, 1000, tenth * 100);
            assert!(
                (share - tenth as f64 / 10.0).abs() < 0.01,
                "{share} of the newest {tenth} tenths"
            );
        }
    }

    #[test]
    fn zipf_halves_at_the_square_root() {
        let share = share_of_newest(Skew::Zipf, 1_000_000, 1000);
        assert!((share - 0.5).abs() < 0.01, "{share}");
        // Harmonic numbers: H(1) / H(1,000,000) is 0.069, H(10) / H(1,000,000) 0.203.
        let share = share_of_newest(Skew::Zipf, 1_000_000, 10);
        assert!((share - 0.203).abs() < 0.04, "{share}");
    }

    #[test]
    fn every_position_is_in_range() {
        let mut random = Random::new(7);
        for skew in [Skew::Uniform, Skew::Zipf] {
            for count in [1, 2, 3, 255] {
                let drawn: std::collections::BTreeSet<_> =
                    (0..DRAWS).map(|_| skew.pick(count, &mut random)).collect();
                assert_eq!(drawn, (0..count).collect(), "{skew:?} of {count}");
            }
        }
    }
}
