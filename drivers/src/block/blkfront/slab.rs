// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values by small numbers, which are used again.

use alloc::vec::Vec;

/// Values by number.
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<usize>,
}

struct Entry<T> {
    value: Option<T>,
    /// How often the place was used before: part of a number that is never used twice.
    uses: u64,
}

/// Bits of a [key](Slab::key) that are the index.
const INDEX_BITS: u32 = 16;

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Adds a value, and returns its index; gives it back if there is no memory.
    pub(super) fn insert(&mut self, value: T) -> Result<usize, T> {
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(index)
        {
            entry.value = Some(value);
            return Ok(index);
        }
        let index = self.entries.len();
        // Room for the index in `free` too: removing never allocates.
        let more = index + 1 - self.free.len();
        if self.entries.try_reserve(1).is_err() || self.free.try_reserve(more).is_err() {
            return Err(value);
        }
        self.entries.push(Entry { value: Some(value), uses: 0 });
        Ok(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index)?.value.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let entry = self.entries.get_mut(index)?;
        let value = entry.value.take()?;
        entry.uses = entry.uses.wrapping_add(1);
        self.free.push(index);
        Some(value)
    }

    /// A number for the value at `index` that no later value has: what the backend is told. `None`
    /// beyond 65536 values.
    pub(super) fn key(&self, index: usize) -> Option<u64> {
        let entry = self.entries.get(index)?;
        (index >> INDEX_BITS == 0).then_some(entry.uses << INDEX_BITS | index as u64)
    }

    /// Removes the value with this key.
    pub(super) fn remove_key(&mut self, key: u64) -> Option<T> {
        let index = (key & ((1 << INDEX_BITS) - 1)) as usize;
        if self.key(index) == Some(key) { self.remove(index) } else { None }
    }

    /// Removes all values.
    pub(super) fn drain(&mut self) -> Vec<T> {
        (0..self.entries.len()).filter_map(|index| self.remove(index)).collect()
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_but_its_key_is_not() {
        let mut slab = Slab::new();
        let index = slab.insert('a').unwrap();
        let key = slab.key(index).unwrap();
        assert_eq!(slab.remove_key(key), Some('a'));
        assert_eq!(slab.insert('b'), Ok(index));
        assert_eq!(slab.remove_key(key), None);
        let key = slab.key(index).unwrap();
        assert_eq!(slab.remove_key(key), Some('b'));
        assert_eq!(slab.len(), 0);
    }

    #[test]
    fn keys_of_nobody_find_nothing() {
        let mut slab = Slab::new();
        slab.insert('a').unwrap();
        for key in [1, 1 << 16, u64::MAX] {
            assert_eq!(slab.remove_key(key), None);
        }
        assert_eq!(slab.len(), 1);
    }
}
