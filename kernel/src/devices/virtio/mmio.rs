// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices on MMIO. The command line and ACPI's tables list slots; a slot may be empty.

use alloc::vec::Vec;

use log::warn;
use prism_boot::capabilities::Devices;
use prism_boot::firmware::virtio_mmio;
use prism_boot::firmware::virtio_mmio::{MAX_SLOTS, Slot};
use prism_boot::{Acpi, BootInfo};
use prism_drivers::virtio::Kind;
use prism_drivers::virtio::mmio::{self, Device};
use spin::Once;

use super::{Unreachable, count};
use crate::memory::registers::{self, MappedRegisters};

/// The slots that are not empty.
static FOUND: Once<Vec<(Slot, Kind)>> = Once::new();

/// Probes the slots, and counts the devices by kind. Empty slots are not logged, as some VMMs list every slot
/// that they have.
pub(crate) fn find(info: &BootInfo, acpi: &Acpi, devices: &mut Devices) {
    let mut found = Vec::new();
    // Prefer ACPI's slots: they tell more of the same devices.
    let told = acpi.virtio.iter().copied().chain(info.command_line.virtio_slots().filter_map(Result::ok));
    let (slots, more) = virtio_mmio::distinct(told);
    for slot in slots {
        let place = slot.range.start();
        let registers = match registers::map(place, slot.range.len()) {
            Ok(registers) => registers,
            Err(error) => {
                warn!("virtio-mmio slot at {place:#x} not used: {error}");
                continue;
            }
        };
        match mmio::kind(&registers) {
            Ok(Some(kind)) => {
                count(devices, kind);
                found.push((slot, kind));
            }
            Ok(None) => {}
            Err(reason) => warn!("virtio-mmio slot at {place:#x} not used: {reason}"),
        }
    }
    if more {
        warn!("virtio-mmio: only the first {MAX_SLOTS} slots are used");
    }
    FOUND.call_once(|| found);
}

/// The devices of a kind.
pub(super) fn devices(kind: Kind) -> impl Iterator<Item = Slot> {
    let found = FOUND.get().into_iter().flatten();
    found.filter(move |(_, other)| *other == kind).map(|(slot, _)| *slot)
}

/// A device's registers.
pub(super) fn open(slot: &Slot) -> Result<Device<MappedRegisters>, Unreachable> {
    let mapped = registers::map(slot.range.start(), slot.range.len()).map_err(Unreachable::NoRegisters)?;
    Ok(Device::new(mapped))
}
