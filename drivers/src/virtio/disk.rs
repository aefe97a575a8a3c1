// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver of disks (Virtual I/O Device 1.2, 5.2). Many requests are in flight at a time.

use alloc::vec::Vec;
use core::fmt;
use core::future::pending;
use core::time::Duration;

use crate::hal::{PAGE_SIZE, Page};
use embassy_futures::select::{Either, select};

use super::Registers;
use super::queue::{self, Access, Descriptor, Queue, Used, Violation};
use super::transport::{self, Error, VERSION_1};
use crate::block::{self, Buffer, Done, Failed, Geometry, Request};
use crate::hal::{Interrupt, RingMemory, nanoseconds};

/// Features of a disk.
pub(super) const READ_ONLY: u64 = 1 << 5;
pub(super) const SECTOR_SIZE: u64 = 1 << 6;
pub(super) const FLUSH: u64 = 1 << 9;
/// Where its configuration has the size of a sector, and the end of what is read of it.
const SECTOR_SIZE_PLACE: usize = 20;
const CONFIGURATION: usize = 24;

/// Descriptors of the queue, at least and at most: header and status take one each.
const DESCRIPTORS: [u16; 2] = [4, queue::MAX];
/// Pages that are moved by one command at most.
const MAX_PAGES: usize = 32;
/// Requests that are under way at most.
const SLOTS: u16 = 32;
/// The unit of addresses and sizes, whatever the sector size is.
const UNIT: u64 = 512;
/// How long a device may take for one command.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// How long a wait for the interrupt of one lasts at most.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What a device is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Flush,
}

impl Operation {
    const fn number(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 4,
        }
    }
}

/// Length of a command's header, behind which its status is, and how far apart they are.
const HEADER: usize = 16;
const STEP: usize = 32;
const _: () = assert!(queue::SPARE + SLOTS as usize * STEP <= queue::MEMORY);

/// What the status is: all is well, a failure, an unknown command; and before the device has written it.
pub(super) const GOOD: u8 = 0;
pub(super) const FAILED: u8 = 1;
pub(super) const UNSUPPORTED: u8 = 2;
const UNWRITTEN: u8 = !0;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A request failed.
    Request(block::Error),
    /// The queue is broken: the disk is given up.
    Queue(Violation),
    /// A command's status makes no sense: the disk is given up.
    Status(u8),
    /// The device did nothing for too long: the disk is given up.
    Silent,
    /// The device has been reset, or asks for that: the disk is given up.
    Reset,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => return error.fmt(f),
            Self::Queue(violation) => violation.fmt(f),
            Self::Status(status) => write!(f, "it ends a command with the status {status:#x}"),
            Self::Silent => write!(f, "it did not end a command within {} s", LIMIT.as_secs()),
            Self::Reset => f.write_str("it has been reset, or needs to be"),
        }?;
        f.write_str("; it is disabled")
    }
}

/// A request that is under way.
struct PendingRequest<P: Page> {
    operation: Operation,
    offset: u64,
    pages: Vec<P>,
    length: usize,
    /// Bytes that were moved, and those that the command at work moves.
    moved: usize,
    moving: usize,
    /// When the command has to be done, in nanoseconds of the interrupt's clock.
    end: u64,
    done: Done<P>,
}

impl<P: Page> PendingRequest<P> {
    fn tell(self, outcome: Result<(), block::Error>) {
        let buffer = Buffer::from_pages(self.pages, self.length);
        self.done.tell(match outcome {
            Ok(()) => Ok(buffer),
            Err(error) => Err(Failed { buffer, error }),
        });
    }

    /// Nobody knows what the device does with its pages: they are lost.
    fn give_up(self) {
        core::mem::forget(self.pages);
        self.done.tell(Err(Failed { buffer: Buffer::empty(), error: block::Error::Broken }));
    }
}

/// A disk.
pub struct Disk<M, I, P: Page> {
    transport: Registers,
    queue: Queue<M>,
    interrupt: I,
    geometry: Geometry,
    features: u64,
    requests: Vec<Option<PendingRequest<P>>>,
    running: usize,
    descriptors: Vec<Descriptor>,
}

