// SPDX-License-Identifier: MIT OR Apache-2.0
//! Regions of memory and their kinds.

use crate::PhysRange;

/// What a region of memory is, weakest claim first: where two claims overlap the later one in this
/// order holds.
///
/// The numbers firmware and Xen use are those of the ACPI specification's address range types
/// (`xen/include/public/arch-x86/hvm/start_info.h`, `XEN_HVM_MEMMAP_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// RAM free to use.
    Usable,
    /// ACPI tables; RAM once they have been read.
    AcpiReclaimable,
    /// ACPI storage that firmware needs for ever.
    AcpiNvs,
    /// Persistent memory.
    Persistent,
    /// Anything else that must not be touched.
    Reserved,
    /// RAM that is broken or switched off.
    Unusable,
}

impl Kind {
    /// The kind with this ACPI address range type; numbers not known are [`Kind::Reserved`].
    #[must_use]
    pub const fn from_acpi(number: u32) -> Self {
        match number {
            1 => Self::Usable,
            3 => Self::AcpiReclaimable,
            4 => Self::AcpiNvs,
            5 | 6 => Self::Unusable,
            7 => Self::Persistent,
            _ => Self::Reserved,
        }
    }

    /// One or two words for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::AcpiReclaimable => "ACPI tables",
            Self::AcpiNvs => "ACPI storage",
            Self::Persistent => "persistent",
            Self::Reserved => "reserved",
            Self::Unusable => "unusable",
        }
    }
}

/// A run of pages of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it lies: whole pages, not empty.
    pub range: PhysRange,
    /// What it is.
    pub kind: Kind,
}
