// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of a virtio device on PCI, and where they are (Virtual I/O Device 1.2, 4.1.4).

use core::fmt;

use crate::hal::NarrowRegisters;
use crate::hal::Ports;
use crate::pci::{Configuration, Memory, VENDOR_SPECIFIC};
use crate::virtio::queue::Areas;
use crate::virtio::transport::{Error, Transport};

/// The most of a part's registers that is used, in bytes, whatever a device says; no kind that is driven
/// has more. The specification allows that.
const MAX: u64 = 64 << 10;

/// Bytes of a capability that tells of a part, and of the one for notifications.
const CAPABILITY: u8 = 16;
const NOTIFY_CAPABILITY: u8 = 20;

/// Places of the registers that all devices have (4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0;
const DEVICE_FEATURE: usize = 4;
const DRIVER_FEATURE_SELECT: usize = 8;
const DRIVER_FEATURE: usize = 12;
const STATUS: usize = 20;
const GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_ENABLE: usize = 28;
const QUEUE_DOORBELL: usize = 30;
const QUEUE_DESCRIPTORS: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;

/// Queues that a driver here uses, from the first one on.
const QUEUES: usize = 3;

/// Registers of a device, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those that all devices have.
    Common,
    /// Those by which a device is told of something in a queue.
    Notify,
    /// The causes of interrupts.
    Interrupt,
    /// Those of the device's kind.
    Device,
}

impl Part {
    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Common),
            2 => Some(Self::Notify),
            3 => Some(Self::Interrupt),
            4 => Some(Self::Device),
            _ => None,
        }
    }

    /// Bytes without which it is of no use.
    const fn least(self) -> u64 {
        match self {
            Self::Common => 56,
            Self::Notify => 2,
            Self::Interrupt | Self::Device => 1,
        }
    }
}

/// Where some registers are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address of the first one.
    pub address: u64,
    /// In bytes; 64 KiB at most.
    pub length: u64,
}

/// Where a device's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Those that all devices have; at least 56 bytes.
    pub common: Region,
    /// Those by which the device is told of something in a queue.
    pub notify: Region,
    /// How far apart they are: what a queue says of its one is in this unit.
    pub step: u32,
    /// The causes of interrupts.
    pub interrupt: Region,
    /// Those of the device's kind, if it has some.
    pub device: Option<Region>,
}

/// The device tells of no registers for this that could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub Part);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Part::Common => "it does not tell of common registers in memory",
            Part::Notify => "it does not tell of registers in memory for notifications",
            Part::Interrupt => "it does not tell of registers in memory for causes of interrupts",
            Part::Device => "it does not tell of registers in memory for its kind",
        })
    }
}

impl core::error::Error for Missing {}

impl Layout {
    /// What a function's capabilities tell; of each part the first that can be used. The function does not
    /// answer for a moment: nobody may use it yet.
    ///
    /// # Errors
    ///
    /// [`Missing`]: it tells of no registers that could be used for a part without which it is none.
    pub fn read<P: Ports + ?Sized>(configuration: &Configuration<'_, P>) -> Result<Self, Missing> {
        let (mut common, mut notify, mut interrupt, mut device) = (None, None, None, None);
        // Most often all parts are in the same one, and asking takes many accesses.
        let mut last = None;
        let mut memory = |index| match last {
            Some((before, memory)) if before == index => memory,
            _ => last.insert((index, configuration.memory(index))).1,
        };
        for (place, header) in configuration.capabilities() {
            let [id, _, length, part] = header.to_le_bytes();
            let Some(part) = Part::of(part).filter(|_| id == VENDOR_SPECIFIC && length >= CAPABILITY) else {
                continue;
            };
            let mut region = || region(configuration, place, part, &mut memory);
            match part {
                Part::Common => common = common.or_else(region),
                Part::Notify if length >= NOTIFY_CAPABILITY => {
                    let step = place.checked_add(16).map(|register| configuration.read(register));
                    notify = notify.or_else(|| region().zip(step));
                }
                Part::Notify => {}
                Part::Interrupt => interrupt = interrupt.or_else(region),
                Part::Device => device = device.or_else(region),
            }
        }
        let (notify, step) = notify.ok_or(Missing(Part::Notify))?;
        let common = common.ok_or(Missing(Part::Common))?;
        let interrupt = interrupt.ok_or(Missing(Part::Interrupt))?;
        Ok(Self { common, notify, step, interrupt, device })
    }

