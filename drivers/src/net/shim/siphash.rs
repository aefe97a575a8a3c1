// SPDX-License-Identifier: MIT OR Apache-2.0
//! SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short inputs, which without the key nobody can
//! tell from a random function.

/// A secret key.
#[derive(Clone, Copy)]
pub(super) struct Key {
    halves: [u64; 2],
}

impl Key {
    /// The key of these 16 bytes.
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self { halves: [number as u64, (number >> 64) as u64] }
    }

    /// The hash of `words`, as of their bytes, the lowest first.
    pub(super) fn hash(self, words: &[u64]) -> u64 {
        let [k0, k1] = self.halves;
        let mut state = State([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]);
        words.iter().for_each(|word| state.take(*word));
        // The last block holds the bytes that are left, here none, and the length.
        state.take((words.len() as u64 * 8) << 56);
        state.finish()
    }
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        (0..4).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }

    fn round(&mut self) {
        let [a, b, c, d] = self.0;
        let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
        let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
        let a = a.rotate_left(32);
        let (c, a) = (c.wrapping_add(b), a.wrapping_add(d));
        let (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
        self.0 = [a, b, c.rotate_left(32), d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples_come_out() {
        let key = Key::new(core::array::from_fn(|index| index as u8));
        let words = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(key.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key.hash(&words[..1]), 0x93f5_f579_9a93_2462);
        assert_eq!(key.hash(&words), 0x3f2a_cc7f_57c2_9bdb);
    }
}
