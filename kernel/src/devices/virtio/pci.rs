// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtio device's registers on PCI (Virtual I/O Device 1.2, 4.1.4).
//!
//! The `virtio-drivers` crate has such a transport, too, but it believes the device: a list of capabilities
//! without an end is a hang there, a place for notifications that makes no sense a panic, and a device that
//! does not end its reset is waited for for ever.

use prism_arch::cpu;
use prism_arch::registers::DeviceRegisters;
use prism_boot::PAGE_SIZE;
use prism_drivers::pci::{ANSWER_MEMORY, Configuration, Function, USE_MEMORY};
use prism_drivers::virtio::Kind;
use prism_drivers::virtio::pci::{Layout, Region};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Unreachable;
use crate::ports::CpuPorts;
use crate::registers;
use crate::time::Deadline;

/// Places of the registers that all devices have (4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0;
const DEVICE_FEATURE: usize = 4;
const DRIVER_FEATURE_SELECT: usize = 8;
const DRIVER_FEATURE: usize = 12;
const DEVICE_STATUS: usize = 20;
const CONFIG_GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFF: usize = 30;
const QUEUE_DESC: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;

/// Queues that a driver here uses, from the first one on.
const QUEUES: usize = 2;
/// How long a reset may take, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

/// The registers of a device.
pub(super) struct Registers {
    kind: DeviceType,
    layout: Layout,
    common: DeviceRegisters,
    notify: DeviceRegisters,
    interrupt: DeviceRegisters,
    device: Option<DeviceRegisters>,
    /// Of each queue that there is, where among `notify` its register is. The device is asked once.
    doorbells: [Option<usize>; QUEUES],
}

impl Registers {
    /// Those of a function, which is switched on, with `more` bits of its command register set.
    pub(super) fn open(function: &Function, more: u32) -> core::result::Result<Self, Unreachable> {
        let configuration = Configuration::new(&CpuPorts, function.place);
        let layout = Layout::read(&configuration).map_err(Unreachable::Pci)?;
        let kind = match function.virtio_kind() {
            Some(Kind::Network) => DeviceType::Network,
            Some(Kind::Block) => DeviceType::Block,
            Some(Kind::Console) => DeviceType::Console,
            Some(Kind::Other(_)) | None => return Err(Unreachable::NoDriver),
        };
        let map = |region| map(region).map_err(Unreachable::NoRegisters);
        let registers = Self {
            kind,
            layout,
            common: map(layout.common)?,
            notify: map(layout.notify)?,
            interrupt: map(layout.interrupt)?,
            device: layout.device.map(map).transpose()?,
            doorbells: [None; QUEUES],
        };
        configuration.command(ANSWER_MEMORY | USE_MEMORY | more);
        Ok(registers)
    }

    fn select(&self, queue: u16) {
        self.common.write_u16(QUEUE_SELECT, queue);
    }

    /// Writes an address, as two registers: so the specification has it.
    fn write_address(&self, offset: usize, address: PhysAddr) {
        self.common.write_u32(offset, address as u32);
        self.common.write_u32(offset + 4, (address >> 32) as u32);
    }
}

fn map(region: Region) -> core::result::Result<DeviceRegisters, registers::Error> {
    let before = region.address % PAGE_SIZE;
    let mapped = registers::map(region.address - before, before + region.length)?;
    mapped.0.after(before as usize).ok_or(registers::Error::NoPlace)
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.common.write_u32(DEVICE_FEATURE_SELECT, half);
            u64::from(self.common.read_u32(DEVICE_FEATURE))
        });
        high << 32 | low
    }

    fn write_driver_features(&mut self, features: u64) {
        for (half, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.common.write_u32(DRIVER_FEATURE_SELECT, half);
            self.common.write_u32(DRIVER_FEATURE, bits);
        }
    }

    /// None, for a queue that the device could not be told about.
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        let Some(doorbell) = self.doorbells.get_mut(usize::from(queue)) else { return 0 };
        *doorbell = self.layout.doorbell(self.common.read_u16(QUEUE_NOTIFY_OFF));
        if doorbell.is_some() { self.common.read_u16(QUEUE_SIZE).into() } else { 0 }
    }

    fn notify(&mut self, queue: u16) {
        if let Some(Some(doorbell)) = self.doorbells.get(usize::from(queue)) {
            self.notify.write_u16(*doorbell, queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.common.read_u8(DEVICE_STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common.write_u8(DEVICE_STATUS, status.bits() as u8);
        // A reset has to be over before anything else (4.1.4.3.2). It is tried even if that takes too long.
        let mut deadline = Deadline::after(PATIENCE);
        while status.is_empty() && self.common.read_u8(DEVICE_STATUS) != 0 && !deadline.passed() {
            cpu::relax();
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.select(queue);
        self.common.write_u16(QUEUE_SIZE, size as u16);
        self.write_address(QUEUE_DESC, descriptors);
        self.write_address(QUEUE_DRIVER, driver_area);
        self.write_address(QUEUE_DEVICE, device_area);
        self.common.write_u16(QUEUE_ENABLE, 1);
    }

    /// Not possible without a reset.
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.common.read_u16(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // Reading clears it.
        InterruptStatus::from_bits_truncate(self.interrupt.read_u8(0).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.common.read_u8(CONFIG_GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let device = self.device.as_ref().ok_or(Error::ConfigSpaceMissing)?;
        if offset.saturating_add(size_of::<T>()) > device.length() {
            return Err(Error::ConfigSpaceTooSmall);
        }
        let mut value = T::new_zeroed();
        // A field is read as what it is; one of 64 bits as two (4.1.3.1).
        let width = align_of::<T>().min(4);
        for (part, offset) in value.as_mut_bytes().chunks_mut(width).zip((offset..).step_by(width)) {
            match part {
                [byte] => *byte = device.read_u8(offset),
                [_, _] => part.copy_from_slice(&device.read_u16(offset).to_le_bytes()),
                [_, _, _, _] => part.copy_from_slice(&device.read_u32(offset).to_le_bytes()),
                _ => return Err(Error::InvalidParam),
            }
        }
        Ok(value)
    }

    /// Nobody does here.
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        Err(Error::Unsupported)
    }
}
