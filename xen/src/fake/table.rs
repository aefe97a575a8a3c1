// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's side of the domain's grant table.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use xen_sys::grant_table::*;

use super::memory::Store;
use crate::grant::PAGE_SIZE;
use crate::shared::{Plain, Shared};

const IN_USE: u16 = GTF_reading | GTF_writing;

/// What a table of before a restore is filled with.
const NOBODYS: [u8; PAGE_SIZE] = [0xee; PAGE_SIZE];

/// How often Xen tries to mark an entry that the guest changes meanwhile.
const ATTEMPTS: u32 = 5;

pub(super) struct XenTable {
    pub(super) version: u32,
    pub(super) max_version: u32,
    pub(super) max_frames: u32,
    pub(super) frames: Vec<u64>,
    pub(super) status: Vec<u64>,
    /// What peers use, by reference.
    active: BTreeMap<u32, Active>,
    /// Frames of tables of before the domain was restored: nobody may write there.
    former: Vec<u64>,
}

/// A grant that a peer uses.
struct Active {
    entry: Entry,
    readers: u32,
    writers: u32,
}

/// What the guest wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    flags: u16,
    domain: u16,
    pub(super) frame: u64,
}

impl Entry {
    fn permits(self, domain: u16, write: bool) -> bool {
        self.flags & GTF_type_mask == GTF_permit_access
            && self.domain == domain
            && !(write && self.flags & GTF_readonly != 0)
    }

    fn without_marks(self) -> Self {
        Self { flags: self.flags & !IN_USE, ..self }
    }
}

/// What the toolstack put into the first two entries, whose pages dom0 has mapped: for the console
/// and for xenstore.
const RESERVED: [(u32, u64); 2] =
    [(GNTTAB_RESERVED_CONSOLE, 0xfeff_c000 >> 12), (GNTTAB_RESERVED_XENSTORE, 0xfeff_d000 >> 12)];

impl XenTable {
    pub(super) fn new(memory: &mut Store, max_frames: u32, max_version: u32) -> Self {
        let mut table = Self {
            version: 1,
            max_version,
            max_frames,
            frames: Vec::new(),
            status: Vec::new(),
            active: BTreeMap::new(),
            former: Vec::new(),
        };
        table.grow(memory, 1);
        table.write_reserved(memory);
        table
    }

    /// Begins an empty table, as that of a domain that is restored.
    pub(super) fn migrate(&mut self, memory: &mut Store) {
        let mut former = core::mem::take(&mut self.former);
        former.extend(self.frames.iter().chain(&self.status));
        for frame in &former {
            memory.vanish(*frame);
            memory.at(*frame).expect("frame of a table").write(NOBODYS);
        }
        *self = Self { former, ..Self::new(memory, self.max_frames, self.max_version) };
    }

    /// Makes the table have `frames` frames at least, within its limit.
    pub(super) fn grow(&mut self, memory: &mut Store, frames: u32) -> bool {
        if frames > self.max_frames {
            return false;
        }
        while self.frames.len() < frames as usize {
            self.frames.push(memory.add_other());
        }
        while self.version == 2 && self.status.len() < self.frames.len().div_ceil(8) {
            self.status.push(memory.add_other());
        }
        true
    }

    /// Switches to version 2: the frames are laid out anew, and what was in them is gone but for
    /// the reserved entries.
    pub(super) fn switch_to_version_2(&mut self, memory: &mut Store) {
        self.version = 2;
        for frame in &self.frames {
            memory.at(*frame).expect("frame of the table").write([0; PAGE_SIZE]);
        }
        self.grow(memory, self.frames.len() as u32);
        self.write_reserved(memory);
    }

    fn write_reserved(&self, memory: &Store) {
        for (reference, frame) in RESERVED {
            let flags = GTF_permit_access | if self.version == 1 { IN_USE } else { 0 };
            self.header(memory, reference).expect("reserved entry").write(flags.into());
            self.write_frame(memory, reference, frame);
        }
    }

    fn write_frame(&self, memory: &Store, reference: u32, frame: u64) {
        match self.version {
            1 => self.field::<u32>(memory, reference, 4).expect("entry").write(frame as u32),
            _ => self.field::<u64>(memory, reference, 8).expect("entry").write(frame),
        }
    }

    pub(super) fn entries(&self) -> u32 {
        (self.frames.len() * PAGE_SIZE / self.entry_bytes()) as u32
    }

    fn entry_bytes(&self) -> usize {
        if self.version == 1 { size_of::<grant_entry_v1>() } else { size_of::<grant_entry_v2>() }
    }

    fn field<T: Plain>(&self, memory: &Store, reference: u32, offset: usize) -> Option<Shared<T>> {
        let per_frame = PAGE_SIZE / self.entry_bytes();
        let frame = memory.at(*self.frames.get(reference as usize / per_frame)?)?;
        frame.field(reference as usize % per_frame * self.entry_bytes() + offset)
    }

    fn header(&self, memory: &Store, reference: u32) -> Option<Shared<u32>> {
        self.field(memory, reference, 0)
    }

    fn status_word(&self, memory: &Store, reference: u32) -> Option<Shared<u16>> {
        let frame = memory.at(*self.status.get(reference as usize / 2048)?)?;
        frame.field(reference as usize % 2048 * 2)
    }

    fn entry(&self, memory: &Store, reference: u32) -> Option<Entry> {
        let header = self.header(memory, reference)?.atomic().load(Ordering::SeqCst);
        let frame = match self.version {
            1 => self.field::<u32>(memory, reference, 4)?.read().into(),
            _ => self.field::<u64>(memory, reference, 8)?.read(),
        };
        Some(Entry { flags: header as u16, domain: (header >> 16) as u16, frame })
    }

