// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's memory: frames by number.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use crate::grant::{Memory, PAGE_SIZE};
use crate::shared::Shared;

/// Frames that are not the domain's memory, Xen's own among them, are numbered from here.
const NOT_MEMORY: u64 = 0x7000_0000;

#[repr(align(4096))]
struct Contents(UnsafeCell<[u8; PAGE_SIZE]>);

pub(super) struct Store {
    frames: BTreeMap<u64, Box<Contents>>,
    next: u64,
    next_other: u64,
    /// Guest frames at which something else appears, and what.
    placed: BTreeMap<u64, u64>,
    /// Guest frames where the guest left room.
    holes: BTreeSet<u64>,
    /// Memory is never given back while the machine runs: a mistake must not become a crash.
    retired: Vec<Box<Contents>>,
}

impl Store {
    pub(super) fn new(first: u64) -> Self {
        Self {
            frames: BTreeMap::new(),
            next: first,
            next_other: NOT_MEMORY,
            placed: BTreeMap::new(),
            holes: BTreeSet::new(),
            retired: Vec::new(),
        }
    }

    /// A new frame of the domain's memory.
    pub(super) fn add(&mut self) -> u64 {
        let frame = self.next;
        self.next += 1;
        self.insert(frame)
    }

    /// A new frame of the domain's memory, at a number where there is nothing.
    pub(super) fn add_at(&mut self, frame: u64) {
        assert!(!self.has(frame), "frame {frame:#x} is there already");
        self.insert(frame);
    }

    /// Whether there is a frame of this number.
    pub(super) fn has(&self, frame: u64) -> bool {
        self.frames.contains_key(&frame)
    }

    /// A new frame that is not the domain's.
    pub(super) fn add_other(&mut self) -> u64 {
        let frame = self.other_number();
        self.insert(frame)
    }

    /// The number of a guest frame where there is nothing.
    pub(super) fn add_hole(&mut self) -> u64 {
        let hole = self.other_number();
        self.holes.insert(hole);
        hole
    }

    /// Takes a hole out of use, unless something is there.
    pub(super) fn remove_hole(&mut self, at: u64) -> bool {
        self.holes.remove(&at)
    }

    fn other_number(&mut self) -> u64 {
        self.next_other += 1;
        self.next_other - 1
    }

    fn insert(&mut self, frame: u64) -> u64 {
        self.frames.insert(frame, Box::new(Contents(UnsafeCell::new([0; PAGE_SIZE]))));
        frame
    }

    /// Has `frame` appear at guest frame `at`.
    pub(super) fn place(&mut self, frame: u64, at: u64) {
        assert!(self.holes.remove(&at), "guest frame {at:#x} is in use");
        self.placed.insert(at, frame);
    }

    /// Has nothing appear at guest frame `at` any more.
    pub(super) fn displace(&mut self, at: u64) {
        assert!(self.placed.remove(&at).is_some(), "nothing is at guest frame {at:#x}");
        self.holes.insert(at);
    }

    /// Has `frame` appear nowhere, wherever it did: what comes in its place is found there.
    pub(super) fn vanish(&mut self, frame: u64) {
        self.placed.retain(|_, placed| *placed != frame);
    }

    /// The guest frame at which `frame` appears.
    pub(super) fn place_of(&self, frame: u64) -> Option<u64> {
        self.placed.iter().find(|(_, placed)| **placed == frame).map(|(at, _)| *at)
    }

    pub(super) fn is_hole(&self, at: u64) -> bool {
        self.holes.contains(&at)
    }

    /// What is at a frame, as the guest or as Xen numbers it.
    pub(super) fn at(&self, frame: u64) -> Option<Memory> {
        // SAFETY: lives and stays in place as long as the machine; nobody makes references to it.
        self.address(frame).map(|address| unsafe { Shared::at(address) })
    }

    /// Where a frame is in this process.
    pub(super) fn address(&self, frame: u64) -> Option<u64> {
        let frame = self.placed.get(&frame).copied().unwrap_or(frame);
        Some(self.frames.get(&frame)?.0.get().expose_provenance() as u64)
    }

    /// Takes a frame away from the domain.
    pub(super) fn retire(&mut self, frame: u64) {
        self.retired.extend(self.frames.remove(&frame));
    }
}
