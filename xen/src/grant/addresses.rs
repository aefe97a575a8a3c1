// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses at which pages of other domains are mapped.

use alloc::vec::Vec;
use core::ops::Range;

use super::PAGE_SIZE;

/// Addresses outside of all memory, a page each, which are handed out once until they are given back.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Those that were never handed out, once it is known where they are.
    fresh: Option<Range<u64>>,
    free: Vec<u64>,
}

impl Addresses {
    /// It is not known yet where they are.
    pub const fn new() -> Self {
        Self { fresh: None, free: Vec::new() }
    }

    /// An address that nobody has: one that was given back, as page tables lead there already, or else the
    /// next one of those that `find` finds, which is asked until it finds some. `None` if there are no more.
    pub fn take(&mut self, find: impl FnOnce() -> Option<Range<u64>>) -> Option<u64> {
        if let Some(address) = self.free.pop() {
            return Some(address);
        }
        if self.fresh.is_none() {
            self.fresh = find();
        }
        let fresh = self.fresh.as_mut()?;
        let address = fresh.start;
        if fresh.end.saturating_sub(address) < PAGE_SIZE as u64 {
            return None;
        }
        fresh.start += PAGE_SIZE as u64;
        Some(address)
    }

    /// Has an address handed out again.
    pub fn give_back(&mut self, address: u64) {
        // Without memory to note it down it is lost; there are plenty.
        if self.free.try_reserve(1).is_ok() {
            self.free.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Range<u64> = 0x8000_0000..0x8000_3800;

    #[test]
    fn each_page_of_the_room_is_handed_out_once() {
        let mut addresses = Addresses::new();
        let taken: Vec<u64> = (0..5).map_while(|_| addresses.take(|| Some(ROOM))).collect();
        assert_eq!(taken, [0x8000_0000, 0x8000_1000, 0x8000_2000], "half a page is none");
    }

    #[test]
    fn the_one_that_was_given_back_last_is_handed_out_first() {
        let mut addresses = Addresses::new();
        let taken: Vec<u64> = (0..2).map_while(|_| addresses.take(|| Some(ROOM))).collect();
        taken.iter().for_each(|address| addresses.give_back(*address));
        let again = [(); 4].map(|()| addresses.take(|| panic!("it is known where they are")));
        assert_eq!(again, [Some(taken[1]), Some(taken[0]), Some(0x8000_2000), None]);
    }

    #[test]
    fn where_there_is_no_room_it_is_looked_for_again() {
        let mut addresses = Addresses::new();
        assert_eq!(addresses.take(|| None), None);
        assert_eq!(addresses.take(|| Some(ROOM)), Some(0x8000_0000));
    }
}
