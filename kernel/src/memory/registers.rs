// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices' registers in memory, mapped for drivers.

use core::fmt;

use prism_arch::cpuid;
use prism_arch::machine::{Machine, MapError};
use prism_arch::registers::DeviceRegisters;
use prism_boot::MemoryMap;
use prism_boot::registers::{Free, Unfit, pages, reach};
use prism_drivers::hal::{NarrowRegisters, Registers};
use prism_drivers::pci::{Configuration, Function};
use spin::Once;

use crate::memory::Frames;
use crate::ports::CpuPorts;

/// What registers are mapped with, once the kernel runs.
static MAPPER: Once<MmioMapper> = Once::new();

struct MmioMapper {
    machine: &'static dyn Machine,
    memory: &'static MemoryMap,
    /// Where addresses end that a CPU and a pointer reach.
    limit: u64,
}

/// Registers of a device, mapped for good.
pub(crate) struct MappedRegisters(pub(crate) DeviceRegisters);

impl Registers for MappedRegisters {
    fn read_u32(&self, offset: usize) -> u32 {
        self.0.read_u32(offset)
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.0.write_u32(offset, value);
    }
}

impl NarrowRegisters for MappedRegisters {
    fn length(&self) -> usize {
        self.0.length()
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.0.read_u8(offset)
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.0.read_u16(offset)
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.0.write_u8(offset, value);
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.0.write_u16(offset, value);
    }
}

/// Remembers what registers are mapped with.
pub(crate) fn init(machine: &'static dyn Machine, memory: &'static MemoryMap) {
    let limit = reach(cpuid::physical_address_bits());
    MAPPER.call_once(|| MmioMapper { machine, memory, limit });
}

/// Why registers cannot be mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// The device is placed nowhere.
    NoPlace,
    /// No registers can be there.
    Unfit(Unfit),
    /// They are asked for before there are drivers.
    TooEarly,
    /// The page tables do not take them.
    Map(MapError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace => f.write_str("its registers are nowhere"),
            Self::Unfit(reason) => reason.fmt(f),
            Self::TooEarly => f.write_str("nothing can be mapped yet"),
            Self::Map(error) => write!(f, "its registers cannot be mapped: {error}"),
        }
    }
}

impl core::error::Error for Error {}

/// Where registers are placed if nobody has: where firmware puts them in Xen's domains.
static FREE: Free = Free::from(0xf100_0000);

/// [Maps](map) the registers that base address register `index` of a PCI function tells of, and switches
/// the function on. Not for PV domains, which have no ports.
pub(crate) fn of_function(function: &Function, index: u8, length: u64) -> Result<MappedRegisters, Error> {
    let configuration = Configuration::new(&CpuPorts, function.place);
    let free = FREE.take(length).ok_or(Error::Unfit(Unfit::TooLarge))?;
    let address = configuration.registers(index, free);
    configuration.switch_on();
    map(address.ok_or(Error::NoPlace)?, length)
}

/// Maps the registers at `address`. Firmware, devices and the command line say where registers are, and may
/// be wrong: whatever they say is an error at worst.
pub(crate) fn map(address: u64, length: u64) -> Result<MappedRegisters, Error> {
    let MmioMapper { machine, memory, limit } = MAPPER.get().ok_or(Error::TooEarly)?;
    for page in pages(address, length, *limit, memory).map_err(Error::Unfit)? {
        machine.ioremap_page(page, &mut Frames).map_err(Error::Map)?;
    }
    // SAFETY: just mapped, for good; not memory of ours.
    Ok(MappedRegisters(unsafe { DeviceRegisters::at(address, length as usize) }))
}
