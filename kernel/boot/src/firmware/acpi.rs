// SPDX-License-Identifier: MIT OR Apache-2.0
//! ACPI tables (Advanced Configuration and Power Interface Specification 6.5, chapter 5), as far as this
//! kernel uses them: CPUs, I/O APICs, virtio devices on MMIO, poweroff and reset, the HPET.
//!
//! Firmware is not trusted. Tables are read by copy; one with a wrong checksum or an absurd length is ignored
//! and noted.

mod fadt;
mod root;
mod sleep;
mod table;
mod virtio;

use arrayvec::ArrayVec;

use crate::firmware::controllers::{Controllers, Input, IoApic, Signal};
use crate::firmware::virtio_mmio::{MAX_SLOTS, Slot};
use crate::{Notes, PhysMemory};

pub use fadt::{PowerButton, PowerOff, Reset};
use table::Table;

/// What the tables tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acpi {
    /// The CPUs and the interrupt controllers.
    pub controllers: Controllers,
    /// Virtio devices whose registers are in memory.
    pub virtio: ArrayVec<Slot, MAX_SLOTS>,
    /// How to switch off.
    pub power_off: Option<PowerOff>,
    /// Where the power button is.
    pub power_button: Option<PowerButton>,
    /// How to reset.
    pub reset: Option<Reset>,
    /// Number of the clock's register that holds the century, if it has one.
    pub century_register: Option<u8>,
    /// Address of the registers of a high precision event timer.
    pub hpet: Option<u64>,
}

impl Acpi {
    /// Reads the tables whose root pointer lies at `rsdp`, or where a BIOS leaves it if nobody has
    /// said. Without tables everything is empty.
    #[must_use]
    pub fn read(memory: &impl PhysMemory, rsdp: Option<u64>, notes: &mut Notes) -> Self {
        let mut acpi = Self::default();
        let Some(root) = root::find(memory, rsdp, notes) else { return acpi };
        for address in root.addresses(memory, notes) {
            let Some(table) = Table::open(memory, address, notes) else { continue };
            match &table.signature {
                b"APIC" => acpi.controllers.read(&table),
                b"FACP" => acpi.read_fixed(&table, notes),
                b"HPET" => acpi.hpet = hpet(&table),
                _ => {}
            }
        }
        acpi
    }
}

impl Controllers {
    /// The list of interrupt controllers (section 5.2.12).
    fn read(&mut self, table: &Table<'_, impl PhysMemory>) {
        /// The entries follow the header and two more fields.
        const ENTRIES: u32 = 44;
        /// A CPU that is there and may be started.
        const ENABLED: u32 = 1 << 0;
        let mut offset = ENTRIES;
        while let Some(entry) = table.record::<16>(offset).filter(|entry| entry.u8(1) >= 2) {
            match entry.u8(0) {
                0 if entry.u32(4) & ENABLED != 0 => self.add_cpu(entry.u8(3).into()),
                1 => self.add_io_apic(IoApic { address: entry.u32(4).into(), first: entry.u32(8) }),
                2 => {
                    let signal = Signal::of_flags(entry.u16(8));
                    self.override_irq(entry.u8(3), Input { number: entry.u32(4), signal });
                }
                9 if entry.u32(8) & ENABLED != 0 => self.add_cpu(entry.u32(4)),
                _ => {}
            }
            offset = offset.saturating_add(u32::from(entry.u8(1)));
        }
    }
}

/// Address of the timer's registers, if they are in memory (HPET specification 1.0a, 3.2.4).
fn hpet(table: &Table<'_, impl PhysMemory>) -> Option<u64> {
    let place = table.record::<12>(40)?;
    Some(place.u64(4)).filter(|address| place.u8(0) == 0 && *address != 0)
}
