// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controller, and how it takes commands.

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use super::Failure;
use super::command::{Address, COMMAND, Command, FIXED, REQUEST, RESPONSE, Retry, SENSE, UNWRITTEN, outcome};
use crate::hal::{Interrupt, PAGE_SIZE, RingMemory, nanoseconds, until};
use crate::virtio::Registers;
use crate::virtio::queue::{self, Access, Descriptor, Queue, Used};
use crate::virtio::transport::{self, Error, VERSION_1};

/// The queue of requests; descriptors that it has, at least and at most: request and response take one each.
pub(super) const REQUESTS: u16 = 2;
const DESCRIPTORS: [u16; 2] = [4, queue::MAX];
/// Pages that are moved by one command at most.
const MAX_PAGES: usize = 64;

/// Where the configuration has how many segments, and how many units of 512 bytes, a command may move; the
/// sizes of sense data and of commands; and the highest target. It ends behind that of units.
const PIECES: usize = 4;
const SECTORS: usize = 8;
const SENSE_SIZE: usize = 20;
const COMMAND_SIZE: usize = 24;
const LAST_TARGET: usize = 30;
const CONFIGURATION: usize = 36;

/// Where in the queue's memory the request is, the response to it, and small data.
const REQUEST_PLACE: usize = queue::SPARE;
const RESPONSE_PLACE: usize = queue::SPARE + 64;
pub(super) const DATA: usize = queue::SPARE + 256;
pub(super) const DATA_LENGTH: usize = queue::MEMORY - DATA;
const _: () = assert!(REQUEST_PLACE + REQUEST <= RESPONSE_PLACE && RESPONSE_PLACE + RESPONSE <= DATA);

/// How long a controller may take for one command.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How often a command is repeated at once that could not be done for the moment. If the disk needs time, as
/// long as a command may take is what it gets, and what lies between is this.
const RETRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// A controller, up and running.
pub struct Controller<M, I> {
    pub(super) transport: Registers,
    queue: Queue<M>,
    pub(super) interrupt: I,
    is_modern: bool,
    /// The configuration has changed while there was no command.
    is_changed: bool,
    /// Pages that one command can move.
    pub(super) most_pages: usize,
    /// The highest target there may be.
    pub(super) last_target: u16,
    descriptors: Vec<Descriptor>,
}

impl<M: RingMemory, I: Interrupt> Controller<M, I> {
    /// Brings up the controller behind `transport`, with [`queue::MEMORY`] bytes of memory. `moment` lets
    /// some time pass; false says that there has been enough of it.
    ///
    /// # Errors
    ///
    /// [`Error`]: it cannot be used.
    pub fn open(
        mut transport: Registers,
        memory: Option<M>,
        interrupt: I,
        moment: &mut dyn FnMut() -> bool,
    ) -> Result<Self, Error> {
        let features = transport.negotiate(0, moment)?;
        let (segments, sectors, sizes, last_target) =
            transport.configuration(CONFIGURATION, |transport| {
                let sizes =
                    [COMMAND_SIZE, SENSE_SIZE].map(|place| transport.configuration_u32(place) as usize);
                let [segments, sectors] =
                    [PIECES, SECTORS].map(|place| transport.configuration_u32(place) as usize);
                (segments, sectors, sizes, transport.configuration_u16(LAST_TARGET))
            })?;
        if sizes != [COMMAND, SENSE] {
            return Err(Error::RequestSizes);
        }
        let queue = transport.queue(REQUESTS, memory, DESCRIPTORS)?.counting_reads();
        let most = segments.min(sectors / (PAGE_SIZE / 512)).min(usize::from(queue.size()) - 2);
        let mut descriptors = Vec::new();
        descriptors.try_reserve_exact(MAX_PAGES + 2).map_err(|_| Error::NoMemory)?;
        transport.start();
        Ok(Self {
            transport,
            queue,
            interrupt,
            is_modern: features & VERSION_1 != 0,
            is_changed: false,
            most_pages: most.clamp(1, MAX_PAGES),
            last_target,
            descriptors,
        })
    }

    /// The memory for small data, at [`DATA`].
    pub(super) fn memory(&self) -> &M {
        self.queue.memory()
    }

