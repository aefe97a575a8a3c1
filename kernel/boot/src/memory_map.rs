// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory map: which pages are usable, and what the others are.

use arrayvec::ArrayVec;

use crate::{Kind, PAGE_SIZE, PhysRange, Region};

/// A normalised memory map of at most `N` regions (2 or more).
///
/// Always true of it: regions are sorted, hold whole pages, do not overlap, and neighbours that
/// touch differ in kind. A page is [`Kind::Usable`] only if an added usable range held all of it and
/// no other range touched it; the order in which ranges are added does not matter.
///
/// With more than `N` regions the map drops what costs the least address space: the smallest usable region,
/// or the gap between two regions that are not usable, which then counts as not usable. A page never becomes
/// usable that way. [`Self::overflowed`] tells that it happened; only then does the order of additions
/// matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap<const N: usize = 128> {
    regions: ArrayVec<Region, N>,
    overflowed: bool,
}

impl<const N: usize> MemoryMap<N> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N >= 2, "giving up a region needs two to choose from") };
        Self { regions: ArrayVec::new_const(), overflowed: false }
    }

    /// Notes that `range` is of this kind. Usable ranges are shrunk to whole pages, others grown.
    pub fn add(&mut self, range: PhysRange, kind: Kind) {
        let range = if kind == Kind::Usable { range.inward() } else { range.outward() };
        self.cut(range, |existing| existing < kind);
        self.fill(Region { range, kind });
    }

    /// Takes the pages that `range` touches out of the usable ones; the rest of the map stays.
    pub fn subtract(&mut self, range: PhysRange) {
        self.cut(range.outward(), |existing| existing == Kind::Usable);
    }

    /// The highest `bytes` of usable memory, in whole pages, highest first; less if there is not as much.
    pub fn highest(&self, bytes: u64) -> impl Iterator<Item = PhysRange> + '_ {
        let mut left = bytes.saturating_sub(bytes % PAGE_SIZE);
        self.usable().rev().map_while(move |range| {
            let part = left.min(range.len());
            left = left.saturating_sub(part);
            PhysRange::new(range.end().saturating_sub(part), range.end()).filter(|part| !part.is_empty())
        })
    }

    /// All regions in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Region> + Clone + '_ {
        self.regions.iter().copied()
    }

    /// The usable ranges in ascending order.
    pub fn usable(&self) -> impl DoubleEndedIterator<Item = PhysRange> + Clone + '_ {
        self.iter().filter(|region| region.kind == Kind::Usable).map(|region| region.range)
    }

    /// Bytes of usable memory.
    #[must_use]
    pub fn total_usable(&self) -> u64 {
        self.usable().fold(0, |sum, range| sum.saturating_add(range.len()))
    }

    /// The address after the last usable byte; 0 if there is none.
    #[must_use]
    pub fn usable_end(&self) -> u64 {
        self.usable().next_back().map_or(0, PhysRange::end)
    }

    /// The lowest usable range of `bytes` bytes that ends at or below `limit`, in whole pages.
    #[must_use]
    pub fn find(&self, bytes: u64, limit: u64) -> Option<PhysRange> {
        self.usable()
            .filter_map(|free| {
                PhysRange::with_length(free.start(), bytes).filter(|want| free.encloses(*want))
            })
            .map(PhysRange::outward)
            .find(|want| want.end() <= limit)
    }

    /// The lowest gap of `bytes` bytes, aligned to its size, between `least` and `limit`. No region is in it:
    /// neither memory nor addresses reserved for devices or by the CPU.
    #[must_use]
    pub fn gap(&self, bytes: u64, least: u64, limit: u64) -> Option<PhysRange> {
        let mut start = least.checked_next_multiple_of(bytes)?;
        loop {
            let range = PhysRange::with_length(start, bytes).filter(|range| range.end() <= limit)?;
            match self.iter().rev().find(|region| region.range.overlaps(range)) {
                Some(region) => start = region.range.end().checked_next_multiple_of(bytes)?,
                None => return Some(range),
            }
        }
    }

    /// Whether `range` shares a byte with a region of the map.
    #[must_use]
    pub fn overlaps(&self, range: PhysRange) -> bool {
        self.iter().any(|region| region.range.overlaps(range))
    }

    /// The region that holds `address`.
    #[must_use]
    pub fn region_of(&self, address: u64) -> Option<Region> {
        self.iter().find(|region| region.range.contains(address))
    }

    /// How many regions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.regions.len()
    }

    /// Whether the map is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Whether regions were dropped because there were more than `N`.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Removes `hole` from the regions whose kind is `weak`.
    fn cut(&mut self, hole: PhysRange, weak: impl Fn(Kind) -> bool) {
        let mut index = 0_usize;
        while let Some(region) = self.regions.get_mut(index) {
            if !region.range.overlaps(hole) || !weak(region.kind) {
                index = index.saturating_add(1);
                continue;
            }
            let kind = region.kind;
            match (region.range.below(hole), region.range.above(hole)) {
                (None, None) => {
                    self.regions.remove(index);
                }
                (Some(rest), None) | (None, Some(rest)) => region.range = rest,
                (Some(below), Some(above)) => {
                    region.range = below;
                    self.fill(Region { range: above, kind });
                    return; // the hole lay inside this one region: no other overlaps it
                }
            }
        }
    }

    /// Adds those parts of `region` that no region holds yet.
    fn fill(&mut self, region: Region) {
        let mut rest = Some(region.range);
        while let Some(gap) = rest.and_then(|rest| self.first_gap(rest)) {
            if self.join(gap, region.kind) {
                rest = region.range.above(gap);
            } else if self.regions.is_full() {
                self.give_up_least(); // and look again: the gap may be smaller now
            } else {
                let index = self.regions.partition_point(|other| other.range < gap);
                self.regions.insert(index, Region { range: gap, kind: region.kind });
                rest = region.range.above(gap);
            }
        }
    }

    /// The lowest part of `range` that no region holds.
    fn first_gap(&self, range: PhysRange) -> Option<PhysRange> {
        let mut rest = (!range.is_empty()).then_some(range)?;
        for region in self.regions.iter().filter(|region| region.range.overlaps(range)) {
            match rest.below(region.range) {
                Some(gap) => return Some(gap),
                None => rest = rest.above(region.range)?,
            }
        }
        Some(rest)
    }

    /// Grows a region of this kind that touches `gap`, if there is one.
    fn join(&mut self, gap: PhysRange, kind: Kind) -> bool {
        let touches = |other: PhysRange| other.end() == gap.start() || gap.end() == other.start();
        let neighbour = self.regions.iter_mut().find(|other| other.kind == kind && touches(other.range));
        let Some(neighbour) = neighbour else { return false };
        neighbour.range = neighbour.range.hull(gap);
        self.coalesce();
        true
    }

    /// Makes one region of neighbours that touch and are of one kind.
    fn coalesce(&mut self) {
        let mut last: Option<Region> = None;
        let mut merged = ArrayVec::<Region, N>::new();
        for region in &self.regions {
            match &mut last {
                Some(last) if last.kind == region.kind && last.range.end() == region.range.start() => {
                    last.range = last.range.hull(region.range);
                }
                _ => merged.extend(last.replace(*region)),
            }
        }
        merged.extend(last);
        self.regions = merged;
    }

    /// Makes room for one region where it costs the least address space.
    fn give_up_least(&mut self) {
        self.overflowed = true;
        match (self.smallest_usable(), self.closest_pair()) {
            (Some((size, _)), Some((gap, index))) if gap < size => self.bridge(index),
            (Some((_, index)), _) => {
                self.regions.remove(index);
            }
            (None, Some((_, index))) => self.bridge(index),
            (None, None) => {
                self.regions.pop(); // not reached: a full map holds a usable region or a pair
            }
        }
    }

    /// Size and index of the smallest usable region.
    fn smallest_usable(&self) -> Option<(u64, usize)> {
        let indexed = self.regions.iter().enumerate();
        indexed
            .filter(|(_, region)| region.kind == Kind::Usable)
            .map(|(index, region)| (region.range.len(), index))
            .min()
    }

    /// Gap and index of the first of the two closest neighbours that are both not usable.
    fn closest_pair(&self) -> Option<(u64, usize)> {
        let pairs = self.regions.iter().zip(self.regions.iter().skip(1)).enumerate();
        pairs
            .filter(|(_, (low, high))| low.kind != Kind::Usable && high.kind != Kind::Usable)
            .map(|(index, (low, high))| (high.range.start().saturating_sub(low.range.end()), index))
            .min()
    }

    /// Makes one region of the one at `index`, the next one and the gap between them.
    fn bridge(&mut self, index: usize) {
        let Some(next) = self.regions.get(index.saturating_add(1)).copied() else { return };
        if let Some(region) = self.regions.get_mut(index) {
            region.range = region.range.hull(next.range);
            region.kind = region.kind.max(next.kind);
            self.regions.remove(index.saturating_add(1));
        }
        self.coalesce();
    }
}

impl<const N: usize> Default for MemoryMap<N> {
    fn default() -> Self {
        Self::new()
    }
}
