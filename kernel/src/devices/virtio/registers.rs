// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtio device's registers, wherever they are.

use core::mem::ManuallyDrop;

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::pci;

/// How often a configuration is read that changes meanwhile.
const TRIES: usize = 8;

/// The registers of a device. Dropping them does nothing to the device.
pub(crate) enum Registers {
    OnPci(pci::Registers),
    /// Not dropped: a driver that does not get on leaves the device as it is on PCI, too.
    InMemory(ManuallyDrop<MmioTransport<'static>>),
}

/// The same of both.
macro_rules! either {
    ($self:ident, $registers:ident => $same:expr) => {
        match $self {
            Self::OnPci($registers) => $same,
            Self::InMemory($registers) => $same,
        }
    };
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        either!(self, registers => registers.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        either!(self, registers => registers.read_device_features())
    }

    fn write_driver_features(&mut self, features: u64) {
        either!(self, registers => registers.write_driver_features(features));
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        either!(self, registers => registers.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        either!(self, registers => registers.notify(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        either!(self, registers => registers.get_status())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        either!(self, registers => registers.set_status(status));
    }

    fn set_guest_page_size(&mut self, size: u32) {
        either!(self, registers => registers.set_guest_page_size(size));
    }

    fn requires_legacy_layout(&self) -> bool {
        either!(self, registers => registers.requires_legacy_layout())
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        either!(self, registers => registers.queue_set(queue, size, descriptors, driver_area, device_area));
    }

    fn queue_unset(&mut self, queue: u16) {
        either!(self, registers => registers.queue_unset(queue));
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        either!(self, registers => registers.queue_used(queue))
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        either!(self, registers => registers.ack_interrupt())
    }

    fn read_config_generation(&self) -> u32 {
        either!(self, registers => registers.read_config_generation())
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        either!(self, registers => registers.read_config_space(offset))
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        either!(self, registers => registers.write_config_space(offset, value))
    }

    /// Not until the configuration stands still, as it is by default: the device decides when that is.
    fn read_consistent<T>(&self, read: impl Fn() -> Result<T>) -> Result<T> {
        for _ in 0..TRIES {
            let before = self.read_config_generation();
            let value = read();
            if self.read_config_generation() == before {
                return value;
            }
        }
        Err(Error::NotReady)
    }
}
