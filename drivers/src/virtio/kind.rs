// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device types (Virtual I/O Device 1.2, 5).

/// A device's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A NIC.
    Network,
    /// A disk.
    Block,
    /// A console.
    Console,
    /// A controller of SCSI disks.
    Scsi,
    /// Any other, of this number (chapter 5).
    Other(u32),
}

impl Kind {
    /// The kind with this number; `None` for that of no device.
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            0 => None,
            1 => Some(Self::Network),
            2 => Some(Self::Block),
            3 => Some(Self::Console),
            8 => Some(Self::Scsi),
            other => Some(Self::Other(other)),
        }
    }
}
