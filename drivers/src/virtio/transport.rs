// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of a virtio device, on whatever bus, and the initialization of the device (Virtual I/O
//! Device 1.2, 3.1).

use core::fmt;

use super::queue::{Areas, Queue};
use crate::hal::RingMemory;

/// What driver and device tell each other of their states (2.1).
pub mod status {
    /// The driver has seen the device.
    pub const ACKNOWLEDGE: u8 = 1 << 0;
    /// It knows how to drive it.
    pub const DRIVER: u8 = 1 << 1;
    /// It is ready.
    pub const DRIVER_OK: u8 = 1 << 2;
    /// Both agree on features.
    pub const FEATURES_OK: u8 = 1 << 3;
    /// The device has met an error that only a reset ends.
    pub const NEEDS_RESET: u8 = 1 << 6;
}

/// Causes of an interrupt: the device has used something, or its configuration has changed.
pub const USED: u8 = 1 << 0;
/// See [`USED`].
pub const CONFIGURATION: u8 = 1 << 1;

/// The device keeps to version 1 (6).
pub const VERSION_1: u64 = 1 << 32;

/// How often a configuration is read that changes meanwhile.
const TRIES: usize = 8;

/// A device's registers.
pub trait Transport: Send {
    /// Whether the device is of the time before version 1.
    fn is_legacy(&self) -> bool;
    /// Features that it offers.
    fn features(&self) -> u64;
    /// Tells it which of them are used.
    fn accept(&self, features: u64);
    /// Its status.
    fn status(&self) -> u8;
    /// Changes its status; to 0 is a reset, which takes time.
    fn set_status(&self, status: u8);
    /// How many descriptors a queue may have; 0 if it has no such queue.
    fn allowed(&mut self, queue: u16) -> u32;
    /// Tells the device where a queue of `size` descriptors is.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]: the device does not reach it.
    fn place(&self, queue: u16, size: u16, areas: Areas) -> Result<(), Error>;
    /// Tells the device that there is something in a queue.
    fn notify(&self, queue: u16);
    /// Takes the causes of its interrupt: the line is let go.
    fn take_causes(&self) -> u8;
    /// What changes with its configuration.
    fn generation(&self) -> u32;
    /// How many bytes of configuration there are.
    fn configuration_length(&self) -> usize;
    /// A byte of its configuration.
    fn configuration_u8(&self, offset: usize) -> u8;
    /// Two bytes of it.
    fn configuration_u16(&self, offset: usize) -> u16;
    /// Four bytes of it.
    fn configuration_u32(&self, offset: usize) -> u32;
}

/// Why a device is not driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not end its reset.
    Silent,
    /// It does not keep to version 1, though its registers do.
    NotVersion1,
    /// It does not work with the features that are used here.
    Refused,
    /// It lacks a queue, or descriptors for one.
    NoQueue(u16),
    /// It lacks a part of its configuration.
    NoConfiguration,
    /// Its configuration does not stand still.
    Unsteady,
    /// There is no memory for it.
    NoMemory,
    /// It is a NIC without a valid address.
    NoAddress,
    /// It is a SCSI controller whose requests are of other sizes than after a reset.
    RequestSizes,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("it does not end its reset"),
            Self::NotVersion1 => f.write_str("it does not keep to version 1 of virtio"),
            Self::Refused => f.write_str("it refuses the features that are used here"),
            Self::NoQueue(queue) => write!(f, "its queue {queue} is missing or too short"),
            Self::NoConfiguration => f.write_str("it lacks a part of its configuration"),
            Self::Unsteady => f.write_str("its configuration does not stand still"),
            Self::NoMemory => f.write_str("there is no memory for its queues that it reaches"),
            Self::NoAddress => f.write_str("it has no valid Ethernet address"),
            Self::RequestSizes => f.write_str("its requests are of unusual sizes"),
        }
    }
}

impl core::error::Error for Error {}

impl dyn Transport + '_ {
    /// Resets the device, and comes to terms on those features of `known` that it offers; returns them.
    /// `moment` lets some time pass; false says that there has been enough of it.
    ///
    /// # Errors
    ///
    /// [`Error`]: it is not to be used.
    pub fn negotiate(&self, known: u64, moment: &mut dyn FnMut() -> bool) -> Result<u64, Error> {
        self.set_status(0);
        while self.status() != 0 {
            if !moment() {
                return Err(Error::Silent);
            }
        }
        let driver = status::ACKNOWLEDGE | status::DRIVER;
        self.set_status(status::ACKNOWLEDGE);
        self.set_status(driver);
        let known =
            if self.is_legacy() { known & !VERSION_1 & u64::from(u32::MAX) } else { known | VERSION_1 };
        let features = self.features() & known;
        if self.is_legacy() {
            self.accept(features);
            return Ok(features);
        }
        if features & VERSION_1 == 0 {
            return Err(Error::NotVersion1);
        }
        self.accept(features);
        self.set_status(driver | status::FEATURES_OK);
        if self.status() & status::FEATURES_OK == 0 { Err(Error::Refused) } else { Ok(features) }
    }

    /// Makes a queue of up to `wanted` descriptors, and not less than `least`, in `memory`, and tells the
    /// device of it.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`] or [`Error::NoMemory`].
    pub fn queue<M: RingMemory>(
        &mut self,
        number: u16,
        memory: Option<M>,
        [least, wanted]: [u16; 2],
    ) -> Result<Queue<M>, Error> {
        let allowed = self.allowed(number);
        if allowed < least.into() {
            return Err(Error::NoQueue(number));
        }
        let queue = memory.and_then(|memory| Queue::new(memory, allowed, wanted)).ok_or(Error::NoMemory)?;
        if queue.size() < least {
            return Err(Error::NoQueue(number));
        }
        self.place(number, queue.size(), queue.areas())?;
        Ok(queue)
    }

    /// Tells the device to begin.
    pub fn start(&self) {
        let agreed = if self.is_legacy() { 0 } else { status::FEATURES_OK };
        self.set_status(status::ACKNOWLEDGE | status::DRIVER | agreed | status::DRIVER_OK);
    }

    /// Whether the device still works as it was told to: it has neither been reset, nor asks for that.
    pub fn is_alive(&self) -> bool {
        self.status() & (status::DRIVER_OK | status::NEEDS_RESET) == status::DRIVER_OK
    }

    /// What `read` makes of a configuration that has `length` bytes at least, and does not change meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::NoConfiguration`] or [`Error::Unsteady`].
    pub fn configuration<T>(&self, length: usize, read: impl Fn(&Self) -> T) -> Result<T, Error> {
        if self.configuration_length() < length {
            return Err(Error::NoConfiguration);
        }
        for _ in 0..TRIES {
            let before = self.generation();
            let value = read(self);
            if self.generation() == before {
                return Ok(value);
            }
        }
        Err(Error::Unsteady)
    }
}
