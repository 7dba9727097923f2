//! The arithmetic of the digest: two lanes of 64 bits that are mixed by different bijections.

use std::ops::AddAssign;

use xxhash_rust::xxh3::xxh3_128;

/// The hash of a value, the seed of a column, or the sum of a row's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lanes {
    low: u64,
    high: u64,
}

impl Lanes {
    /// The seed from which all others derive.
    pub(crate) fn root(format: &str) -> Self {
        Self::of_bytes(format.as_bytes())
    }

    /// The seed of something with a name inside of what `self` is the seed of.
    pub(crate) fn derive(self, purpose: u8, name: &str) -> Self {
        let mut content = Vec::with_capacity(17 + name.len());
        content.extend_from_slice(&self.low.to_le_bytes());
        content.extend_from_slice(&self.high.to_le_bytes());
        content.push(purpose);
        content.extend_from_slice(name.as_bytes());
        Self::of_bytes(&content)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits")]
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let hash = xxh3_128(bytes);
        Self { low: hash as u64, high: (hash >> 64) as u64 }
    }

    /// The hash of a word under this seed; of several words when chained.
    #[inline]
    pub(crate) fn absorb(self, word: u64) -> Self {
        self.absorb_lanes(Self { low: word, high: word })
    }

    /// The hash of a hash under this seed.
    #[inline]
    pub(crate) fn absorb_lanes(self, other: Self) -> Self {
        Self { low: mix_low(self.low ^ other.low), high: mix_high(self.high ^ other.high) }
    }

    /// The hash of a row from the sum of its values. Lanes meet here, so that values can't move between rows unseen.
    #[inline]
    pub(crate) fn finish(self) -> u128 {
        let low = mix_low(self.low.wrapping_add(self.high.rotate_left(32)));
        let high = mix_high(self.high ^ low);
        u128::from(high) << 64 | u128::from(low)
    }
}

impl AddAssign for Lanes {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.low = self.low.wrapping_add(other.low);
        self.high = self.high.wrapping_add(other.high);
    }
}

/// The finalizer of `SplitMix64`.
#[inline]
fn mix_low(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The finalizer of `MurmurHash3`.
#[inline]
fn mix_high(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}