    /// Where among the registers for notifications that of a queue is which says `told` of it; `None` if it
    /// is not among them.
    pub fn doorbell(&self, told: u16) -> Option<usize> {
        let offset = u64::from(told) * u64::from(self.step);
        let is_there = offset.is_multiple_of(2) && offset + 2 <= self.notify.length;
        usize::try_from(offset).ok().filter(|_| is_there)
    }
}

/// The registers that the capability at `place` tells of, if they can be used. The memory of base address
/// registers is asked for.
fn region<P: Ports + ?Sized>(
    configuration: &Configuration<'_, P>,
    place: u8,
    part: Part,
    memory: impl FnOnce(u8) -> Option<Memory>,
) -> Option<Region> {
    let field = |offset| Some(configuration.read(place.checked_add(offset)?));
    let (index, offset, length) = (field(4)? as u8, u64::from(field(8)?), u64::from(field(12)?));
    let memory = memory(index)?;
    let is_inside = offset + length <= memory.length;
    let address = memory.address.checked_add(offset)?;
    (is_inside && length >= part.least()).then_some(Region { address, length: length.min(MAX) })
}

/// The registers of a device.
pub struct Device<R> {
    layout: Layout,
    common: R,
    notify: R,
    interrupt: R,
    device: Option<R>,
    /// Of each queue that there is, where among `notify` its register is. The device is asked once.
    doorbells: [Option<usize>; QUEUES],
}

impl<R: NarrowRegisters> Device<R> {
    /// The registers that are laid out so, each part mapped by `map`.
    ///
    /// # Errors
    ///
    /// Those of `map`.
    pub fn open<E>(layout: Layout, map: impl Fn(Region) -> Result<R, E>) -> Result<Self, E> {
        Ok(Self {
            layout,
            common: map(layout.common)?,
            notify: map(layout.notify)?,
            interrupt: map(layout.interrupt)?,
            device: layout.device.map(&map).transpose()?,
            doorbells: [None; QUEUES],
        })
    }

    /// Writes an address, as two registers: so the specification has it.
    fn write_address(&self, register: usize, address: u64) {
        self.common.write_u32(register, address as u32);
        self.common.write_u32(register + 4, (address >> 32) as u32);
    }
}

impl<R: NarrowRegisters> Transport for Device<R> {
    fn is_legacy(&self) -> bool {
        false
    }