    /// Lets `domain` use the grant, and says which frame it is of.
    pub(super) fn pin(
        &mut self,
        memory: &Store,
        reference: u32,
        domain: u16,
        write: bool,
    ) -> Result<u64, i16> {
        let entry = self.entry(memory, reference).ok_or(GNTST_bad_gntref)?;
        if let Some(active) = self.active.get_mut(&reference) {
            if active.entry.domain != domain || (write && active.entry.flags & GTF_readonly != 0) {
                return Err(GNTST_general_error);
            }
        } else if !entry.permits(domain, write) {
            return Err(GNTST_general_error);
        }
        self.mark(memory, reference, domain, write)?;
        let entry = self.entry(memory, reference).ok_or(GNTST_bad_gntref)?;
        let active = self.active.entry(reference).or_insert(Active {
            entry: entry.without_marks(),
            readers: 0,
            writers: 0,
        });
        if write {
            active.writers += 1;
        } else {
            active.readers += 1;
        }
        Ok(active.entry.frame)
    }

    fn mark(&self, memory: &Store, reference: u32, domain: u16, write: bool) -> Result<(), i16> {
        let marks = if write { IN_USE } else { GTF_reading };
        match self.version {
            1 => self.mark_entry(memory, reference, domain, write, marks),
            _ => self.mark_status(memory, reference, domain, write, marks),
        }
    }

    fn mark_entry(
        &self,
        memory: &Store,
        reference: u32,
        domain: u16,
        write: bool,
        marks: u16,
    ) -> Result<(), i16> {
        let header = self.header(memory, reference).ok_or(GNTST_bad_gntref)?;
        for _ in 0..ATTEMPTS {
            let entry = self.entry(memory, reference).ok_or(GNTST_bad_gntref)?;
            if !entry.permits(domain, write) {
                return Err(GNTST_general_error);
            }
            let before = u32::from(entry.flags) | u32::from(entry.domain) << 16;
            let after = before | u32::from(marks);
            let atomic = header.atomic();
            if atomic.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Ok(());
            }
        }
        Err(GNTST_general_error)
    }

    fn mark_status(
        &self,
        memory: &Store,
        reference: u32,
        domain: u16,
        write: bool,
        marks: u16,
    ) -> Result<(), i16> {
        let status = self.status_word(memory, reference).ok_or(GNTST_bad_gntref)?;
        let before = status.read();
        status.write(before | marks);
        fence(Ordering::SeqCst);
        let entry = self.entry(memory, reference).ok_or(GNTST_bad_gntref)?;
        if !self.active.contains_key(&reference) && !entry.permits(domain, write) {
            status.write(before);
            return Err(GNTST_general_error);
        }
        Ok(())
    }

    /// Ends one use of a grant.
    pub(super) fn unpin(&mut self, memory: &Store, reference: u32, write: bool) {
        let active = self.active.get_mut(&reference).expect("grant that is in use");
        if write {
            active.writers -= 1;
        } else {
            active.readers -= 1;
        }
        let mut unmark = if active.writers == 0 { GTF_writing } else { 0 };
        if active.writers + active.readers == 0 {
            unmark |= GTF_reading;
            self.active.remove(&reference);
        }
        self.unmark(memory, reference, unmark);
    }

    fn unmark(&self, memory: &Store, reference: u32, marks: u16) {
        if self.version == 1 {
            let header = self.header(memory, reference).expect("entry");
            header.atomic().fetch_and(!u32::from(marks), Ordering::SeqCst);
        } else {
            let status = self.status_word(memory, reference).expect("status word");
            fence(Ordering::SeqCst);
            status.write(status.read() & !marks);
        }
    }

    /// Checks that no entry was rewritten while a peer used it. In version 2 it may be cleared:
    /// that keeps others out, and is how a grant is ended there.
    pub(super) fn audit(&self, memory: &Store) {
        for frame in &self.former {
            let now = memory.at(*frame).expect("frame of a table").read();
            assert!(now == NOBODYS, "a table of before the domain was restored was written to");
        }
        for (reference, active) in &self.active {
            let now = self.entry(memory, *reference).expect("entry").without_marks();
            let cleared = Entry { flags: 0, domain: 0, ..active.entry };
            let fine = now == active.entry || (self.version == 2 && now == cleared);
            assert!(fine, "grant {reference} was changed to {now:?} while a peer used {:?}", active.entry);
        }
        for (reference, frame) in RESERVED {
            let now = self.entry(memory, reference).expect("entry").without_marks();
            let before = Entry { flags: GTF_permit_access, domain: 0, frame };
            assert!(now == before, "reserved entry {reference} was changed to {now:?}");
        }
    }

    /// Whether a peer may use the frame, or does.
    pub(super) fn shares(&self, memory: &Store, frame: u64) -> bool {
        self.active.values().any(|active| active.entry.frame == frame)
            || self.open(memory).any(|(_, entry)| entry.frame == frame)
    }

    pub(super) fn check_for_leaks(&self, memory: &Store) {
        if let Some((reference, entry)) = self.open(memory).next() {
            panic!("grant {reference} was leaked: {entry:?}");
        }
        if let Some(reference) = self.active.keys().next() {
            panic!("a peer still uses grant {reference}");
        }
    }

    /// The grants in the table, without the reserved ones.
    fn open(&self, memory: &Store) -> impl Iterator<Item = (u32, Entry)> {
        let references = GNTTAB_NR_RESERVED_ENTRIES..self.entries();
        let entries = references.filter_map(|reference| Some((reference, self.entry(memory, reference)?)));
        entries.filter(|(_, entry)| entry.flags != 0)
    }
}
