// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that follow from a secret key.

use super::headers::Tuple;
use super::siphash::Key;

/// Numbers that follow from a secret key, and from nothing that others see.
pub(super) struct Random {
    key: Key,
    count: u64,
}

/// Numbers that belong to a connection.
#[derive(Clone, Copy)]
pub(super) struct Secret {
    /// By how much its sequence numbers are moved.
    pub(super) offset: u32,
    /// Where it is in a table.
    pub(super) place: usize,
}

/// What a number is for: the same inputs give others for another purpose.
const CONNECTION: u64 = 1;
const QUESTION: u64 = 2;
const NEXT: u64 = 3;

impl Random {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key: Key::new(key), count: 0 }
    }

    /// A connection's.
    pub(super) fn of_connection(&self, tuple: &Tuple) -> Secret {
        let hash = self.of(CONNECTION, tuple);
        Secret { offset: hash as u32, place: (hash >> 32) as usize }
    }

    /// What the ids of questions are combined with.
    pub(super) fn of_question(&self, tuple: &Tuple) -> u16 {
        self.of(QUESTION, tuple) as u16
    }

    fn of(&self, purpose: u64, tuple: &Tuple) -> u64 {
        let [a, b, c, d, e] = tuple.words();
        self.key.hash(&[purpose, a, b, c, d, e])
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.key.hash(&[NEXT, self.count])
    }
}
