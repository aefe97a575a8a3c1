// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controller: initialization (section 7.6.1), the search for namespaces, and single commands.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use super::command::*;
use super::namespace::{MAX_NAMESPACES, Namespace, Unfit, read};
use super::queue::{MAX_ENTRIES, QueuePair};
use super::registers::*;
use super::{Failure, TIMEOUT};
use crate::hal::{Interrupt, PAGE_SIZE, Registers, RingMemory, until};

/// Bytes of memory that a controller needs: two queues of commands and two of completions, a page each, and
/// one for what it says of itself, and for lists of pages.
pub const MEMORY: usize = 5 * PAGE_SIZE;
/// Where that last page is.
pub(super) const LAST: usize = 4 * PAGE_SIZE;

/// Pages that are moved by one command at most.
pub(super) const MAX_PAGES: usize = 128;

// All but the first are in a list.
const _: () = assert!((MAX_PAGES - 1) * size_of::<u64>() <= PAGE_SIZE);

/// The number of the queue of commands for namespaces.
const IO: u16 = 1;

/// Where a controller's description has its model, how much it moves at once, the sizes of entries, the
/// highest number of a namespace, and whether it keeps written data in a cache that loses them.
const MODEL: usize = 24;
const MAX_TRANSFER: usize = 77;
const ENTRY_SIZE_LIMITS: usize = 512;
const NAMESPACES: usize = 516;
const CACHE: usize = 525;
const VOLATILE: u8 = 1 << 0;

/// Bytes of the list of namespaces.
const LIST_LENGTH: usize = 4096;

/// Why a controller is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is not ready, or still is, long after it was told to change that.
    Silent,
    /// It reports a fatal error, or nothing is there.
    Fatal,
    /// It does not work in the way that is used here.
    Unfit(&'static str),
    /// It does not do what it has to before it can be used.
    Command(Failure),
    /// There is no memory for it.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("it does not become ready"),
            Self::Fatal => f.write_str("it reports a fatal error"),
            Self::Unfit(reason) => f.write_str(reason),
            Self::Command(failure) => failure.fmt(f),
            Self::NoMemory => f.write_str("there is no memory for its queues"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Command(failure)
    }
}

/// A controller, up and running.
pub struct Controller<R, I, M> {
    pub(super) device: Device<R, I, M>,
    pub(super) admin: QueuePair,
    pub(super) io: QueuePair,
    /// Pages that one command can move.
    pub(super) most_pages: usize,
    /// Whether it has to be told to keep what was written.
    pub(super) has_cache: bool,
    /// The highest number that a namespace has.
    last_namespace: u32,
    model: String,
}

impl<R: Registers, I: Interrupt, M: RingMemory> Controller<R, I, M> {
    /// Resets a controller and makes its queues, in [`MEMORY`] bytes of memory.
    ///
    /// # Errors
    ///
    /// [`Error`]: it cannot be used.
    pub async fn open(registers: R, interrupt: I, memory: Option<M>) -> Result<Self, Error> {
        let memory = memory.filter(|memory| memory.length() >= MEMORY).ok_or(Error::NoMemory)?;
        let (device, entries) = Device::new(registers, interrupt, memory)?;
        let mut controller = Self {
            device,
            admin: QueuePair::new(0, entries),
            io: QueuePair::new(IO, entries),
            most_pages: MAX_PAGES,
            has_cache: true,
            last_namespace: 0,
            model: String::new(),
        };
        let opened = controller.begin().await;
        if opened.is_err() {
            // Its memory is not given back in any case.
            let _ = controller.device.stop().await;
        }
        opened.map(|()| controller)
    }

    async fn begin(&mut self) -> Result<(), Error> {
        self.enable().await?;
        self.identify().await?;
        self.make_queues().await
    }

    /// Its model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Stops the controller, and has it begin anew.
    pub(super) async fn enable(&mut self) -> Result<(), Error> {
        self.device.stop().await?;
        self.admin.empty(&self.device.memory);
        self.io.empty(&self.device.memory);
        self.device.start(&self.admin).await
    }

    /// Makes the queues for commands to namespaces.
    pub(super) async fn make_queues(&mut self) -> Result<(), Error> {
        let Self { device, admin, io, .. } = self;
        // One of each, counted from 0.
        let count = Command { number: SET_FEATURES, words: [QUEUE_COUNT, 0, 0], ..Command::default() };
        device.carry_out(admin, &count).await?;
        let shape = u32::from(io.number) | u32::from(io.entries - 1) << 16;
        let completions = Command {
            number: CREATE_COMPLETIONS,
            data: [device.address(io.completions()), 0],
            words: [shape, IN_ONE_PIECE | INTERRUPTS, 0],
            ..Command::default()
        };
        device.carry_out(admin, &completions).await?;
        let commands = Command {
            number: CREATE_COMMANDS,
            data: [device.address(io.commands()), 0],
            words: [shape, IN_ONE_PIECE | u32::from(io.number) << 16, 0],
            ..Command::default()
        };
        Ok(device.carry_out(admin, &commands).await?)
    }

