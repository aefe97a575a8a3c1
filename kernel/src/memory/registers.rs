// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps registers of devices (MMIO) for drivers.

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

/// Maps registers, once memory is set up.
static MAPPER: Once<MmioMapper> = Once::new();

struct MmioMapper {
    machine: &'static dyn Machine,
    memory: &'static MemoryMap,
    /// The first address that the CPU or a pointer cannot reach.
    limit: u64,
}

/// Mapped registers of a device. They are never unmapped.
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

/// Enables [`map`].
pub(crate) fn init(machine: &'static dyn Machine, memory: &'static MemoryMap) {
    let limit = reach(cpuid::physical_address_bits());
    MAPPER.call_once(|| MmioMapper { machine, memory, limit });
}

/// Why registers cannot be mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    /// The device has no address.
    NoPlace,
    /// There can be no registers at this address.
    Unfit(Unfit),
    /// Memory is not set up yet.
    TooEarly,
    /// The page tables refuse the mapping.
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

/// Where to place registers that firmware has not placed: where Xen's firmware would.
static FREE: Free = Free::from(0xf100_0000);

/// [Maps](map) the registers behind base address register `index` of a PCI function, and enables the
/// function. Not for PV domains, which have no ports.
pub(crate) fn of_function(function: &Function, index: u8, length: u64) -> Result<MappedRegisters, Error> {
    let configuration = Configuration::new(&CpuPorts, function.address);
    let free = FREE.take(length).ok_or(Error::Unfit(Unfit::TooLarge))?;
    let address = configuration.registers(index, free);
    configuration.switch_on();
    map(address.ok_or(Error::NoPlace)?, length)
}

/// Maps the registers at `address`. The address comes from firmware, a device or the command line, and may be
/// wrong: the worst outcome is an error.
pub(crate) fn map(address: u64, length: u64) -> Result<MappedRegisters, Error> {
    let MmioMapper { machine, memory, limit } = MAPPER.get().ok_or(Error::TooEarly)?;
    for page in pages(address, length, *limit, memory).map_err(Error::Unfit)? {
        machine.ioremap_page(page, &mut Frames).map_err(Error::Map)?;
    }
    // SAFETY: just mapped, for good; not memory of ours.
    Ok(MappedRegisters(unsafe { DeviceRegisters::at(address, length as usize) }))
}
