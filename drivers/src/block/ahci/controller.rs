// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controller: initialization, and the search for disks.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::port::{Disk, Port};
use super::registers::*;
use crate::hal::DeviceMemory;
use crate::hal::Registers;
use crate::hal::{Interrupt, nanoseconds, until};

/// How long the controller's reset may take (section 10.4.3).
const RESET_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a link may take to come up after that.
const LINK_TIMEOUT: Duration = Duration::from_millis(100);

/// Why a controller is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Its reset does not end.
    Silent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("it does not respond"),
        }
    }
}

impl core::error::Error for Error {}

/// A controller, up and running.
pub struct Controller<R, I> {
    pub(super) registers: R,
    pub(super) interrupt: I,
    /// The first address that it does not reach.
    pub(super) reach: u64,
}

impl<R: Registers, I: Interrupt> Controller<R, I> {
    /// Resets a controller.
    ///
    /// # Errors
    ///
    /// [`Error`] if it does not answer.
    pub async fn open(registers: R, interrupt: I) -> Result<Self, Error> {
        registers.write_u32(CONTROL, AHCI);
        registers.write_u32(CONTROL, AHCI | RESET);
        let is_reset = || (registers.read_u32(CONTROL) & RESET == 0).then_some(());
        until(&interrupt, RESET_TIMEOUT, is_reset).await.ok_or(Error::Silent)?;
        registers.write_u32(CONTROL, AHCI);
        registers.write_u32(CONTROL, AHCI | INTERRUPTS);
        let is_long = registers.read_u32(CAPABILITIES) & LONG_ADDRESSES != 0;
        let reach = if is_long { u64::MAX } else { 1 << 32 };
        Ok(Self { registers, interrupt, reach })
    }

    /// The disks there are, in the order of their ports. Each needs [`MEMORY`](super::MEMORY) bytes from
    /// `memory`; those for which there is none are left out.
    pub async fn disks<M: DeviceMemory>(&self, mut memory: impl FnMut() -> Option<M>) -> Vec<Disk<M>> {
        let there = self.registers.read_u32(PORTS);
        let ports: Vec<Port<'_, R, I>> = (0..MAX_PORTS)
            .filter(|number| there & 1 << number != 0)
            .map(|number| Port::new(self, number))
            .collect();
        ports.iter().for_each(Port::power_up);
        // All of them have the same time.
        let end = self.interrupt.now().saturating_add(nanoseconds(LINK_TIMEOUT));
        let mut disks = Vec::new();
        for port in ports {
            let left = Duration::from_nanos(end.saturating_sub(self.interrupt.now()));
            let linked = until(&self.interrupt, left, || port.is_linked().then_some(())).await;
            if linked.is_none() {
                continue;
            }
            let Some(memory) = memory() else { break };
            disks.extend(port.disk(memory).await);
        }
        disks
    }
}
