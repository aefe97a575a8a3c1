// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_boot::firmware::controllers::PIC_IRQS;
use prism_boot::firmware::mp_table;
use prism_boot::{Notes, SliceMemory};
use prism_fuzz::check_line;
use prism_fuzz::fuzz_target;

/// The last KiB of 640, where the pointer lies, and the table behind it.
const POINTER: u64 = 0x9_fc00;
const LENGTH: usize = 16;

// Entries as a firmware might leave them, behind a header whose checksum is mostly right: else nothing
// behind it would ever be looked at.
fuzz_target!(|input: (&[u8], u8)| {
    let (entries, damage) = input;
    let mut table = b"PCMP".to_vec();
    table.resize(44, 0);
    table.extend(entries);
    let length = table.len() as u16;
    table[4..6].copy_from_slice(&length.to_le_bytes());
    let sum = sum(table.get(..length.into()).unwrap_or_default());
    table[7] = sum.wrapping_neg().wrapping_add(damage.saturating_sub(240));
    let mut bytes = b"_MP_".to_vec();
    bytes.extend((POINTER as u32 + LENGTH as u32).to_le_bytes());
    bytes.resize(LENGTH, 0);
    bytes[10] = self::sum(&bytes).wrapping_neg();
    bytes.extend(table);
    let mut notes = Notes::default();
    let found = mp_table::read(&SliceMemory { base: POINTER, bytes: &bytes }, &mut notes);
    assert!(found.io_apics.len() <= 1 && found.io_apics.iter().all(|apic| apic.address != 0));
    for (index, cpu) in found.cpus.iter().enumerate() {
        assert!(!found.cpus[..index].contains(cpu));
    }
    // Only old lines are moved.
    assert_eq!(found.input(PIC_IRQS as u32).number, PIC_IRQS as u32);
    notes.iter().for_each(check_line);
});

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
