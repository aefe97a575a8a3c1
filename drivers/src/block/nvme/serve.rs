// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop that does requests, one after the other.

use core::mem;

use super::Failure;
use super::command::{Command, FLUSH, READ, WRITE};
use super::controller::{Controller, LAST};
use super::namespace::Namespace;
use crate::block::{Buffer, Error, Failed, Queue, Request};
use crate::hal::{Interrupt, PAGE_SIZE, Page, Registers, RingMemory};

/// What a request comes to, and what it means for the controller if that fails.
type Outcome<G> = Result<Buffer<G>, (Failed<G>, Failure)>;

impl<R: Registers, I: Interrupt, M: RingMemory> Controller<R, I, M> {
    /// Does the requests of `queue` to `namespaces`, whose numbers are their places, for ever. `report` is
    /// told of each failure. Once the controller is disabled, all requests fail.
    pub async fn serve<G: Page>(
        mut self,
        namespaces: &[Namespace],
        queue: &Queue<G>,
        report: impl Fn(&Namespace, Failure),
    ) -> ! {
        let mut works = true;
        loop {
            let (number, request, done) = queue.next().await;
            let Some(namespace) = namespaces.iter().find(|namespace| namespace.place == number) else {
                continue;
            };
            if !works {
                done.tell(Err(request.failed(Error::Broken)));
                continue;
            }
            done.tell(match self.perform(namespace, request).await {
                Ok(buffer) => Ok(buffer),
                Err((failed, failure)) => {
                    report(namespace, failure);
                    works = self.recover(failure).await;
                    if !works && failure == Failure::Silent {
                        report(namespace, Failure::Lost);
                    }
                    Err(failed)
                }
            });
        }
    }

    async fn perform<G: Page>(&mut self, namespace: &Namespace, request: Request<G>) -> Outcome<G> {
        let command = |number| Command { number, namespace: namespace.id, ..Command::default() };
        match request {
            Request::Read { offset, buffer } => self.transfer(namespace, command(READ), offset, buffer).await,
            Request::Write { offset, buffer } => {
                self.transfer(namespace, command(WRITE), offset, buffer).await
            }
            Request::Flush if self.has_cache => {
                let flushed = self.device.carry_out(&mut self.io, &command(FLUSH)).await;
                flushed
                    .map(|()| Buffer::empty())
                    .map_err(|failure| (failed(Buffer::empty(), failure), failure))
            }
            // Nothing is cached; and no disk here discards: such requests are refused before they get here.
            Request::Flush | Request::Discard { .. } => Ok(Buffer::empty()),
        }
    }

    /// Moves a buffer, in as many commands like `command` as it needs.
    async fn transfer<G: Page>(
        &mut self,
        namespace: &Namespace,
        command: Command,
        offset: u64,
        buffer: Buffer<G>,
    ) -> Outcome<G> {
        let (pages, length) = buffer.into_pages();
        let size = namespace.geometry.sector_size.max(1) as usize;
        let most_pages = self.most_pages.max(1);
        for (index, part) in pages.chunks(most_pages).enumerate() {
            let start = index * most_pages * PAGE_SIZE;
            let bytes = length.saturating_sub(start).min(part.len() * PAGE_SIZE);
            let first = offset.saturating_add(start as u64).checked_div(size as u64).unwrap_or(u64::MAX);
            // Counted from 0.
            let count = bytes.checked_div(size).unwrap_or_default().saturating_sub(1);
            let words = [first as u32, (first >> 32) as u32, count as u32];
            let command = Command { data: self.list(part), words, ..command };
            let Err(failure) = self.device.carry_out(&mut self.io, &command).await else { continue };
            let buffer = match failure {
                Failure::Refused(_) => Buffer::from_pages(pages, length),
                // It still has the pages, until it has stopped.
                _ if self.device.stop().await.is_ok() => Buffer::from_pages(pages, length),
                _ => {
                    // Nobody knows whether it still writes there: the pages are lost.
                    mem::forget(pages);
                    Buffer::empty()
                }
            };
            return Err((failed(buffer, failure), failure));
        }
        Ok(Buffer::from_pages(pages, length))
    }

    /// The two words of a command that tell of these pages. Frames are the controller's own addresses:
    /// nothing translates.
    fn list<G: Page>(&self, pages: &[G]) -> [u64; 2] {
        let address = |page: &G| page.frame().0.saturating_mul(PAGE_SIZE as u64);
        match pages {
            [] => [0, 0],
            [only] => [address(only), 0],
            [first, second] => [address(first), address(second)],
            [first, others @ ..] => {
                for (place, page) in (LAST..).step_by(size_of::<u64>()).zip(others) {
                    self.device.memory.write(place, &address(page).to_le_bytes());
                }
                [address(first), self.device.address(LAST)]
            }
        }
    }

    /// Makes the controller usable again after a failure; false if it is not to be, or cannot be.
    async fn recover(&mut self, failure: Failure) -> bool {
        match failure {
            Failure::Refused(_) => true,
            Failure::Silent if self.enable().await.is_ok() && self.make_queues().await.is_ok() => true,
            Failure::Silent | Failure::Broken(_) | Failure::Lost => {
                // If it does not stop, there is nothing else to be done about it.
                let _ = self.device.stop().await;
                false
            }
        }
    }
}

fn failed<G: Page>(buffer: Buffer<G>, failure: Failure) -> Failed<G> {
    let error = if matches!(failure, Failure::Broken(_)) { Error::Broken } else { Error::Device };
    Failed { buffer, error }
}
