// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of Xen's platform device. Nothing is there: it is where an HVM domain may have Xen's pages
//! appear (Linux, `drivers/xen/platform-pci.c`), without giving up pages of its own.

use core::iter::StepBy;
use core::ops::Range;

use prism_arch::cpuid;
use prism_arch::machine::Machine;
use prism_boot::registers::{MOST, pages, reach};
use prism_boot::{MemoryMap, PAGE_SIZE, PhysRange};
use spin::Mutex;

use super::Frames;

static ROOM: Mutex<Option<Room>> = Mutex::new(None);

struct Room {
    machine: &'static dyn Machine,
    free: StepBy<Range<u64>>,
}

/// Uses the device's memory, up to a MiB of it, unless firmware has put it where it cannot be.
pub(crate) fn init(machine: &'static dyn Machine, device: PhysRange, memory: &MemoryMap) {
    let (start, length) = (device.start(), (device.end() - device.start()).min(MOST));
    let limit = reach(cpuid::physical_address_bits());
    if start.is_multiple_of(PAGE_SIZE) && pages(start, length, limit, memory).is_ok() {
        let free = (start..start + length).step_by(PAGE_SIZE as usize);
        *ROOM.lock() = Some(Room { machine, free });
    }
}

/// The address of a page that is free, mapped; `None` if there is none.
pub(super) fn take() -> Option<u64> {
    let mut room = ROOM.lock();
    let Room { machine, free } = room.as_mut()?;
    let page = free.next()?;
    machine.ioremap_page(page, &mut Frames).ok()?;
    Some(page)
}
