// SPDX-License-Identifier: MIT OR Apache-2.0
//! Suspicious values that did not stop the boot.

use core::fmt;

use arrayvec::ArrayVec;

/// A suspicious value in the loader's information, and what was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootNote {
    /// Text is longer than what is kept of it.
    TextTruncated {
        /// The text.
        what: &'static str,
        /// Bytes kept.
        limit: usize,
    },
    /// Text held bytes other than printable ASCII.
    TextReplaced {
        /// The text.
        what: &'static str,
    },
    /// Something optional is not in readable memory; it was ignored.
    Unreadable {
        /// The thing.
        what: &'static str,
        /// Physical address.
        address: u64,
    },
    /// A range that wraps around, runs backwards or lies where no memory can be; it was ignored.
    AbsurdRange {
        /// What was said to lie there.
        what: &'static str,
        /// First address.
        start: u64,
        /// Length in bytes.
        length: u64,
    },
    /// A list is longer than what is kept of it.
    TooMany {
        /// The list.
        what: &'static str,
        /// Entries there are.
        count: u64,
        /// Entries looked at.
        limit: u64,
    },
    /// A number that cannot be right was brought down to the highest sensible one.
    Clamped {
        /// The number.
        what: &'static str,
        /// What it was.
        found: u64,
        /// What is used instead.
        used: u64,
    },
    /// A structure ends before its contents do; the rest was ignored.
    CutShort {
        /// The structure.
        what: &'static str,
    },
    /// Two entries of the memory map claim the same page.
    Overlap {
        /// First address of the later entry.
        start: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// An entry of the memory map has memory that cannot be identity-mapped; that part is not used.
    OutOfReach {
        /// First address of the entry.
        start: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// An ACPI table has an absurd length or a wrong checksum; it was ignored.
    BadTable {
        /// What it calls itself.
        signature: [u8; 4],
        /// Physical address.
        address: u64,
    },
    /// The loader gave no memory map.
    NoMemoryMap,
    /// The loader gave no memory map, only how much memory there is below and above 1 MiB.
    SizesOnly,
    /// The memory map has more regions than are kept; some memory is not used.
    MapOverflowed,
}

impl fmt::Display for BootNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextTruncated { what, limit } => {
                write!(f, "{what} is too long; kept its first {limit} bytes")
            }
            Self::TextReplaced { what } => {
                write!(f, "{what} holds bytes that are not ASCII; replaced by '?'")
            }
            Self::Unreadable { what, address } => write!(f, "{what} at {address:#x} cannot be read; ignored"),
            Self::AbsurdRange { what, start, length } => {
                write!(f, "{what} cannot lie at {start:#x}, {length:#x} bytes; ignored")
            }
            Self::TooMany { what, count, limit } => {
                write!(f, "{what}: there are {count}, looked at the first {limit}")
            }
            Self::Clamped { what, found, used } => write!(f, "{what} cannot be {found:#x}; using {used:#x}"),
            Self::CutShort { what } => {
                write!(f, "{what} ends in the middle of an entry; the rest is ignored")
            }
            Self::Overlap { start, length } => write!(
                f,
                "memory map entry at {start:#x}, {length:#x} bytes, overlaps others; the stricter claim holds"
            ),
            Self::OutOfReach { start, length } => {
                write!(
                    f,
                    "memory map entry at {start:#x}, {length:#x} bytes, ends where nothing can be mapped; that part is not used"
                )
            }
            Self::BadTable { signature, address } => {
                write!(f, "ACPI table {} at {address:#x} is damaged; ignored", signature.escape_ascii())
            }
            Self::NoMemoryMap => f.write_str("the loader gave no memory map"),
            Self::SizesOnly => f.write_str("the loader gave no memory map; using its two memory sizes"),
            Self::MapOverflowed => {
                f.write_str("the memory map has too many regions; some memory is not used")
            }
        }
    }
}

/// The first notes, and how many there were beyond them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    kept: ArrayVec<BootNote, 16>,
    lost: u32,
}

impl Notes {
    /// Adds a note, unless the very same one is there already.
    pub fn push(&mut self, note: BootNote) {
        if !self.kept.contains(&note) && self.kept.try_push(note).is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Removes a note that turned out not to matter.
    pub fn forget(&mut self, note: BootNote) {
        self.kept.retain(|kept| *kept != note);
    }

    /// The notes kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BootNote> {
        self.kept.iter()
    }

    /// Number of notes that did not fit.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.lost
    }

    /// Whether there are no notes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
