// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDE disks: two channels with two drives each, as every PC had them and hypervisors emulate them
//! (AT Attachment 8, ACS-2; Programming Interface for Bus Master IDE Controller 1.0).
//!
//! A [`Channel`] does one request at a time, for either of its drives; a task [serves](Channel::serve)
//! them from a queue. Data goes by bus-master DMA where the controller has been given ports for it,
//! else through the data port, sector by sector.
//!
//! What a drive reports is not trusted: whatever it does, the worst is a failed request. A drive that is
//! silent for [`TIMEOUT`] is reset.

mod channel;
mod dma;
mod drive;
#[cfg(test)]
mod fake;
mod location;
mod serve;
#[cfg(test)]
mod tests;

pub use crate::block::ata::{Failure, Identity, TIMEOUT};
pub use channel::{Channel, Resources};
pub use drive::Drive;
pub use location::{Positions, name, number, resources};
