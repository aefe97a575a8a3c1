// SPDX-License-Identifier: MIT OR Apache-2.0
//! AHCI controllers of SATA disks, as `hdtype="ahci"` gives them to Xen's HVM domains, and as QEMU's
//! machine `q35` has one (Serial ATA AHCI 1.3.1, whose sections are meant below).
//!
//! A [`Controller`] does one request at a time, for any of its disks; a task [serves](Controller::serve)
//! them from a queue. The pages of a request are moved by the controller itself, without a copy.
//!
//! What a drive reports is not trusted: whatever it does, the worst is a failed request. A drive that is
//! silent for [`TIMEOUT`] is reset, and so is the link to it.

mod command;
mod controller;
#[cfg(test)]
mod fake;
mod port;
mod registers;
mod serve;
#[cfg(test)]
mod tests;

pub use crate::block::ata::{Failure, Identity, TIMEOUT};
pub use controller::{Controller, Error};
pub use port::{Disk, MEMORY};
pub use registers::LENGTH;

use crate::pci::Function;

/// Whether a function is such a controller: one of SATA disks, and no hypervisor emulates another kind.
pub fn matches(function: &Function) -> bool {
    function.class == 0x0106
}
