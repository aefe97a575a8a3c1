// SPDX-License-Identifier: MIT OR Apache-2.0
//! NVM Express controllers, as QEMU's `-device nvme` is one, and as XCP-ng gives them to guests with UEFI
//! (NVM Express Base Specification 1.4, whose sections are meant below).
//!
//! A [`Controller`] does one command at a time, for any of its namespaces; a task [serves](Controller::serve)
//! them from a queue. The pages of a request are moved by the controller itself, without a copy.
//!
//! What a controller reports is not trusted: whatever it does, the worst is that its disks fail. One that is
//! silent for [`TIMEOUT`] is reset; one that breaks the protocol is disabled.

mod command;
mod controller;
#[cfg(test)]
mod fake;
mod namespace;
mod queue;
mod registers;
mod serve;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

pub use controller::{Controller, Error, MEMORY};
pub use namespace::{MAX_NAMESPACES, Namespace, Unfit};
pub use queue::Violation;
pub use registers::LENGTH;

use crate::pci::Function;

/// How long a controller may take for one command.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Controllers whose disks have names.
pub const MAX_CONTROLLERS: u8 = 16;

/// Whether a function is such a controller.
pub fn matches(function: &Function) -> bool {
    (function.class, function.interface) == (0x0108, 0x02)
}

/// The name of the disk that is the `namespace`th, counted from 1, of the `controller`th, counted from 0.
pub fn name(controller: u8, namespace: u8) -> String {
    format!("nvme{controller}n{namespace}")
}

/// The number of that disk: Linux's major number for such disks, and one that differs for each.
pub fn number(controller: u8, namespace: u8) -> u32 {
    259 << 8 | u32::from(controller % MAX_CONTROLLERS) << 4 | u32::from(namespace.saturating_sub(1) & 0xf)
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The controller says so; the status, with its type in the upper three bits (4.6.1.1).
    Refused(u16),
    /// The controller said nothing for [`TIMEOUT`].
    Silent,
    /// The controller broke the protocol: it is disabled.
    Broken(Violation),
    /// It was reset, and does not work any more: it is disabled.
    Lost,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => {
                write!(
                    f,
                    "the controller refused a command (type {}, code {:#04x})",
                    status >> 8,
                    status & 0xff
                )
            }
            Self::Silent => f.write_str("the controller does not respond; it is reset"),
            Self::Broken(violation) => write!(f, "the controller {violation}; it is disabled"),
            Self::Lost => f.write_str("the controller does not work after its reset; it is disabled"),
        }
    }
}

impl core::error::Error for Failure {}