    fn descriptor(&self, place: usize, length: usize, access: Access) -> Descriptor {
        let address = self.memory().address().wrapping_add(place as u64);
        Descriptor { address, length: length as u32, access }
    }

    /// Has a command carried out that returns `length` bytes at most, to [`DATA`]; how many of them there
    /// are.
    pub(super) async fn ask(
        &mut self,
        address: Address,
        command: Command,
        length: usize,
    ) -> Result<usize, Failure> {
        let length = length.min(DATA_LENGTH);
        self.memory().write(DATA, &[0; DATA_LENGTH]);
        let data = self.descriptor(DATA, length, Access::Write);
        let missing = self.perform(address, command, core::iter::once(data)).await?;
        Ok(length.saturating_sub(missing as usize))
    }

    /// Has a command carried out, which moves `data`: to the device or from it. What fails only for the
    /// moment is tried again. Returns how many bytes were not moved.
    pub(super) async fn perform(
        &mut self,
        address: Address,
        command: Command,
        data: impl Iterator<Item = Descriptor> + Clone,
    ) -> Result<u32, Failure> {
        let (mut left, end) = (RETRIES, self.interrupt.now().saturating_add(nanoseconds(LIMIT)));
        loop {
            let failure = match self.carry_out(address, command, data.clone()).await {
                Ok(residual) => return Ok(residual),
                Err(failure) => failure,
            };
            match failure.retry() {
                Retry::AtOnce if left > 0 => left -= 1,
                Retry::Later if self.interrupt.now() < end => {
                    let _ = until(&self.interrupt, PAUSE, || None::<()>).await;
                }
                _ => return Err(failure),
            }
        }
    }

    async fn carry_out(
        &mut self,
        address: Address,
        command: Command,
        data: impl Iterator<Item = Descriptor> + Clone,
    ) -> Result<u32, Failure> {
        self.memory().write(REQUEST_PLACE, &address.request(command));
        self.memory().write(RESPONSE_PLACE, &[UNWRITTEN; FIXED]);
        let (request, response) = (
            self.descriptor(REQUEST_PLACE, REQUEST, Access::Read),
            self.descriptor(RESPONSE_PLACE, RESPONSE, Access::Write),
        );
        let is_read = |descriptor: &Descriptor| descriptor.access == Access::Read;
        self.descriptors.clear();
        self.descriptors.push(request);
        self.descriptors.extend(data.clone().filter(is_read));
        self.descriptors.push(response);
        self.descriptors.extend(data.filter(|descriptor| !is_read(descriptor)));
        // Refused only after a violation: there is no other command.
        self.queue.add(&self.descriptors, 0).map_err(|_| Failure::Nonsense)?;
        if self.queue.wants_notification() {
            self.transport.notify(REQUESTS);
        }
        let used = self.wait().await?;
        // Before version 1, many told wrong lengths (2.7.8.1).
        if self.is_modern && (used.written as usize) < FIXED {
            return Err(Failure::Nonsense);
        }
        let mut response = [0; RESPONSE];
        self.memory().read(RESPONSE_PLACE, &mut response);
        outcome(&response)
    }

    /// Waits for the command's end.
    async fn wait(&mut self) -> Result<Used, Failure> {
        let Self { transport, queue, interrupt, is_changed, .. } = self;
        let look = || match queue.take() {
            Ok(Some(used)) => Some(Ok(used)),
            Err(violation) => Some(Err(Failure::Queue(violation))),
            Ok(None) => {
                *is_changed |= transport.take_causes() & transport::CONFIGURATION != 0;
                let is_lost = core::mem::take(is_changed) && !transport.is_alive();
                is_lost.then_some(Err(Failure::Reset))
            }
        };
        let silent = || if transport.is_alive() { Failure::Silent } else { Failure::Reset };
        let used = until(interrupt, LIMIT, look).await.unwrap_or_else(|| Err(silent()))?;
        fence(Ordering::SeqCst);
        // The command may have been seen to be done before its interrupt comes: see `take_interrupt`.
        self.take_interrupt();
        Ok(used)
    }

    /// Has the line go down. To be called when an interrupt comes while there is no command, too: it may be
    /// that of the last one, or a change of the configuration.
    pub(super) fn take_interrupt(&mut self) {
        self.is_changed |= self.transport.take_causes() & transport::CONFIGURATION != 0;
    }
}
