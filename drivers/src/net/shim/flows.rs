// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TCP connections that are known.

use alloc::vec::Vec;

use super::flow::Flow;
use super::headers::Tuple;

/// Connections that are kept: sets of a few. The stack has fewer sockets; one that is not kept works as well,
/// but for what it would have been kept for.
const SETS: usize = 64;
const IN_SET: usize = 8;

/// The connections that are known, as the network sees them.
pub(super) struct Flows {
    sets: Vec<Vec<Flow>>,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { sets: Vec::new() }
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }

    /// The connection of `tuple`, whose `place` says where it is.
    pub(super) fn get(&mut self, tuple: &Tuple, place: usize) -> Option<&mut Flow> {
        let set = self.sets.get_mut(place % SETS)?;
        set.iter_mut().find(|flow| flow.is_of(tuple))
    }

    /// The same; a new one, which begins at `sequence`, if there is none.
    pub(super) fn get_or_add(
        &mut self,
        tuple: &Tuple,
        place: usize,
        sequence: u32,
        now: u64,
    ) -> Option<&mut Flow> {
        self.sets.resize_with(SETS, Vec::new);
        let set = self.sets.get_mut(place % SETS)?;
        if let Some(index) = set.iter().position(|flow| flow.is_of(tuple)) {
            return set.get_mut(index);
        }
        if set.len() == IN_SET {
            let least = (0..IN_SET).min_by_key(|index| set.get(*index).map(Flow::worth))?;
            if least < set.len() {
                set.swap_remove(least);
            }
        }
        set.push(Flow::new(*tuple, sequence, now));
        set.last_mut()
    }
}
