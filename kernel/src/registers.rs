// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices' registers in memory, mapped for drivers.

use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::machine::Machine;
use prism_arch::registers::DeviceRegisters;
use prism_boot::{MemoryMap, PAGE_SIZE, PhysRange};
use prism_drivers::pci::{Configuration, Function};
use prism_drivers::registers::Registers;
use spin::Once;

use crate::memory::Frames;
use crate::ports::CpuPorts;

/// What registers are mapped with, once the kernel runs.
static SURFACE: Once<(&'static dyn Machine, &'static MemoryMap)> = Once::new();

/// The most that is mapped for one device, in bytes.
const MOST: u64 = 1 << 20;

/// Registers of a device, mapped for good.
pub(crate) struct MappedRegisters(DeviceRegisters);

impl Registers for MappedRegisters {
    fn read_u32(&self, offset: usize) -> u32 {
        self.0.read_u32(offset)
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.0.write_u32(offset, value);
    }
}

/// Remembers what registers are mapped with.
pub(crate) fn begin(machine: &'static dyn Machine, memory: &'static MemoryMap) {
    SURFACE.call_once(|| (machine, memory));
}

/// [Maps](map) registers for a driver.
pub(crate) fn map_for_driver(address: u64, length: u64) -> Option<MappedRegisters> {
    let (machine, memory) = SURFACE.get()?;
    map(*machine, memory, address, length)
}

/// Where registers are placed if nobody has: where firmware puts them in Xen's domains.
static FREE: AtomicU32 = AtomicU32::new(0xf100_0000);

/// [Maps](map) the registers that base address register `index` of a PCI function tells of, and switches
/// the function on. Not for PV domains, which have no ports.
pub(crate) fn of_function(function: &Function, index: u8, length: u64) -> Option<MappedRegisters> {
    let configuration = Configuration::new(&CpuPorts, function.place);
    let room = u32::try_from(length.next_power_of_two()).ok()?;
    // What is not placed here leaves a hole: there is room for many.
    let free = FREE.fetch_add(2 * room, Ordering::Relaxed).next_multiple_of(room);
    let address = configuration.registers(index, free);
    configuration.switch_on();
    map_for_driver(address?, length)
}

/// Maps the registers at `address`, a multiple of 8; `None` if that cannot be, or if it is memory
/// of ours: firmware and devices say where registers are, and may be wrong.
pub(crate) fn map(
    machine: &dyn Machine,
    memory: &MemoryMap,
    address: u64,
    length: u64,
) -> Option<MappedRegisters> {
    let range =
        PhysRange::with_length(address, length).filter(|_| length <= MOST && address.is_multiple_of(8))?;
    let is_memory = memory.usable().any(|usable| usable.overlaps(range));
    if address < PAGE_SIZE || is_memory {
        return None;
    }
    let first = address - address % PAGE_SIZE;
    for page in (first..range.end()).step_by(PAGE_SIZE as usize) {
        machine.map_special_page(page, &mut Frames).ok()?;
    }
    // SAFETY: just mapped, for good; not memory of ours.
    Some(MappedRegisters(unsafe { DeviceRegisters::at(address, length as usize) }))
}
