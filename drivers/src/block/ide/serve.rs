// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that does requests, one after the other.

use crate::hal::{PAGE_SIZE, Page};

use super::channel::Channel;
use super::dma::{Direction, Table};
use super::drive::{Drive, sectors, sectors_mut};
use crate::block::ata::{Failure, MAX_SECTORS as MAX, SECTOR};
use crate::block::{Buffer, Error, Failed, Queue, Request};
use crate::hal::Interrupt;
use crate::hal::Ports;

/// What is moved by one command, in pages.
const MAX_PAGES: usize = MAX * SECTOR as usize / PAGE_SIZE;

impl<P: Ports + ?Sized, I: Interrupt> Channel<'_, P, I> {
    /// Does the requests of `queue` to `drives`, for ever. With `page` and bus-master ports the
    /// controller moves data by itself. `report` is told of each failure.
    pub async fn serve<G: Page>(
        &self,
        drives: &[Option<Drive>; 2],
        queue: &Queue<G>,
        page: Option<G>,
        report: impl Fn(&Drive, Failure),
    ) {
        let mut table = page.and_then(Table::new).filter(|_| self.resources.bus_master.is_some());
        loop {
            let (number, request, done) = queue.next().await;
            let Some(drive) = drives.get(usize::from(number)).and_then(Option::as_ref) else { continue };
            done.tell(match self.perform(drive, request, &mut table).await {
                Ok(buffer) => Ok(buffer),
                Err((buffer, failure)) => {
                    report(drive, failure);
                    // One that refuses is ready for the next command.
                    if !matches!(failure, Failure::Refused(_)) {
                        self.reset().await;
                    }
                    Err(Failed { buffer, error: Error::Device })
                }
            });
        }
    }

    async fn perform<G: Page>(
        &self,
        drive: &Drive,
        request: Request<G>,
        table: &mut Option<Table<G>>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        match request {
            Request::Read { offset, buffer } => {
                self.transfer(drive, Direction::Read, offset, buffer, table).await
            }
            Request::Write { offset, buffer } => {
                self.transfer(drive, Direction::Write, offset, buffer, table).await
            }
            // No drive here discards: such requests are refused before they get here.
            Request::Flush | Request::Discard { .. } => match self.flush(drive).await {
                Ok(()) => Ok(Buffer::empty()),
                Err(failure) => Err((Buffer::empty(), failure)),
            },
        }
    }

    async fn transfer<G: Page>(
        &self,
        drive: &Drive,
        direction: Direction,
        offset: u64,
        buffer: Buffer<G>,
        table: &mut Option<Table<G>>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        let first = offset / u64::from(SECTOR);
        let by_dma = match (table, self.resources.bus_master) {
            (Some(table), Some(base)) if drive.identity.dma => Some((base, table)),
            _ => None,
        };
        match by_dma {
            Some((base, table)) => self.transfer_by_dma(base, drive, direction, first, buffer, table).await,
            None => self.transfer_by_port(drive, direction, first, buffer).await,
        }
    }

    async fn transfer_by_port<G: Page>(
        &self,
        drive: &Drive,
        direction: Direction,
        first: u64,
        mut buffer: Buffer<G>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        let total = buffer.length() / SECTOR as usize;
        for done in (0..total).step_by(MAX) {
            let count = (total - done).min(MAX) as u16;
            let sector = first.saturating_add(done as u64);
            let moved = match direction {
                Direction::Read => {
                    let part = sectors_mut(buffer.pieces_mut()).skip(done);
                    self.read_by_port(drive, sector, count, part).await
                }
                Direction::Write => {
                    let part = sectors(buffer.pieces()).skip(done);
                    self.write_by_port(drive, sector, count, part).await
                }
            };
            if let Err(failure) = moved {
                return Err((buffer, failure));
            }
        }
        Ok(buffer)
    }

    async fn transfer_by_dma<G: Page>(
        &self,
        base: u16,
        drive: &Drive,
        direction: Direction,
        first: u64,
        buffer: Buffer<G>,
        table: &mut Table<G>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        let (pages, length) = buffer.into_pages();
        for (index, part) in pages.chunks(MAX_PAGES).enumerate() {
            let start = index * MAX_PAGES * PAGE_SIZE;
            let bytes = (length - start).min(part.len() * PAGE_SIZE);
            let sector = first.saturating_add((start / SECTOR as usize) as u64);
            if !table.fill(part, bytes) {
                // Beyond the controller's reach: the whole once more, by the CPU.
                let buffer = Buffer::from_pages(pages, length);
                return self.transfer_by_port(drive, direction, first, buffer).await;
            }
            let count = (bytes / SECTOR as usize) as u16;
            match self.move_by_dma(base, drive, direction, (sector, count), table).await {
                Ok(()) => {}
                Err(Failure::Silent) => {
                    // Nobody knows whether the controller still writes there: the pages are lost.
                    core::mem::forget(pages);
                    return Err((Buffer::empty(), Failure::Silent));
                }
                Err(failure) => return Err((Buffer::from_pages(pages, length), failure)),
            }
        }
        Ok(Buffer::from_pages(pages, length))
    }
}
