// SPDX-License-Identifier: MIT OR Apache-2.0

use arbitrary::Arbitrary;
use prism_boot::{Acpi, Notes, SliceMemory};
use prism_fuzz::check_line;
use prism_fuzz::fuzz_target;

/// Tables as a firmware might leave them. Most have a right checksum: else nothing behind it would
/// ever be looked at.
#[derive(Arbitrary, Debug)]
struct Tables {
    new_root: bool,
    tables: Vec<Table>,
}

#[derive(Arbitrary, Debug)]
struct Table {
    kind: u8,
    body: Vec<u8>,
    damage: u8,
}

const BASE: u64 = 0x1000;
const KINDS: [&[u8; 4]; 4] = [b"APIC", b"FACP", b"HPET", b"DSDT"];

fuzz_target!(|input: Tables| {
    let mut bytes = vec![0; 36];
    let mut places = Vec::new();
    let mut definitions = 0;
    for table in &input.tables {
        let kind = KINDS[usize::from(table.kind) % KINDS.len()];
        let place = BASE + bytes.len() as u64;
        let mut body = table.body.clone();
        match kind {
            b"DSDT" => definitions = place,
            b"FACP" if body.len() > 8 => body[4..8].copy_from_slice(&(definitions as u32).to_le_bytes()),
            _ => {}
        }
        places.push(place);
        bytes.extend(with_checksum(kind, &body, table.damage));
    }
    let list = BASE + bytes.len() as u64;
    let body: Vec<u8> = if input.new_root {
        places.iter().flat_map(|place| place.to_le_bytes()).collect()
    } else {
        places.iter().flat_map(|place| (*place as u32).to_le_bytes()).collect()
    };
    bytes.extend(with_checksum(b"XSDT", &body, 0));
    put_root(&mut bytes, list, input.new_root);
    let mut notes = Notes::default();
    let acpi = Acpi::read(&SliceMemory { base: BASE, bytes: &bytes }, Some(BASE), &mut notes);
    for (index, cpu) in acpi.controllers.cpus.iter().enumerate() {
        assert!(!acpi.controllers.cpus[..index].contains(cpu));
    }
    assert!(acpi.virtio.iter().all(|slot| slot.range.start() != 0 && slot.line < 1024));
    assert!(acpi.power_off.is_none_or(|power| power.type_a < 8 && power.type_b < 8 && power.control_a != 0));
    notes.iter().for_each(check_line);
});

/// A table whose checksum is off by `damage`.
fn with_checksum(signature: &[u8; 4], body: &[u8], damage: u8) -> Vec<u8> {
    let mut table = signature.to_vec();
    table.extend((36 + body.len() as u32).to_le_bytes());
    table.resize(36, 0);
    table.extend(body);
    // One in sixteen is damaged.
    table[9] = sum(&table).wrapping_neg().wrapping_add(damage.saturating_sub(240));
    table
}

fn put_root(bytes: &mut [u8], list: u64, new: bool) {
    bytes[..8].copy_from_slice(b"RSD PTR ");
    bytes[15] = if new { 2 } else { 0 };
    bytes[16..20].copy_from_slice(&(list as u32).to_le_bytes());
    if new {
        bytes[24..32].copy_from_slice(&list.to_le_bytes());
    }
    bytes[8] = sum(&bytes[..20]).wrapping_neg();
    bytes[32] = sum(&bytes[..32]).wrapping_neg();
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
