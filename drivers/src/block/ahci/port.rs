// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port, which connects one drive and does one command at a time.

use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use super::command::{Command, HEADER, Region, TABLE};
use super::controller::Controller;
use super::registers::*;
use crate::block::ata::{Failure, IDENTIFY, Identity, LENGTH, TIMEOUT};
use crate::hal::DeviceMemory;
use crate::hal::Registers;
use crate::hal::{Interrupt, until};

/// Bytes of memory that a disk needs: the list of commands, the drive's messages, the only command's
/// table, and the drive's description.
pub const MEMORY: usize = 4096;
const LIST_PLACE: usize = 0;
const MESSAGES_PLACE: usize = 1024;
pub(super) const TABLE_PLACE: usize = 2048;
const DESCRIPTION_PLACE: usize = MEMORY - LENGTH;

const _: () = assert!(HEADER * 32 <= MESSAGES_PLACE && TABLE_PLACE + TABLE <= DESCRIPTION_PLACE);

/// How long a port may take to stop (section 10.1.2).
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a drive may take to be ready after a reset.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the reset of a link lasts at least (section 10.4.2).
const LINK_RESET_TIME: Duration = Duration::from_millis(1);

/// A disk.
pub struct Disk<M> {
    /// Its port.
    pub port: u8,
    /// What it says of itself.
    pub identity: Identity,
    pub(super) memory: M,
}

/// A port's registers.
pub(super) struct Port<'c, R, I> {
    controller: &'c Controller<R, I>,
    number: u8,
}

impl<'c, R: Registers, I: Interrupt> Port<'c, R, I> {
    pub(super) fn new(controller: &'c Controller<R, I>, number: u8) -> Self {
        Self { controller, number }
    }

    fn place(&self, register: usize) -> usize {
        FIRST_PORT + usize::from(self.number) * PORT + register
    }

    fn read(&self, register: usize) -> u32 {
        self.controller.registers.read_u32(self.place(register))
    }

    fn write(&self, register: usize, value: u32) {
        self.controller.registers.write_u32(self.place(register), value);
    }

    pub(super) fn power_up(&self) {
        self.write(COMMAND, self.read(COMMAND) | POWER | SPIN_UP);
    }

    /// Whether there is a drive that communicates.
    pub(super) fn is_linked(&self) -> bool {
        self.read(LINK) & LINK_MASK == LINK_UP
    }

    /// The disk at this port; `None` if what is there is none, or none that can be used.
    pub(super) async fn disk<M: DeviceMemory>(&self, memory: M) -> Option<Disk<M>> {
        let address = memory.address();
        let is_reached = address.saturating_add(MEMORY as u64) <= self.controller.reach;
        if memory.length() < MEMORY || !is_reached || self.stop().await.is_err() {
            return None;
        }
        for (register, place) in [(LIST, LIST_PLACE), (MESSAGES, MESSAGES_PLACE)] {
            let address = address.wrapping_add(place as u64);
            self.write(register, address as u32);
            self.write(register + 4, (address >> 32) as u32);
        }
        let identity = match self.start().await {
            Ok(()) if self.read(KIND) == DISK => self.identify(&memory).await,
            _ => None,
        };
        if identity.is_none() {
            let _ = self.stop().await;
        }
        identity.map(|identity| Disk { port: self.number, identity, memory })
    }

    async fn identify(&self, memory: &impl DeviceMemory) -> Option<Identity> {
        let identify = Command { number: IDENTIFY, first: 0, count: 0, writes: false };
        let place = memory.address().wrapping_add(DESCRIPTION_PLACE as u64);
        self.carry_out(memory, identify, &[(place, LENGTH)]).await.ok()?;
        let mut description = [0; LENGTH];
        memory.read(DESCRIPTION_PLACE, &mut description);
        Identity::parse(&description)
    }

