//! A seed → an endless, reproducible sequence of pseudo-random numbers.
//!
//! xoshiro256++ seeded through `SplitMix64`, both by Blackman and Vigna and in the public domain. A
//! generator of our own keeps a capture the same, byte for byte, whatever becomes of a library.

/// A small, fast pseudo-random generator; never for secrets.
pub struct Random {
    state: [u64; 4],
}

/// One step of `SplitMix64`: scatters a counter over all 64 bits.
pub fn scatter(value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let word = |index: u64| scatter(seed.wrapping_add(golden.wrapping_mul(index)));
        Self {
            state: [word(0), word(1), word(2), word(3)],
        }
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let mixed_c = c ^ a;
        let mixed_d = d ^ b;
        self.state = [
            a ^ mixed_d,
            b ^ mixed_c,
            mixed_c ^ (b << 17),
            mixed_d.rotate_left(45),
        ];
        result
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in `among` draws.
    pub fn one_in(&mut self, among: u64) -> bool {
        self.below(among) == 0
    }

    /// One of `choices`, each as likely as the others.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// Appends `count` bytes to `bytes`.
    pub fn append(&mut self, bytes: &mut Vec<u8>, count: usize) {
        let start = bytes.len();
        bytes.resize(start + count, 0);
        self.fill(&mut bytes[start..]);
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