    /// Has the controller describe something, in the last page of its memory.
    async fn describe(&mut self, what: u32, namespace: u32) -> Result<(), Failure> {
        self.device.memory.write(LAST, &[0; PAGE_SIZE]);
        let data = [self.device.address(LAST), 0];
        let identify = Command { number: IDENTIFY, namespace, data, words: [what, 0, 0] };
        self.device.carry_out(&mut self.admin, &identify).await
    }

    async fn identify(&mut self) -> Result<(), Error> {
        self.describe(OF_CONTROLLER, 0).await?;
        let memory = &self.device.memory;
        let limits: [u8; 2] = read(memory, LAST + ENTRY_SIZE_LIMITS);
        let fits = |(limits, size): (u8, u8)| (limits & 0xf..=limits >> 4).contains(&size);
        if !limits.into_iter().zip([6, 4]).all(fits) {
            return Err(Error::Unfit("its queues have entries of other sizes"));
        }
        let [power] = read(memory, LAST + MAX_TRANSFER);
        let limit = if power == 0 { None } else { 1_usize.checked_shl(power.into()) };
        self.most_pages = limit.unwrap_or(MAX_PAGES).min(MAX_PAGES);
        let [cache] = read(memory, LAST + CACHE);
        self.has_cache = cache & VOLATILE != 0;
        self.last_namespace = u32::from_le_bytes(read(memory, LAST + NAMESPACES));
        let model: [u8; 40] = read(memory, LAST + MODEL);
        let text: String =
            model.map(char::from).into_iter().filter(|letter| matches!(letter, ' '..='~')).collect();
        self.model = text.trim().into();
        Ok(())
    }

    /// The namespaces that can be used, the first [`MAX_NAMESPACES`] of those that there are. `report` is
    /// told of others, by their numbers.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the controller does not list them.
    pub async fn namespaces(&mut self, report: impl Fn(u32, Unfit)) -> Result<Vec<Namespace>, Failure> {
        let found = self.find_namespaces(report).await;
        if found.is_err() {
            // Its memory is not given back in any case.
            let _ = self.device.stop().await;
        }
        found
    }

