// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that follow from a seed, for frontends that do anything.

/// A generator: xorshift64*.
pub(crate) struct Random {
    pub(crate) state: u64,
    /// Limits of numbers that make sense.
    pub(crate) high: u64,
    pub(crate) low: u64,
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something happens that happens once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Any number, or one close to the greatest, or below one of the limits, mostly the lower one.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next();
        match self.below(6) {
            0 => number,
            1 => u64::MAX - number % 3,
            2 => number % self.high,
            _ => number % self.low,
        }
    }
}
