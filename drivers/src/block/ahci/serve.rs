// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that does requests, one after the other.

use alloc::vec::Vec;

use crate::hal::{PAGE_SIZE, Page};

use super::command::{Command, MAX_REGIONS};
use super::controller::Controller;
use super::port::{Disk, Port};
use crate::block::ata::{
    FLUSH, FLUSH_LONG, Failure, READ_BY_DMA, READ_BY_DMA_LONG, SECTOR, WRITE_BY_DMA, WRITE_BY_DMA_LONG,
};
use crate::block::{Buffer, Error, Failed, Queue, Request};
use crate::hal::DeviceMemory;
use crate::hal::Interrupt;
use crate::hal::Registers;

impl<R: Registers, I: Interrupt> Controller<R, I> {
    /// Does the requests of `queue` to `disks`, whose numbers are their ports', for ever. `report` is
    /// told of each failure.
    pub async fn serve<G: Page, M: DeviceMemory>(
        &self,
        disks: &[Disk<M>],
        queue: &Queue<G>,
        report: impl Fn(&Disk<M>, Failure),
    ) {
        loop {
            let (number, request, done) = queue.next().await;
            let Some(disk) = disks.iter().find(|disk| disk.port == number) else { continue };
            done.tell(match self.perform(disk, request).await {
                Ok(buffer) => Ok(buffer),
                Err((buffer, failure)) => {
                    report(disk, failure);
                    Err(Failed { buffer, error: Error::Device })
                }
            });
        }
    }

    async fn perform<G: Page, M: DeviceMemory>(
        &self,
        disk: &Disk<M>,
        request: Request<G>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        let form = |short, long| disk.identity.form(short, long);
        match request {
            Request::Read { offset, buffer } => {
                let number = form(READ_BY_DMA, READ_BY_DMA_LONG);
                self.transfer(disk, Command { number, first: 0, count: 0, writes: false }, offset, buffer)
                    .await
            }
            Request::Write { offset, buffer } => {
                let number = form(WRITE_BY_DMA, WRITE_BY_DMA_LONG);
                self.transfer(disk, Command { number, first: 0, count: 0, writes: true }, offset, buffer)
                    .await
            }
            // No drive here discards: such requests are refused before they get here.
            Request::Flush | Request::Discard { .. } => {
                let number = form(FLUSH, FLUSH_LONG);
                let flush = Command { number, first: 0, count: 0, writes: false };
                let port = Port::new(self, disk.port);
                match port.carry_out(&disk.memory, flush, &[]).await {
                    Ok(()) => Ok(Buffer::empty()),
                    Err(failure) => {
                        let _ = port.recover(&disk.memory, failure).await;
                        Err((Buffer::empty(), failure))
                    }
                }
            }
        }
    }

    /// Moves a buffer, in as many commands like `command` as it needs.
    async fn transfer<G: Page, M: DeviceMemory>(
        &self,
        disk: &Disk<M>,
        command: Command,
        offset: u64,
        buffer: Buffer<G>,
    ) -> Result<Buffer<G>, (Buffer<G>, Failure)> {
        let port = Port::new(self, disk.port);
        let (pages, length) = buffer.into_pages();
        for (index, part) in pages.chunks(MAX_REGIONS).enumerate() {
            let start = index * MAX_REGIONS * PAGE_SIZE;
            let bytes = length.saturating_sub(start).min(part.len() * PAGE_SIZE);
            let starts = (0..bytes).step_by(PAGE_SIZE);
            // Frames are the controller's own addresses: nothing translates.
            let regions: Vec<(u64, usize)> = part
                .iter()
                .zip(starts)
                .map(|(page, start)| {
                    let address = page.frame().0.saturating_mul(PAGE_SIZE as u64);
                    (address, (bytes - start).min(PAGE_SIZE))
                })
                .collect();
            let first = (offset / u64::from(SECTOR)).saturating_add((start / SECTOR as usize) as u64);
            let command = Command { first, count: (bytes / SECTOR as usize) as u16, ..command };
            let Err(failure) = port.carry_out(&disk.memory, command, &regions).await else { continue };
            if failure != Failure::OutOfReach && port.recover(&disk.memory, failure).await.is_err() {
                // Nobody knows whether the controller still writes there: the pages are lost.
                core::mem::forget(pages);
                return Err((Buffer::empty(), failure));
            }
            return Err((Buffer::from_pages(pages, length), failure));
        }
        Ok(Buffer::from_pages(pages, length))
    }
}
