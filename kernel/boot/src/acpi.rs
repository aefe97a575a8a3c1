// SPDX-License-Identifier: MIT OR Apache-2.0
//! ACPI tables (Advanced Configuration and Power Interface Specification 6.5, chapter 5), as far as
//! this kernel has use for them: the CPUs, how to switch off and to reset, the HPET.
//!
//! Firmware is not trusted more than a loader: tables are read by copy, one with a wrong checksum or
//! an absurd length does not count, and is noted.

mod fadt;
mod root;
mod sleep;
mod table;

use arrayvec::ArrayVec;

use crate::{Notes, PhysMemory};

pub use fadt::{PowerOff, Reset};
use table::Table;

/// CPUs that are kept of a longer list.
pub const MOST_CPUS: usize = 256;

/// What the tables tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acpi {
    /// Local APIC numbers of the CPUs that can be started, in the order of the table; the first is
    /// not always the one that boots. Empty if no table tells.
    pub cpus: ArrayVec<u32, MOST_CPUS>,
    /// How to switch off.
    pub power_off: Option<PowerOff>,
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
                b"APIC" => acpi.read_cpus(&table),
                b"FACP" => acpi.read_fixed(&table, notes),
                b"HPET" => acpi.hpet = hpet(&table),
                _ => {}
            }
        }
        acpi
    }

    /// The list of interrupt controllers (section 5.2.12).
    fn read_cpus(&mut self, table: &Table<'_, impl PhysMemory>) {
        /// The entries follow the header and two more fields.
        const ENTRIES: u32 = 44;
        /// A CPU that is there and may be started.
        const ENABLED: u32 = 1 << 0;
        let mut offset = ENTRIES;
        while let Some(entry) = table.record::<16>(offset).filter(|entry| entry.u8(1) >= 2) {
            let (id, flags) = match entry.u8(0) {
                0 => (u32::from(entry.u8(3)), entry.u32(4)),
                9 => (entry.u32(4), entry.u32(8)),
                _ => (0, 0),
            };
            if flags & ENABLED != 0 && !self.cpus.contains(&id) {
                // Those beyond the limit stay asleep.
                let _ = self.cpus.try_push(id);
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
