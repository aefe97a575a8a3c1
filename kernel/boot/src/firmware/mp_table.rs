// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MP table (MultiProcessor Specification 1.4, chapter 4): CPUs and interrupt controllers, on machines
//! without ACPI. VMMs of small machines provide one.
//!
//! It is not trusted: it is read by copy, and used only if both checksums are right.

use core::ops::Range;

use crate::bytes::Record;
use crate::firmware::bios;
use crate::firmware::checksum::checksum;
use crate::firmware::controllers::{Controllers, Input, IoApic, Signal};
use crate::{BootNote, Notes, PhysMemory};

const POINTER: &[u8; 4] = b"_MP_";
const POINTER_LENGTH: u32 = 16;
const TABLE: &[u8; 4] = b"PCMP";
const HEADER: u64 = 44;
const ISA: &[u8; 6] = b"ISA   ";

/// Where the pointer may lie but for the extended data area: the last KiB of 640 or 512, and the BIOS.
const PLACES: [Range<u64>; 3] = [0x9_fc00..0xa_0000, 0x7_fc00..0x8_0000, 0xf_0000..0x10_0000];

/// The CPU or the I/O APIC may be used.
const ENABLED: u8 = 1 << 0;
/// INT: not NMI, SMI or ExtINT (table 4-9).
const VECTORED: u8 = 0;

/// What the table tells; nothing if there is none.
#[must_use]
pub fn read(memory: &impl PhysMemory, notes: &mut Notes) -> Controllers {
    let Some(table) = find(memory) else { return Controllers::default() };
    let header = Record::<44>::read(memory, table);
    let Some(header) = header.filter(|header| header.bytes(0, 4) == TABLE && is_right(memory, table, header))
    else {
        notes.push(BootNote::BadTable { signature: *TABLE, address: table });
        return Controllers::default();
    };
    let mut reader = Reader { controllers: Controllers::default(), isa: None, io_apic: None };
    let mut at = table.saturating_add(HEADER);
    let end = table.saturating_add(header.u16(4).into());
    // The header counts the entries too, but wrongly in qboot's table: nobody relies on that.
    while let Some(entry) = Record::<8>::read(memory, at).filter(|_| at < end) {
        reader.take(&entry);
        let length = if entry.u8(0) == 0 { 20 } else { 8 };
        at = at.saturating_add(length);
    }
    reader.controllers
}

/// Address of the table, if there is a pointer to one.
fn find(memory: &impl PhysMemory) -> Option<u64> {
    bios::candidates(memory, &PLACES)
        .filter_map(|address| {
            let pointer = Record::<16>::read(memory, address)?;
            let good = pointer.bytes(0, 4) == POINTER && checksum(memory, address, POINTER_LENGTH) == Some(0);
            good.then(|| u64::from(pointer.u32(4)))
        })
        .find(|table| *table != 0)
}

fn is_right(memory: &impl PhysMemory, table: u64, header: &Record<44>) -> bool {
    checksum(memory, table, header.u16(4).into()) == Some(0)
}

struct Reader {
    controllers: Controllers,
    /// Number of the bus that the old lines belong to.
    isa: Option<u8>,
    /// The I/O APIC whose inputs are counted from 0. The table does not tell how many there are: those of
    /// any further one have no number.
    io_apic: Option<u8>,
}

impl Reader {
    fn take(&mut self, entry: &Record<8>) {
        match entry.u8(0) {
            0 if entry.u8(3) & ENABLED != 0 => self.controllers.add_cpu(entry.u8(1).into()),
            1 if entry.bytes(2, 6) == ISA => self.isa = Some(entry.u8(1)),
            2 if entry.u8(3) & ENABLED != 0 && self.io_apic.is_none() => {
                self.io_apic = Some(entry.u8(1));
                self.controllers.add_io_apic(IoApic { address: entry.u32(4).into(), first: 0 });
            }
            3 if entry.u8(1) == VECTORED && self.isa == Some(entry.u8(4)) && self.targets(entry.u8(6)) => {
                let signal = Signal::of_flags(entry.u16(2));
                self.controllers.override_irq(entry.u8(5), Input { number: entry.u8(7).into(), signal });
            }
            _ => {}
        }
    }

    /// Whether that is the I/O APIC we count by; 255 stands for all.
    fn targets(&self, io_apic: u8) -> bool {
        io_apic == u8::MAX || self.io_apic == Some(io_apic)
    }
}