    /// Does a command, with data to or from `regions`. Interrupts are raised only meanwhile.
    pub(super) async fn carry_out(
        &self,
        memory: &impl DeviceMemory,
        command: Command,
        regions: &[Region],
    ) -> Result<(), Failure> {
        if regions
            .iter()
            .any(|(address, length)| address.saturating_add(*length as u64) > self.controller.reach)
        {
            return Err(Failure::OutOfReach);
        }
        match self.read(COMMAND) & (START | WORKS) {
            // It did not stop when it was told to: who knows what it still reads.
            WORKS => return Err(Failure::Silent),
            0 => self.start().await?,
            _ => {}
        }
        memory.write(TABLE_PLACE, &command.table(regions));
        let table = memory.address().wrapping_add(TABLE_PLACE as u64);
        memory.write(LIST_PLACE, &command.header(table, regions.len()));
        self.take_causes();
        self.write(ENABLE, STATUS_CAME | FAILED);
        // Both, and the data, are in memory before the controller looks.
        fence(Ordering::SeqCst);
        self.write(ISSUED, 1);
        let look = || {
            let is_done = self.read(ISSUED) & 1 == 0;
            let causes = self.take_causes();
            (causes & FAILED != 0 || is_done).then_some(causes)
        };
        let causes = until(&self.controller.interrupt, TIMEOUT, look).await;
        fence(Ordering::SeqCst);
        self.write(ENABLE, 0);
        self.take_causes();
        let causes = causes.ok_or(Failure::Silent)?;
        let status = self.read(STATUS);
        match (causes & FAILED, status & (BUSY | ERROR)) {
            (0, 0) => Ok(()),
            (_, bits) if bits & ERROR != 0 => Err(Failure::Refused((status >> 8) as u8)),
            _ => Err(Failure::Confused),
        }
    }

    /// What has happened; the interrupt is taken back.
    fn take_causes(&self) -> u32 {
        let causes = self.read(CAUSES);
        if causes != 0 {
            self.write(CAUSES, causes);
            self.controller.registers.write_u32(RAISED, 1 << self.number);
        }
        causes
    }

    /// Makes the port usable again after a failure, as far as it can be. Afterwards the controller uses no
    /// memory but the port's own, and none before the next command.
    ///
    /// # Errors
    ///
    /// [`Failure::Silent`]: nobody knows what it still uses.
    pub(super) async fn recover(&self, memory: &impl DeviceMemory, failure: Failure) -> Result<(), Failure> {
        self.stop().await?;
        memory.write(LIST_PLACE, &[0; HEADER]);
        if matches!(failure, Failure::Refused(_)) && self.read(STATUS) & BUSY == 0 && self.is_linked() {
            return Ok(());
        }
        // The drive, and what emulates it, may still be at work: only this makes it stop.
        self.write(LINK_CONTROL, LINK_RESET);
        let _ = until(&self.controller.interrupt, LINK_RESET_TIME, || None::<()>).await;
        self.write(LINK_CONTROL, 0);
        let linked = || self.is_linked().then_some(());
        // If it does not come back, the next command will tell.
        let _ = until(&self.controller.interrupt, READY_TIMEOUT, linked).await;
        Ok(())
    }

    /// Has the port stop to use memory.
    async fn stop(&self) -> Result<(), Failure> {
        self.write(ENABLE, 0);
        self.write(COMMAND, self.read(COMMAND) & !START);
        let stopped = || (self.read(COMMAND) & WORKS == 0).then_some(());
        until(&self.controller.interrupt, STOP_TIMEOUT, stopped).await.ok_or(Failure::Silent)?;
        self.write(COMMAND, self.read(COMMAND) & !TAKE_MESSAGES);
        let stopped = || (self.read(COMMAND) & TAKES_MESSAGES == 0).then_some(());
        until(&self.controller.interrupt, STOP_TIMEOUT, stopped).await.ok_or(Failure::Silent)
    }

    /// Has the port work, once its drive is ready.
    async fn start(&self) -> Result<(), Failure> {
        self.write(LINK_ERRORS, !0);
        self.write(COMMAND, self.read(COMMAND) | TAKE_MESSAGES);
        let ready = || (self.read(STATUS) & BUSY == 0).then_some(());
        until(&self.controller.interrupt, READY_TIMEOUT, ready).await.ok_or(Failure::Confused)?;
        self.write(COMMAND, self.read(COMMAND) | START);
        Ok(())
    }
}