    /// The numbers that namespaces may have.
    async fn candidates(&mut self) -> Result<Candidates, Failure> {
        match self.describe(LIST, 0).await {
            Ok(()) => {
                let memory = &self.device.memory;
                let all = (LAST..LAST + LIST_LENGTH).step_by(size_of::<u32>());
                // The list ends with a zero.
                let mut ids =
                    all.map(|place| u32::from_le_bytes(read(memory, place))).take_while(|id| *id != 0);
                let first = ids.by_ref().take(MAX_NAMESPACES).collect();
                let next = ids.next();
                let left_out = next.map(|id| (id, 1 + ids.count() as u32));
                Ok(Candidates { ids: first, are_listed: true, left_out })
            }
            // Before version 1.1 there was no list.
            Err(Failure::Refused(_)) => {
                const MOST: u32 = MAX_NAMESPACES as u32;
                let ids = (1..=self.last_namespace.min(MOST)).collect();
                let left_out = self.last_namespace.checked_sub(MOST).filter(|count| *count > 0);
                let left_out = left_out.map(|count| (MOST + 1, count));
                Ok(Candidates { ids, are_listed: false, left_out })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn find_namespaces(&mut self, report: impl Fn(u32, Unfit)) -> Result<Vec<Namespace>, Failure> {
        let Candidates { ids, are_listed, left_out } = self.candidates().await?;
        let mut found: Vec<Namespace> = Vec::new();
        for (place, id) in (1..).zip(ids) {
            let described = self.describe(OF_NAMESPACE, id).await.map_err(Unfit::Undescribed);
            let namespace = described.and_then(|()| Namespace::parse(place, id, &self.device.memory, LAST));
            match namespace {
                // The same one twice would be two disks that overwrite each other.
                Ok(namespace) if found.iter().all(|other| other.id != id) => found.push(namespace),
                Ok(_) => {}
                Err(Unfit::Undescribed(failure @ (Failure::Silent | Failure::Broken(_)))) => {
                    return Err(failure);
                }
                // There is none of this number.
                Err(Unfit::Empty | Unfit::Undescribed(Failure::Refused(INVALID_NAMESPACE)))
                    if !are_listed => {}
                Err(unfit) => report(id, unfit),
            }
        }
        if let Some((id, count)) = left_out {
            report(id, Unfit::TooMany(count));
        }
        Ok(found)
    }
}

/// Numbers that namespaces may have, the first [`MAX_NAMESPACES`] of them.
struct Candidates {
    ids: Vec<u32>,
    /// The controller says that all of them are there.
    are_listed: bool,
    /// The first number that is left out, and how many are.
    left_out: Option<(u32, u32)>,
}

/// A controller's registers and memory.
pub(super) struct Device<R, I, M> {
    registers: R,
    pub(super) interrupt: I,
    pub(super) memory: M,
    /// Bytes from one doorbell to the next.
    step: usize,
    /// How long it may take to be ready, and to be no more.
    ready_limit: Duration,
}

impl<R: Registers, I: Interrupt, M: RingMemory> Device<R, I, M> {
    /// The device behind `registers`, and how many entries its queues may have.
    fn new(registers: R, interrupt: I, memory: M) -> Result<(Self, u16), Error> {
        let (low, high) = (registers.read_u32(CAPABILITIES), registers.read_u32(CAPABILITIES_HIGH));
        if (low, high) == (!0, !0) {
            return Err(Error::Fatal);
        }
        let step = 4 << (high & 0xf);
        let entries = (low as u16).saturating_add(1).min(MAX_ENTRIES);
        if high & NVM_COMMANDS == 0 {
            return Err(Error::Unfit("it does not know the set of NVM commands"));
        }
        if high >> 16 & 0xf != 0 {
            return Err(Error::Unfit("its pages are larger than 4 KiB"));
        }
        if DOORBELLS + 4 * step > LENGTH as usize {
            return Err(Error::Unfit("its doorbells are too far apart"));
        }
        if entries < 2 {
            return Err(Error::Unfit("its queues are too short"));
        }
        let ready_limit = Duration::from_millis(500) * (low >> 24).max(1);
        Ok((Self { registers, interrupt, memory, step, ready_limit }, entries))
    }

    /// The address of what is at `offset` of the memory.
    pub(super) fn address(&self, offset: usize) -> u64 {
        self.memory.address().wrapping_add(offset as u64)
    }

    /// Has the controller stop. Afterwards it uses no memory.
    ///
    /// # Errors
    ///
    /// [`Error::Silent`]: nobody knows what it still uses.
    pub(super) async fn stop(&self) -> Result<(), Error> {
        let status = || self.registers.read_u32(STATUS);
        if status() == !0 {
            // Nobody is there.
            return Err(Error::Silent);
        }
        if self.registers.read_u32(CONTROL) & ENABLE != 0 {
            // What it does if it is told to stop before it is ready is not defined (NVM Express 1.4, 3.1.5).
            let begun = || (status() & (READY | FATAL) != 0).then_some(());
            until(&self.interrupt, self.ready_limit, begun).await;
        }
        self.registers.write_u32(CONTROL, 0);
        let stopped = || (status() & READY == 0).then_some(());
        until(&self.interrupt, self.ready_limit, stopped).await.ok_or(Error::Silent)
    }

    /// Has the controller work, with its admin queues only.
    async fn start(&self, admin: &QueuePair) -> Result<(), Error> {
        let last = u32::from(admin.entries - 1);
        self.registers.write_u32(ADMIN_LENGTHS, last << 16 | last);
        self.write_address(ADMIN_COMMANDS, self.address(admin.commands()));
        self.write_address(ADMIN_COMPLETIONS, self.address(admin.completions()));
        // The queues are empty in memory before the controller looks.
        fence(Ordering::SeqCst);
        self.registers.write_u32(CONTROL, ENABLE | ENTRY_SIZES);
        let begun = || match self.registers.read_u32(STATUS) & (READY | FATAL) {
            0 => None,
            READY => Some(Ok(())),
            _ => Some(Err(Error::Fatal)),
        };
        until(&self.interrupt, self.ready_limit, begun).await.unwrap_or(Err(Error::Silent))
    }

    fn write_address(&self, register: usize, address: u64) {
        self.registers.write_u32(register, address as u32);
        self.registers.write_u32(register + 4, (address >> 32) as u32);
    }

    /// Tells the controller how far a queue is.
    fn ring(&self, doorbell: usize, place: u16) {
        self.registers.write_u32(DOORBELLS + doorbell * self.step, place.into());
    }

    /// Does a command.
    pub(super) async fn carry_out(&self, queue: &mut QueuePair, command: &Command) -> Result<(), Failure> {
        queue.add(&self.memory, command).map_err(Failure::Broken)?;
        let doorbell = usize::from(queue.number) * 2;
        // The command, and the data, are in memory before the controller looks.
        fence(Ordering::SeqCst);
        self.ring(doorbell, queue.tail);
        let look = || queue.take(&self.memory).transpose();
        let status = until(&self.interrupt, TIMEOUT, look).await.ok_or(Failure::Silent)?;
        fence(Ordering::SeqCst);
        let status = status.map_err(Failure::Broken)?;
        // So the line is let go.
        self.ring(doorbell + 1, queue.head);
        if status == 0 { Ok(()) } else { Err(Failure::Refused(status)) }
    }
}
