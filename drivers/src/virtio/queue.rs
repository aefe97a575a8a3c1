// SPDX-License-Identifier: MIT OR Apache-2.0
//! A split virtqueue (Virtual I/O Device 1.2, 2.7), whose device is not trusted.
//!
//! Nothing that was written for the device is read back: which descriptors are free, and which chains the
//! device has, is kept in private memory. Each word of the device is read once and checked. The first
//! impossible one is a [`Violation`], after which the queue reports nothing else.

use alloc::vec::Vec;
use core::fmt;

use crate::hal::RingMemory;

/// The most descriptors that a queue is given.
pub const MAX: u16 = 128;
/// Bytes of memory that a queue needs: what the driver writes in the first page, what the device writes
/// behind it. So devices of the time before version 1 find it, and for others it is as good.
pub const MEMORY: usize = 2 * PAGE;
/// Where in that memory its owner may keep something, up to the end.
pub const SPARE: usize = MEMORY - 2048;

const PAGE: usize = 4096;
/// Bytes of a descriptor, and its flags.
const DESCRIPTOR: usize = 16;
const NEXT: u16 = 1 << 0;
const WRITE: u16 = 1 << 1;
/// Both rings begin with flags and an index; entries follow.
const INDEX: usize = 2;
const ENTRIES: usize = 4;
const USED_ENTRY: usize = 8;
const USED: usize = PAGE;
/// Flag of the side that does not want to be told of anything.
const QUIET: u16 = 1 << 0;

// Rings of that many descriptors stay clear of what follows.
const _: () = assert!(MAX as usize * (DESCRIPTOR + 2) + 6 <= PAGE);
const _: () = assert!(USED + MAX as usize * USED_ENTRY + 6 <= SPARE);

/// Who uses the memory of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The device reads it.
    Read,
    /// The device writes it.
    Write,
}

/// A descriptor: memory that the device is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its address.
    pub address: u64,
    /// Its length in bytes.
    pub length: u32,
    /// What the device does with it.
    pub access: Access,
}

/// There are not enough free descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// How the device broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It claims to have used more than it has.
    Index,
    /// It gives back what it does not have.
    Id,
    /// It claims to have written more than there was room for.
    Length,
}

impl Violation {
    /// A description.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Index => "it claims to have used more buffers than it has",
            Self::Id => "it names a buffer that it was not given",
            Self::Length => "it claims to have written more than a buffer holds",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Violation {}

/// Descriptors that the device has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// What they were added with.
    pub tag: u16,
    /// How many bytes the device says that it wrote: not more than there was room for.
    pub written: u32,
}

/// Where a queue's parts are, for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// The descriptors.
    pub descriptors: u64,
    /// What the driver writes besides.
    pub driver: u64,
    /// What the device writes.
    pub device: u64,
}

/// What the device has, by its first descriptor.
struct Chain {
    last: u16,
    descriptors: u16,
    room: u32,
    tag: u16,
}

/// A queue.
pub struct Queue<M> {
    memory: M,
    /// Number of descriptors, a power of two.
    size: u16,
    /// Which descriptor follows each: in its chain, or among those that are free.
    next: Vec<u16>,
    free: u16,
    free_count: u16,
    chains: Vec<Option<Chain>>,
    in_flight: u16,
    /// The device may count what it reads as written.
    counts_reads: bool,
    /// How often something was added, and taken back: indices of the rings, which wrap.
    added: u16,
    taken: u16,
    violation: Option<Violation>,
}

impl<M: RingMemory> Queue<M> {
    /// A queue in [`MEMORY`] bytes of memory, which are zero, with as many descriptors as the device allows
    /// and are `wanted`: the largest power of two, up to [`MAX`]. `None` if there is no memory, or not a
    /// single descriptor.
    pub fn new(memory: M, allowed: u32, wanted: u16) -> Option<Self> {
        let limit = u16::try_from(allowed).unwrap_or(u16::MAX).min(wanted).min(MAX);
        let size = 1 << limit.checked_ilog2()?;
        if memory.length() < MEMORY {
            return None;
        }
        let (mut next, mut chains) = (Vec::new(), Vec::new());
        next.try_reserve_exact(size.into()).ok()?;
        chains.try_reserve_exact(size.into()).ok()?;
        next.extend(1..=size);
        chains.extend((0..size).map(|_| None));
        Some(Self {
            memory,
            size,
            next,
            free: 0,
            free_count: size,
            chains,
            in_flight: 0,
            counts_reads: false,
            added: 0,
            taken: 0,
            violation: None,
        })
    }

    /// The same, but its device may count what it reads as written. QEMU's SCSI controllers do.
    pub(super) fn counting_reads(self) -> Self {
        Self { counts_reads: true, ..self }
    }

