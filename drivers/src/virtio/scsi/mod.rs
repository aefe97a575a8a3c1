// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver of SCSI controllers (Virtual I/O Device 1.2, 5.6), and of the disks behind them (SCSI Primary
//! Commands 4, SCSI Block Commands 3).
//!
//! A [`Controller`] does one command at a time, by its first request queue; a task
//! [serves](Controller::serve) requests to its disks. Of the other queues, that of control is for commands
//! that are to be given up: after one that does not end, the controller is. That of events is for disks that
//! come and go.
//!
//! Neither the controller nor a disk is trusted: whatever they do, the worst is that disks fail.

mod command;
mod controller;
mod scan;
mod serve;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use core::fmt;

pub use command::{Address, Sense};
pub use controller::{Controller, LIMIT};
pub use scan::{Disk, LeftOut, MAX_DISKS, Unfit};

use super::queue::Violation;

/// The name of the `index`th disk, counted from 0: `sda` and so on; there are letters for 26.
pub fn name(index: u8) -> String {
    format!("sd{}", char::from(b'a'.saturating_add(index)))
}

/// The number of that disk: Linux's major number for such disks, and 16 for each.
pub fn number(index: u8) -> u32 {
    (8 << 8) + (u32::from(index) << 4)
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The disk says why.
    Sense(Sense),
    /// The disk gives this status only.
    Status(u8),
    /// The controller could not pass it on, and gives this reason (5.6.6.1).
    Response(u8),
    /// Less was moved than was asked for.
    Short,
    /// The queue is broken: the controller is given up.
    Queue(Violation),
    /// A response makes no sense: the controller is given up.
    Nonsense,
    /// The controller did nothing for too long: it is given up.
    Silent,
    /// The controller has been reset, or asks for that: it is given up.
    Reset,
}

impl Failure {
    /// The response of a controller behind which there is no such target.
    const NO_TARGET: Self = Self::Response(3);

    /// Whether the controller is given up after it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Queue(_) | Self::Nonsense | Self::Silent | Self::Reset)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sense(sense) => write!(f, "the disk refused a command ({sense})"),
            Self::Status(status) => write!(f, "the disk refused a command (status {status:#04x})"),
            Self::Response(response) => write!(f, "the controller failed a command (response {response})"),
            Self::Short => f.write_str("the disk moved less than was asked for"),
            Self::Queue(violation) => violation.fmt(f),
            Self::Nonsense => f.write_str("it ends a command without a response"),
            Self::Silent => write!(f, "it did not end a command within {} s", LIMIT.as_secs()),
            Self::Reset => f.write_str("it has been reset, or needs to be"),
        }?;
        if self.is_final() { f.write_str("; it is disabled") } else { Ok(()) }
    }
}

impl core::error::Error for Failure {}
