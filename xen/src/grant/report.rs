// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics of a table.

use core::fmt;

use xen_sys::grant_table::GNTTAB_NR_RESERVED_ENTRIES;

use super::Version;

/// Counts of a [`Table`](super::Table) at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Pages granted now.
    pub granted: u32,
    /// The most that were granted at once.
    pub peak: u32,
    /// Pages that a peer still uses beyond their grant, each with its reference.
    pub quarantined: u32,
    /// Such pages that there was no memory to note down: lost for good.
    pub abandoned: u32,
    /// Tasks that wait for a reference.
    pub waiting: u32,
    /// References that are free.
    pub free: u32,
    /// References in the table as large as it is now.
    pub references: u32,
    /// Frames of entries that the table has.
    pub frames: u32,
    /// Frames of entries that it may have.
    pub limit: u32,
    /// Its version.
    pub version: Version,
}

impl Report {
    /// References that can be had at once: the free ones, and those of the frames that the table may yet get.
    pub fn available(&self) -> u32 {
        let entries = self.limit.saturating_mul(self.version.entries_per_frame());
        let most = entries.saturating_sub(GNTTAB_NR_RESERVED_ENTRIES);
        self.free.saturating_add(most.saturating_sub(self.references))
    }

    /// Whether nothing is granted, in quarantine, reserved or lost: the check for leaks.
    pub fn is_idle(&self) -> bool {
        self.granted == 0 && self.quarantined == 0 && self.abandoned == 0 && self.free == self.references
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} granted (peak {}), {} in quarantine, {} lost, {} waiting; {} of {} references free; \
             {} of {} frames, version {}",
            self.granted,
            self.peak,
            self.quarantined,
            self.abandoned,
            self.waiting,
            self.free,
            self.references,
            self.frames,
            self.limit,
            self.version as u32,
        )
    }
}