    fn features(&self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.common.write_u32(DEVICE_FEATURE_SELECT, half);
            u64::from(self.common.read_u32(DEVICE_FEATURE))
        });
        high << 32 | low
    }

    fn accept(&self, features: u64) {
        for (half, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.common.write_u32(DRIVER_FEATURE_SELECT, half);
            self.common.write_u32(DRIVER_FEATURE, bits);
        }
    }

    fn status(&self) -> u8 {
        self.common.read_u8(STATUS)
    }

    fn set_status(&self, status: u8) {
        self.common.write_u8(STATUS, status);
    }

    /// None, for a queue that the device could not be told about.
    fn allowed(&mut self, queue: u16) -> u32 {
        self.common.write_u16(QUEUE_SELECT, queue);
        let Some(doorbell) = self.doorbells.get_mut(usize::from(queue)) else { return 0 };
        *doorbell = self.layout.doorbell(self.common.read_u16(QUEUE_DOORBELL));
        if doorbell.is_some() { self.common.read_u16(QUEUE_SIZE).into() } else { 0 }
    }

    fn place(&self, queue: u16, size: u16, areas: Areas) -> Result<(), Error> {
        self.common.write_u16(QUEUE_SELECT, queue);
        self.common.write_u16(QUEUE_SIZE, size);
        self.write_address(QUEUE_DESCRIPTORS, areas.descriptors);
        self.write_address(QUEUE_DRIVER, areas.driver);
        self.write_address(QUEUE_DEVICE, areas.device);
        self.common.write_u16(QUEUE_ENABLE, 1);
        Ok(())
    }

    fn notify(&self, queue: u16) {
        if let Some(Some(doorbell)) = self.doorbells.get(usize::from(queue)) {
            self.notify.write_u16(*doorbell, queue);
        }
    }

    fn take_causes(&self) -> u8 {
        // Reading clears it.
        self.interrupt.read_u8(0)
    }

    fn generation(&self) -> u32 {
        self.common.read_u8(GENERATION).into()
    }

    fn configuration_length(&self) -> usize {
        self.device.as_ref().map_or(0, NarrowRegisters::length)
    }

    fn configuration_u8(&self, offset: usize) -> u8 {
        self.device.as_ref().map_or(!0, |device| device.read_u8(offset))
    }

    fn configuration_u16(&self, offset: usize) -> u16 {
        self.device.as_ref().map_or(!0, |device| device.read_u16(offset))
    }

    fn configuration_u32(&self, offset: usize) -> u32 {
        self.device.as_ref().map_or(!0, |device| device.read_u32(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;
    use crate::pci::tests::FakePorts;

    const PLACE: PciAddress = PciAddress { bus: 0, device: 3, function: 0 };
    const BAR: u64 = 0x70_fe00_0000;
    /// Bytes of it.
    const LENGTH: u32 = 0x4000;

    /// A capability: its place, its header, the base address register, offset, length, and the step.
    type Capability = (u8, [u8; 4], u8, u32, u32, u32);

    /// As QEMU has them.
    const GOOD: [Capability; 5] = [
        (0x84, [9, 0x70, 20, 5], 0, 0, 0, 0),
        (0x70, [9, 0x60, 20, 2], 4, 0x3000, 0x1000, 4),
        (0x60, [9, 0x50, 16, 4], 4, 0x2000, 0x1000, 0),
        (0x50, [9, 0x40, 16, 3], 4, 0x1000, 0x1000, 0),
        (0x40, [9, 0, 16, 1], 4, 0, 0x1000, 0),
    ];

    fn at(offset: u64, length: u64) -> Region {
        Region { address: BAR + offset, length }
    }

    /// What is made of these capabilities.
    fn layout(capabilities: &[Capability]) -> Result<Layout, Missing> {
        let ports = FakePorts::default();
        ports.plug(PLACE, 0x04, 0x0010_0006);
        ports.plug(PLACE, 0x20, BAR as u32 | 4);
        ports.plug(PLACE, 0x24, (BAR >> 32) as u32);
        ports.size(PLACE, 0x20, LENGTH);
        // Its first one is for ports.
        ports.plug(PLACE, 0x10, 0xc001);
        ports.plug(PLACE, 0x34, 0x84);
        for &(place, header, bar, offset, length, step) in capabilities {
            ports.plug(PLACE, place, u32::from_le_bytes(header));
            let fields = [(4, u32::from(bar)), (8, offset), (12, length), (16, step)];
            for (register, value) in fields.into_iter().filter(|(register, _)| *register < header[2]) {
                if let Some(register) = place.checked_add(register) {
                    ports.plug(PLACE, register, value);
                }
            }
        }
        let layout = Layout::read(&Configuration::new(&ports, PLACE));
        let configuration = Configuration::new(&ports, PLACE);
        assert_eq!(configuration.read(0x20), BAR as u32 | 4, "it is where it was");
        assert_eq!(configuration.read(0x04) & 7, 6, "it answers again");
        layout
    }

    /// With another one in the place of [`GOOD`]'s number `index`.
    fn with(index: usize, capability: Capability) -> Result<Layout, Missing> {
        let mut capabilities = GOOD;
        capabilities[index] = capability;
        layout(&capabilities)
    }

    #[test]
    fn registers_are_where_the_capabilities_say() {
        let expected = Layout {
            common: at(0, 0x1000),
            notify: at(0x3000, 0x1000),
            step: 4,
            interrupt: at(0x1000, 0x1000),
            device: Some(at(0x2000, 0x1000)),
        };
        assert_eq!(layout(&GOOD), Ok(expected));
    }

    #[test]
    fn a_function_without_capabilities_lacks_everything() {
        let ports = FakePorts::default();
        ports.plug(PLACE, 0x04, 0x0000_0006);
        ports.plug(PLACE, 0x34, 0x84);
        assert_eq!(Layout::read(&Configuration::new(&ports, PLACE)), Err(Missing(Part::Notify)));
    }

    #[test]
    fn a_list_without_an_end_ends() {
        assert!(with(4, (0x40, [9, 0x84, 16, 1], 4, 0, 0x1000, 0)).is_ok());
        // Before the common registers are told of.
        let circle = with(2, (0x60, [9, 0x60, 16, 4], 4, 0x2000, 0x1000, 0));
        assert_eq!(circle, Err(Missing(Part::Common)));
    }

    #[test]
    fn what_lies_outside_of_its_memory_is_not_used() {
        for (bar, offset, length) in [
            (4, LENGTH - 0x1000, 0x1001),
            (4, !0, !0),
            (4, !0, 0x1000),
            (4, 0, !0),
            // Ports, one that is not there, and ones that cannot be there.
            (0, 0, 0x1000),
            (1, 0, 0x1000),
            (6, 0, 0x1000),
            (0xff, 0, 0x1000),
        ] {
            let found = with(4, (0x40, [9, 0, 16, 1], bar, offset, length, 0));
            assert_eq!(found, Err(Missing(Part::Common)), "{bar}, {offset:#x}, {length:#x}");
        }
    }

    #[test]
    fn what_is_too_short_is_not_used() {
        assert_eq!(with(4, (0x40, [9, 0, 16, 1], 4, 0, 55, 0)), Err(Missing(Part::Common)));
        assert_eq!(with(3, (0x50, [9, 0x40, 16, 3], 4, 0x1000, 0, 0)), Err(Missing(Part::Interrupt)));
        assert_eq!(with(1, (0x70, [9, 0x60, 16, 2], 4, 0x3000, 0x1000, 4)), Err(Missing(Part::Notify)));
        let without = with(2, (0x60, [9, 0x50, 16, 4], 4, 0x2000, 0, 0));
        assert_eq!(without.map(|layout| layout.device), Ok(None));
    }

    #[test]
    fn a_capability_that_runs_out_of_configuration_space_is_not_used() {
        let mut capabilities = GOOD;
        capabilities[2].1 = [9, 0xf8, 16, 4];
        capabilities[3] = (0xf8, [9, 0x40, 16, 3], 4, 0x1000, 0x1000, 0);
        assert_eq!(layout(&capabilities), Err(Missing(Part::Interrupt)));
    }

    #[test]
    fn of_two_that_can_be_used_the_first_is() {
        let found = with(2, (0x60, [9, 0x50, 16, 1], 4, 0x2000, 0x1000, 0));
        assert_eq!(found.map(|layout| layout.common), Ok(at(0x2000, 0x1000)));
    }

    #[test]
    fn a_doorbell_is_inside_of_the_registers_for_notifications() {
        let mut layout = layout(&GOOD).unwrap();
        assert_eq!(layout.doorbell(1), Some(4));
        assert_eq!(layout.doorbell(0x3ff), Some(0xffc));
        assert_eq!(layout.doorbell(0x400), None);
        layout.step = 0;
        assert_eq!(layout.doorbell(0xffff), Some(0));
        layout.step = !0;
        assert_eq!(layout.doorbell(0xffff), None);
        layout.step = 1;
        assert_eq!(layout.doorbell(1), None);
        layout.notify.length = 3;
        assert_eq!(layout.doorbell(2), None);
    }
}