impl<M: RingMemory, I: Interrupt, P: Page> Disk<M, I, P> {
    /// Brings up the disk behind `transport`, with [`queue::MEMORY`] bytes of memory. `moment` lets some time
    /// pass; false says that there has been enough of it.
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
        let features = transport.negotiate(READ_ONLY | SECTOR_SIZE | FLUSH, moment)?;
        let geometry = geometry(&transport, features)?;
        let (mut requests, mut descriptors) = (Vec::new(), Vec::new());
        requests.try_reserve_exact(SLOTS.into()).map_err(|_| Error::NoMemory)?;
        descriptors.try_reserve_exact(MAX_PAGES + 2).map_err(|_| Error::NoMemory)?;
        requests.extend((0..SLOTS).map(|_| None));
        let queue = transport.queue(0, memory, DESCRIPTORS)?;
        transport.start();
        Ok(Self { transport, queue, interrupt, geometry, features, requests, running: 0, descriptors })
    }

    /// What the disk is like.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Does the requests of `requests`, for ever. `report` is told of each failure.
    pub async fn serve(mut self, requests: &block::Queue<P>, report: impl Fn(Trouble)) -> ! {
        let trouble = loop {
            if let Err(trouble) = self.round(requests, &report).await {
                break trouble;
            }
        };
        report(trouble);
        // A reset: it uses no memory any more, and does not hold its line up.
        self.transport.set_status(0);
        self.requests.iter_mut().filter_map(Option::take).for_each(PendingRequest::give_up);
        loop {
            let (_, request, done) = requests.next().await;
            done.tell(Err(request.failed(block::Error::Broken)));
        }
    }

    /// Waits for a request or the device, and does what there is to do. An error is the end of the disk.
    async fn round(&mut self, requests: &block::Queue<P>, report: &impl Fn(Trouble)) -> Result<(), Trouble> {
        let has_room = self.has_room();
        let next = async { if has_room { requests.next().await } else { pending().await } };
        // A command may be seen to be done before its interrupt comes, and the configuration may change: both
        // hold the line up. Nothing else is waited for while there is nothing to do.
        let limit = if self.running == 0 { Duration::MAX } else { POLL_INTERVAL };
        match select(next, self.interrupt.wait(limit)).await {
            Either::First((_, request, done)) => {
                self.accept(request, done);
                if self.queue.has_used() { self.look(report) } else { Ok(()) }
            }
            Either::Second(()) => self.look(report),
        }
    }

    /// Pages that one command can move.
    fn most_pages(&self) -> usize {
        MAX_PAGES.min(usize::from(self.queue.size()) - 2)
    }

    /// Whether any request can be begun. Its later commands take the descriptors of the earlier.
    fn has_room(&self) -> bool {
        self.running < SLOTS.into() && self.queue.free() >= self.most_pages() + 2
    }

    fn accept(&mut self, request: Request<P>, done: Done<P>) {
        let (operation, offset, buffer) = match request {
            Request::Read { offset, buffer } => (Operation::Read, offset, buffer),
            Request::Write { offset, buffer } => (Operation::Write, offset, buffer),
            Request::Flush if self.features & FLUSH != 0 => (Operation::Flush, 0, Buffer::empty()),
            // Without that feature nothing is cached; discards are refused before they get here.
            Request::Flush | Request::Discard { .. } => return done.tell(Ok(Buffer::empty())),
        };
        let (pages, length) = buffer.into_pages();
        let request = PendingRequest { operation, offset, pages, length, moved: 0, moving: 0, end: 0, done };
        if let Some(slot) = self.requests.iter().position(Option::is_none) {
            self.begin(slot, request);
        }
    }

    /// Has the device carry out the next command of a request.
    fn begin(&mut self, slot: usize, mut request: PendingRequest<P>) {
        request.moving = (request.length - request.moved).min(self.most_pages() * PAGE_SIZE);
        request.end = self.interrupt.now().saturating_add(nanoseconds(LIMIT));
        let place = queue::SPARE + slot * STEP;
        let sector = request.offset.saturating_add(request.moved as u64) / UNIT;
        let header = u128::from(request.operation.number()) | u128::from(sector) << 64;
        self.queue.memory().write(place, &header.to_le_bytes());
        self.queue.memory().write(place + HEADER, &[UNWRITTEN]);
        self.list_descriptors(place, &request);
        if self.queue.add(&self.descriptors, slot as u16).is_err() {
            // Never: there is room for each request's commands.
            return request.tell(Err(block::Error::NoMemory));
        }
        if let Some(free) = self.requests.get_mut(slot) {
            *free = Some(request);
            self.running += 1;
        }
        if self.queue.wants_notification() {
            self.transport.notify(0);
        }
    }

    /// Lists the command's header, its data, and its status.
    fn list_descriptors(&mut self, place: usize, request: &PendingRequest<P>) {
        let access = if request.operation == Operation::Read { Access::Write } else { Access::Read };
        let control = self.queue.memory().address().wrapping_add(place as u64);
        let first = request.moved / PAGE_SIZE;
        let starts = (0..request.moving).step_by(PAGE_SIZE);
        self.descriptors.clear();
        self.descriptors.push(Descriptor { address: control, length: HEADER as u32, access: Access::Read });
        self.descriptors.extend(request.pages.iter().skip(first).zip(starts).map(|(page, start)| {
            Descriptor {
                // Frames are the device's own addresses: nothing translates.
                address: page.frame().0.saturating_mul(PAGE_SIZE as u64),
                length: (request.moving - start).min(PAGE_SIZE) as u32,
                access,
            }
        }));
        let status = control.wrapping_add(HEADER as u64);
        self.descriptors.push(Descriptor { address: status, length: 1, access: Access::Write });
    }

    /// Looks what the device has done.
    fn look(&mut self, report: &impl Fn(Trouble)) -> Result<(), Trouble> {
        self.take_all(report)?;
        // The line must not stay up, be it for what was just taken, or for a change of the configuration.
        let causes = self.transport.take_causes();
        self.take_all(report)?;
        if causes & transport::CONFIGURATION != 0 && !self.transport.is_alive() {
            return Err(Trouble::Reset);
        }
        let now = self.interrupt.now();
        if !self.requests.iter().flatten().any(|request| request.end <= now) {
            return Ok(());
        }
        Err(if self.transport.is_alive() { Trouble::Silent } else { Trouble::Reset })
    }

    fn take_all(&mut self, report: &impl Fn(Trouble)) -> Result<(), Trouble> {
        // As often as there are commands: the device may do those as quickly that begin here.
        for _ in 0..SLOTS {
            let Some(used) = self.queue.take().map_err(Trouble::Queue)? else { break };
            self.end(used, report)?;
        }
        Ok(())
    }

    /// A command is done.
    fn end(&mut self, used: Used, report: &impl Fn(Trouble)) -> Result<(), Trouble> {
        let slot = usize::from(used.tag);
        let mut status = [UNWRITTEN];
        self.queue.memory().read(queue::SPARE + slot * STEP + HEADER, &mut status);
        let [status] = status;
        // Before version 1, many told wrong lengths (2.7.8.1).
        let told = if self.features & VERSION_1 == 0 { usize::MAX } else { used.written as usize };
        if told == 0 || ![GOOD, FAILED, UNSUPPORTED].contains(&status) {
            return Err(Trouble::Status(status));
        }
        let Some(mut request) = self.requests.get_mut(slot).and_then(Option::take) else { return Ok(()) };
        self.running -= 1;
        let is_short = request.operation == Operation::Read && told <= request.moving;
        let error = match status {
            GOOD if !is_short => {
                request.moved += request.moving;
                if request.moved < request.length {
                    self.begin(slot, request);
                } else {
                    request.tell(Ok(()));
                }
                return Ok(());
            }
            UNSUPPORTED => block::Error::Unsupported,
            _ => block::Error::Device,
        };
        report(Trouble::Request(error));
        request.tell(Err(error));
        Ok(())
    }
}

/// What a disk's configuration tells of it.
fn geometry(transport: &Registers, features: u64) -> Result<Geometry, Error> {
    let told = features & SECTOR_SIZE != 0;
    let length = if told { CONFIGURATION } else { 8 };
    let (sectors, size) = transport.configuration(length, |transport| {
        let sectors = [0, 4].map(|offset| u64::from(transport.configuration_u32(offset)));
        let [low, high] = sectors;
        (high << 32 | low, if told { transport.configuration_u32(SECTOR_SIZE_PLACE) } else { 0 })
    })?;
    // What is no size of sectors does not matter: it is a hint, all disks take units of 512 bytes.
    let sector_size: u32 = if [1024, 2048, 4096].contains(&size) { size } else { 512 };
    let bytes = sectors.min(u64::MAX / UNIT) * UNIT;
    Ok(Geometry {
        bytes: bytes - bytes.checked_rem(u64::from(sector_size)).unwrap_or(bytes),
        sector_size,
        read_only: features & READ_ONLY != 0,
        removable: false,
        optical: false,
        discards: false,
    })
}
