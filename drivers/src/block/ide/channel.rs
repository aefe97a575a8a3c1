// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of a channel, and how it takes commands.

use super::drive::Drive;
use crate::block::ata::{Failure, TIMEOUT};
use crate::hal::Ports;
use crate::hal::{Interrupt, until};
use core::time::Duration;

/// Where a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// First of the eight ports of the command block.
    pub command: u16,
    /// Port of the device control register, and of the alternate status.
    pub control: u16,
    /// First of the eight bus-master ports.
    pub bus_master: Option<u16>,
    /// The line of the old interrupt controllers that the channel raises.
    pub line: u8,
}

/// Ports of the command block.
const DATA: u16 = 0;
const ERROR: u16 = 1;
const COUNT: u16 = 2;
const ADDRESS: [u16; 3] = [3, 4, 5];
const DEVICE: u16 = 6;
const STATUS: u16 = 7;

/// Bits of the status.
const BUSY: u8 = 1 << 7;
const FAULT: u8 = 1 << 5;
const REQUEST: u8 = 1 << 3;
const FAILED: u8 = 1 << 0;
/// What a channel without drives reads as.
const NOBODY: u8 = 0xff;

/// Bits of the device register: addresses count sectors; and two that were always set.
const BY_SECTOR: u8 = 1 << 6 | 0xa0;
/// Device control: reset.
const RESET: u8 = 1 << 2;

/// How long a drive may take to show that it is there.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel with up to two drives.
pub struct Channel<'p, P: Ports + ?Sized, I: Interrupt> {
    pub(super) ports: &'p P,
    pub(super) resources: Resources,
    pub(super) interrupt: I,
}

impl<'p, P: Ports + ?Sized, I: Interrupt> Channel<'p, P, I> {
    /// The channel at `resources`.
    pub fn new(ports: &'p P, resources: Resources, interrupt: I) -> Self {
        Self { ports, resources, interrupt }
    }

    /// The drives there are. Takes them as they are: firmware or a hypervisor has reset them.
    pub async fn drives(&self) -> [Option<Drive>; 2] {
        // Both raise interrupts.
        self.ports.write_u8(self.resources.control, 0);
        [self.identify(0).await, self.identify(1).await]
    }

    /// Waits until nothing is on its way, and says what the status is then.
    pub(super) async fn until_idle(&self, timeout: Duration) -> Result<u8, Failure> {
        let look = || Some(self.alternate_status()).filter(|status| status & BUSY == 0);
        until(&self.interrupt, timeout, look).await.ok_or(Failure::Silent)
    }

    /// Waits until the drive asks for data to be moved. Takes its interrupt back.
    pub(super) async fn until_data(&self) -> Result<(), Failure> {
        self.until_idle(TIMEOUT).await?;
        match self.status()? {
            status if status & REQUEST != 0 => Ok(()),
            _ => Err(Failure::Confused),
        }
    }

    /// Waits until the command is done. Takes the interrupt back.
    pub(super) async fn until_done(&self) -> Result<(), Failure> {
        self.until_idle(TIMEOUT).await?;
        match self.status()? {
            status if status & REQUEST == 0 => Ok(()),
            _ => Err(Failure::Confused),
        }
    }

    /// Whether the drive that is selected is there: one that isn't has no status.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.alternate_status(), 0 | NOBODY)
    }

    /// The status, without taking back an interrupt.
    fn alternate_status(&self) -> u8 {
        self.ports.read_u8(self.resources.control)
    }

    /// The status, if it tells of no error. Takes the drive's interrupt back.
    pub(super) fn status(&self) -> Result<u8, Failure> {
        match self.read(STATUS) {
            NOBODY => Err(Failure::Silent),
            status if status & (FAILED | FAULT) != 0 => Err(Failure::Refused(self.read(ERROR))),
            status => Ok(status),
        }
    }

    /// Chooses a drive, and waits until it listens.
    pub(super) async fn select(&self, drive: u8) -> Result<(), Failure> {
        if self.alternate_status() == NOBODY {
            return Err(Failure::Silent);
        }
        self.until_idle(TIMEOUT).await?;
        self.write(DEVICE, BY_SECTOR | (drive & 1) << 4);
        // The drive has 400 ns to take the bus: as long as four looks.
        for _ in 0..4 {
            self.alternate_status();
        }
        self.until_idle(PRESENCE_TIMEOUT).await.map(drop)
    }

    /// Starts a command without an address.
    pub(super) fn start(&self, command: u8) {
        self.write(STATUS, command);
    }

    /// Starts a command for `count` sectors (1 to 256) from `sector` on, of the drive that is
    /// selected.
    pub(super) fn start_at(&self, drive: &Drive, command: u8, sector: u64, count: u16) {
        let bytes = sector.to_le_bytes();
        let [low, high] = count.to_le_bytes();
        if drive.identity.long_addresses {
            // The upper halves first.
            self.write(COUNT, high);
            for (register, byte) in ADDRESS.into_iter().zip(bytes.into_iter().skip(3)) {
                self.write(register, byte);
            }
        } else {
            let [_, _, _, top, ..] = bytes;
            self.write(DEVICE, BY_SECTOR | (drive.number & 1) << 4 | top & 0xf);
        }
        // 0 stands for 256 with short addresses; with long ones the upper half says it.
        self.write(COUNT, low);
        for (register, byte) in ADDRESS.into_iter().zip(bytes) {
            self.write(register, byte);
        }
        self.start(command);
    }

    /// Moves data in: a multiple of two bytes.
    pub(super) fn take_data(&self, data: &mut [u8]) {
        self.ports.read_u16s(self.resources.command.wrapping_add(DATA), data);
    }

    /// Moves data out: a multiple of two bytes.
    pub(super) fn give_data(&self, data: &[u8]) {
        self.ports.write_u16s(self.resources.command.wrapping_add(DATA), data);
    }

    /// Resets both drives.
    pub(super) async fn reset(&self) {
        self.ports.write_u8(self.resources.control, RESET);
        // Five microseconds, and then two milliseconds, at least.
        self.interrupt.wait(Duration::from_millis(1)).await;
        self.ports.write_u8(self.resources.control, 0);
        self.interrupt.wait(Duration::from_millis(3)).await;
        // A drive that stays silent makes the next command fail.
        let _ = self.until_idle(TIMEOUT).await;
    }

    fn read(&self, register: u16) -> u8 {
        self.ports.read_u8(self.resources.command.wrapping_add(register))
    }

    fn write(&self, register: u16, value: u8) {
        self.ports.write_u8(self.resources.command.wrapping_add(register), value);
    }
}