    /// Number of descriptors.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Number of descriptors that are free.
    pub fn free(&self) -> usize {
        self.free_count.into()
    }

    /// The queue's memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Where its parts are.
    pub fn areas(&self) -> Areas {
        let at = |offset: usize| self.memory.address().wrapping_add(offset as u64);
        Areas { descriptors: at(0), driver: at(self.available()), device: at(USED) }
    }

    /// Where the ring of what the device may use begins.
    fn available(&self) -> usize {
        usize::from(self.size) * DESCRIPTOR
    }

    /// Gives the device memory, that which it reads first. It is its own until [`take`](Self::take)
    /// returns `tag`.
    ///
    /// # Errors
    ///
    /// [`Full`], also after a violation.
    pub fn add(&mut self, descriptors: &[Descriptor], tag: u16) -> Result<(), Full> {
        if descriptors.is_empty() || descriptors.len() > self.free() || self.violation.is_some() {
            return Err(Full);
        }
        let head = self.free;
        let (mut last, mut room) = (head, 0_u32);
        for (index, descriptor) in (1..).zip(descriptors) {
            last = self.free;
            self.free = self.next.get(usize::from(last)).copied().unwrap_or_default();
            let more = if index < descriptors.len() { NEXT } else { 0 };
            let write = if descriptor.access == Access::Write { WRITE } else { 0 };
            let is_counted = write != 0 || self.counts_reads;
            room = room.saturating_add(if is_counted { descriptor.length } else { 0 });
            self.write_descriptor(last, descriptor, more | write, self.free);
        }
        let descriptors = descriptors.len() as u16;
        if let Some(place) = self.chains.get_mut(usize::from(head)) {
            *place = Some(Chain { last, descriptors, room, tag });
        }
        self.free_count -= descriptors;
        self.in_flight += 1;
        let slot = usize::from(self.added & (self.size - 1));
        self.memory.write(self.available() + ENTRIES + 2 * slot, &head.to_le_bytes());
        self.added = self.added.wrapping_add(1);
        self.memory.store(self.available() + INDEX, self.added);
        Ok(())
    }

    fn write_descriptor(&self, number: u16, descriptor: &Descriptor, flags: u16, next: u16) {
        let low = u128::from(descriptor.address) | u128::from(descriptor.length) << 64;
        let descriptor = low | u128::from(flags) << 96 | u128::from(next) << 112;
        self.memory.write(usize::from(number) * DESCRIPTOR, &descriptor.to_le_bytes());
    }

    /// Whether the device has used something that was not taken back.
    pub fn has_used(&self) -> bool {
        self.memory.load(USED + INDEX) != self.taken
    }

    /// Takes back what the device has used, one after the other.
    ///
    /// # Errors
    ///
    /// A violation, now or before: nobody knows what the device still uses.
    pub fn take(&mut self) -> Result<Option<Used>, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        match self.memory.load(USED + INDEX).wrapping_sub(self.taken) {
            0 => Ok(None),
            count if count <= self.in_flight => {
                self.take_next().map(Some).inspect_err(|violation| self.violation = Some(*violation))
            }
            _ => {
                self.violation = Some(Violation::Index);
                Err(Violation::Index)
            }
        }
    }

    fn take_next(&mut self) -> Result<Used, Violation> {
        let slot = usize::from(self.taken & (self.size - 1));
        let mut entry = [0; USED_ENTRY];
        self.memory.read(USED + ENTRIES + slot * USED_ENTRY, &mut entry);
        let entry = u64::from_le_bytes(entry);
        let (head, written) = (entry as u32, (entry >> 32) as u32);
        let place = self.chains.get_mut(head as usize).ok_or(Violation::Id)?;
        let chain = place.take().ok_or(Violation::Id)?;
        if written > chain.room {
            return Err(Violation::Length);
        }
        // Back to those that are free, the whole chain at once.
        if let Some(next) = self.next.get_mut(usize::from(chain.last)) {
            *next = self.free;
        }
        self.free = head as u16;
        self.free_count += chain.descriptors;
        self.in_flight -= 1;
        self.taken = self.taken.wrapping_add(1);
        Ok(Used { tag: chain.tag, written })
    }

    /// Whether the device wants to be told of what was added.
    pub fn wants_notification(&self) -> bool {
        // It says so, and then looks for what was added; we add, and then look whether it says so.
        self.memory.barrier();
        self.memory.load(USED) & QUIET == 0
    }

    /// Asks not to be told of what the device uses. It may tell all the same.
    pub fn disable_notifications(&mut self) {
        self.memory.store(self.available(), QUIET);
    }

    /// Asks to be told of what the device uses from now on. It may have used something before it saw that:
    /// the caller looks once more.
    pub fn enable_notifications(&mut self) {
        self.memory.store(self.available(), 0);
        self.memory.barrier();
    }
}
