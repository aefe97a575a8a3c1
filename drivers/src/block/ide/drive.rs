// SPDX-License-Identifier: MIT OR Apache-2.0
//! A drive: its identification, and transfers through the data port (PIO).

use super::channel::Channel;
use crate::block::ata::{FLUSH, FLUSH_LONG, Failure, IDENTIFY, Identity, LENGTH, SECTOR};
use crate::hal::Interrupt;
use crate::hal::Ports;

const READ: u8 = 0x20;
const READ_LONG: u8 = 0x24;
const WRITE: u8 = 0x30;
const WRITE_LONG: u8 = 0x34;

/// A drive that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// 0 or 1.
    pub number: u8,
    /// What it says of itself.
    pub identity: Identity,
}

impl<P: Ports + ?Sized, I: Interrupt> Channel<'_, P, I> {
    /// What drive `number` says of itself; `None` if it is not there, or no disk.
    pub(super) async fn identify(&self, number: u8) -> Option<Drive> {
        self.select(number).await.ok()?;
        if !self.is_there() {
            return None;
        }
        self.start(IDENTIFY);
        self.until_data().await.ok()?;
        let mut description = [0; LENGTH];
        self.take_data(&mut description);
        self.until_done().await.ok()?;
        Identity::parse(&description).map(|identity| Drive { number, identity })
    }

    /// Fills `sectors` (1 to 256 of them) from `first` on through the data port.
    pub(super) async fn read_by_port<'b>(
        &self,
        drive: &Drive,
        first: u64,
        count: u16,
        sectors: impl Iterator<Item = &'b mut [u8]>,
    ) -> Result<(), Failure> {
        self.select(drive.number).await?;
        self.start_at(drive, drive.identity.form(READ, READ_LONG), first, count);
        for sector in sectors.take(count.into()) {
            self.until_data().await?;
            self.take_data(sector);
        }
        self.until_done().await
    }

    /// Writes `sectors` (1 to 256 of them) from `first` on through the data port.
    pub(super) async fn write_by_port<'b>(
        &self,
        drive: &Drive,
        first: u64,
        count: u16,
        sectors: impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), Failure> {
        self.select(drive.number).await?;
        self.start_at(drive, drive.identity.form(WRITE, WRITE_LONG), first, count);
        for sector in sectors.take(count.into()) {
            self.until_data().await?;
            self.give_data(sector);
        }
        self.until_done().await
    }

    /// Makes all that was written durable.
    pub(super) async fn flush(&self, drive: &Drive) -> Result<(), Failure> {
        self.select(drive.number).await?;
        self.start(drive.identity.form(FLUSH, FLUSH_LONG));
        self.until_done().await
    }
}

/// Cuts pieces of memory into sectors.
pub(super) fn sectors<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> impl Iterator<Item = &'b [u8]> {
    pieces.flat_map(|piece| piece.chunks_exact(SECTOR as usize))
}

/// Cuts pieces of memory into sectors.
pub(super) fn sectors_mut<'b>(
    pieces: impl Iterator<Item = &'b mut [u8]>,
) -> impl Iterator<Item = &'b mut [u8]> {
    pieces.flat_map(|piece| piece.chunks_exact_mut(SECTOR as usize))
}
