// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that does requests, one after the other.

use core::iter;
use core::time::Duration;

use embassy_futures::select::{Either, select};

use super::Failure;
use super::command::{READ, SYNCHRONIZE, WRITE, transfer};
use super::controller::Controller;
use super::scan::Disk;
use crate::block::{Buffer, Error, Failed, Queue, Request};
use crate::hal::{Interrupt, PAGE_SIZE, Page, RingMemory};
use crate::virtio::queue::{Access, Descriptor};

/// What a request comes to, and why it failed.
type Outcome<P> = Result<Buffer<P>, (Failed<P>, Failure)>;

impl<M: RingMemory, I: Interrupt> Controller<M, I> {
    /// Does the requests of `queue` to `disks`, whose numbers are their places, for ever. `report` is told of
    /// each failure. Once the controller is given up, all requests fail.
    pub async fn serve<P: Page>(
        mut self,
        disks: &[Disk],
        queue: &Queue<P>,
        report: impl Fn(usize, Failure),
    ) -> ! {
        let mut works = true;
        loop {
            let next = select(queue.next(), self.interrupt.wait(Duration::MAX)).await;
            let Either::First((number, request, done)) = next else {
                self.take_interrupt();
                continue;
            };
            let number = usize::from(number);
            let Some(disk) = disks.get(number) else { continue };
            if !works {
                done.tell(Err(request.failed(Error::Broken)));
                continue;
            }
            done.tell(match self.do_request(disk, request).await {
                Ok(buffer) => Ok(buffer),
                Err((failed, failure)) => {
                    report(number, failure);
                    if failure.is_final() {
                        works = false;
                        self.give_up();
                    }
                    Err(failed)
                }
            });
        }
    }

    /// Resets the controller, so that it uses no memory any more and does not hold its line up.
    pub(super) fn give_up(&self) {
        self.transport.set_status(0);
    }

    async fn do_request<P: Page>(&mut self, disk: &Disk, request: Request<P>) -> Outcome<P> {
        match request {
            Request::Read { offset, buffer } => self.transfer(disk, READ, offset, buffer).await,
            Request::Write { offset, buffer } => self.transfer(disk, WRITE, offset, buffer).await,
            // No disk here discards: such requests are refused before they get here.
            Request::Flush | Request::Discard { .. } => match self.synchronize(disk).await {
                Ok(()) => Ok(Buffer::empty()),
                Err(failure) => Err((failed(Buffer::empty(), failure), failure)),
            },
        }
    }

    /// Has the disk write its cache. One without a cache knows none of the commands for that.
    async fn synchronize(&mut self, disk: &Disk) -> Result<(), Failure> {
        for command in SYNCHRONIZE {
            match self.perform(disk.address, command, iter::empty()).await {
                Ok(_) => return Ok(()),
                Err(Failure::Sense(sense)) if sense.is_unknown_command() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Moves a buffer, in as many commands of this number as it needs.
    async fn transfer<P: Page>(
        &mut self,
        disk: &Disk,
        number: u8,
        offset: u64,
        buffer: Buffer<P>,
    ) -> Outcome<P> {
        let (pages, length) = buffer.into_pages();
        let size = disk.geometry.sector_size.max(1) as usize;
        let access = if number == READ { Access::Write } else { Access::Read };
        let most_pages = self.most_pages.max(1);
        for (index, part) in pages.chunks(most_pages).enumerate() {
            let start = index * most_pages * PAGE_SIZE;
            let bytes = length.saturating_sub(start).min(part.len() * PAGE_SIZE);
            let first = offset.saturating_add(start as u64).checked_div(size as u64).unwrap_or(u64::MAX);
            let starts = (0..bytes).step_by(PAGE_SIZE);
            let descriptors = part.iter().zip(starts).map(|(page, start)| Descriptor {
                // Frames are the controller's own addresses: nothing translates.
                address: page.frame().0.saturating_mul(PAGE_SIZE as u64),
                length: (bytes - start).min(PAGE_SIZE) as u32,
                access,
            });
            let command = transfer(number, first, bytes.checked_div(size).unwrap_or_default() as u32);
            let failure = match self.perform(disk.address, command, descriptors).await {
                Ok(0) => continue,
                Ok(_) => Failure::Short,
                Err(failure) => failure,
            };
            let buffer = if failure.is_final() {
                // Nobody knows what the controller does with the pages: they are lost.
                core::mem::forget(pages);
                Buffer::empty()
            } else {
                Buffer::from_pages(pages, length)
            };
            return Err((failed(buffer, failure), failure));
        }
        Ok(Buffer::from_pages(pages, length))
    }
}

fn failed<P: Page>(buffer: Buffer<P>, failure: Failure) -> Failed<P> {
    let error = if failure.is_final() { Error::Broken } else { Error::Device };
    Failed { buffer, error }
}
