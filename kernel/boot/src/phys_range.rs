// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ranges of physical addresses.

use core::fmt;

/// Size of a page and of a frame in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// First address that no x86-64 machine can have: 2^52 (AMD64 Architecture Programmer's Manual,
/// volume 2, section 5.1: physical addresses have at most 52 bits).
pub const ADDRESS_LIMIT: u64 = 1 << 52;

/// First address that nothing can be mapped at, as virtual addresses are physical ones: 2^47, where the upper
/// half of virtual addresses begins to be cut off (section 5.3.1).
pub const MAPPED_LIMIT: u64 = 1 << 47;

/// A half-open range of physical addresses in bytes, possibly empty.
///
/// Holding one proves `start <= end <= ADDRESS_LIMIT`: it does not wrap and rounding it to pages
/// cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysRange {
    start: u64,
    end: u64,
}

impl PhysRange {
    /// The range from `start` up to but not including `end`; `None` if it is backwards or reaches
    /// beyond [`ADDRESS_LIMIT`].
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start <= end && end <= ADDRESS_LIMIT { Some(Self { start, end }) } else { None }
    }

    /// The `length` bytes from `start`; `None` if they wrap or reach beyond [`ADDRESS_LIMIT`].
    #[must_use]
    pub const fn with_length(start: u64, length: u64) -> Option<Self> {
        match start.checked_add(length) {
            Some(end) => Self::new(start, end),
            None => None,
        }
    }

    /// The `count` frames from frame `first`, as far as they lie below [`ADDRESS_LIMIT`].
    #[must_use]
    pub const fn frames(first: u64, count: u64) -> Self {
        let start = clamp(first.saturating_mul(PAGE_SIZE));
        let end = clamp(first.saturating_add(count).saturating_mul(PAGE_SIZE));
        Self { start, end }
    }

    /// The first byte's address.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The address after the last byte.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// What of it lies below `limit`, possibly nothing.
    #[must_use]
    pub const fn up_to(self, limit: u64) -> Self {
        let end = if self.end < limit { self.end } else { limit };
        Self { start: if self.start < end { self.start } else { end }, end }
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether some byte lies in both; an empty range overlaps nothing.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty() && !other.is_empty() && self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies inside completely.
    #[must_use]
    pub const fn encloses(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The smallest range of whole pages around this one.
    #[must_use]
    pub const fn outward(self) -> Self {
        Self { start: page_down(self.start), end: page_up(self.end) }
    }

    /// The largest range of whole pages inside this one; empty if there is none.
    #[must_use]
    pub const fn inward(self) -> Self {
        let (start, end) = (page_up(self.start), page_down(self.end));
        if start < end { Self { start, end } } else { Self { start, end: start } }
    }

    /// What is left of this range below `hole`, if anything.
    #[must_use]
    pub fn below(self, hole: Self) -> Option<Self> {
        let end = self.end.min(hole.start);
        (self.start < end).then_some(Self { start: self.start, end })
    }

    /// What is left of this range above `hole`, if anything.
    #[must_use]
    pub fn above(self, hole: Self) -> Option<Self> {
        let start = self.start.max(hole.end);
        (start < self.end).then_some(Self { start, end: self.end })
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Display for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

const fn page_down(address: u64) -> u64 {
    address & !PAGE_SIZE.wrapping_sub(1)
}

/// `address` is at most [`ADDRESS_LIMIT`], itself page-aligned, so nothing saturates.
const fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE_SIZE.wrapping_sub(1)))
}

const fn clamp(address: u64) -> u64 {
    if address < ADDRESS_LIMIT { address } else { ADDRESS_LIMIT }
}
