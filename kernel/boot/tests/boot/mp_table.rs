// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::firmware::controllers::{Input, IoApic, Polarity, Signal, Trigger};
use prism_boot::firmware::mp_table;
use prism_boot::{BootNote, Controllers, Notes};

use crate::image::Image;

const POINTER: usize = 0x9_fc00;
const TABLE: usize = 0x9_fc10;

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn put_pointer(image: &mut Image, at: usize) {
    let mut pointer = b"_MP_".to_vec();
    pointer.extend((TABLE as u32).to_le_bytes());
    pointer.extend([1, 4, 0, 0, 0, 0, 0, 0]);
    pointer[10] = sum(&pointer).wrapping_neg();
    image.put(at, &pointer);
}

/// A table that counts no entries, as qboot's does.
fn put_table(image: &mut Image, entries: &[&[u8]]) {
    let mut table = b"PCMP".to_vec();
    table.resize(44, 0);
    table.extend(entries.concat());
    let length = table.len() as u16;
    table[4..6].copy_from_slice(&length.to_le_bytes());
    table[7] = sum(&table).wrapping_neg();
    image.put(TABLE, &table);
}

const CPU_0: &[u8] = &[0, 0, 0x14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CPU_5: &[u8] = &[0, 5, 0x14, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CPU_OFF: &[u8] = &[0, 6, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ISA: &[u8] = b"\x01\x00ISA   ";
const PCI: &[u8] = b"\x01\x01PCI   ";
const IO_APIC: &[u8] = &[2, 2, 0x14, 1, 0, 0, 0xc0, 0xfe];

fn machine(entries: &[&[u8]]) -> Image {
    let mut image = Image::new();
    put_pointer(&mut image, POINTER);
    put_table(&mut image, entries);
    image
}

fn read(image: &Image) -> (Controllers, Vec<BootNote>) {
    let mut notes = Notes::default();
    let controllers = mp_table::read(image, &mut notes);
    (controllers, notes.iter().copied().collect())
}

#[test]
fn cpus_and_the_io_apic_are_found() {
    let (found, notes) = read(&machine(&[CPU_0, CPU_5, CPU_OFF, ISA, IO_APIC]));
    assert_eq!(found.cpus.as_slice(), [0, 5]);
    assert_eq!(found.io_apics.as_slice(), [IoApic { address: 0xfec0_0000, first: 0 }]);
    assert!(notes.is_empty());
}

#[test]
fn a_legacy_irq_comes_through_the_input_that_the_table_names() {
    let timer = &[3, 0, 0, 0, 0, 0, 2, 2];
    let level_low = &[3, 0, 0x0f, 0, 0, 9, 2, 9];
    let of_pci = &[3, 0, 0, 0, 1, 5, 2, 17];
    let of_another = &[3, 0, 0, 0, 0, 6, 3, 18];
    let (found, _) = read(&machine(&[ISA, PCI, IO_APIC, timer, level_low, of_pci, of_another]));
    assert_eq!(found.input(0), Input { number: 2, signal: Signal::RISING });
    let signal = Signal { trigger: Trigger::Level, polarity: Polarity::Low };
    assert_eq!(found.input(9), Input { number: 9, signal });
    for line in [5, 6, 16, u32::MAX] {
        assert_eq!(found.input(line), Input { number: line, signal: Signal::RISING });
    }
}

#[test]
fn the_pointer_is_found_in_the_bios_too() {
    for place in [0xf_0000, 0xf_fff0, 0x7_fc20, 0x8_0010] {
        let mut image = Image::new();
        image.put(0x40e, &0x8001u16.to_le_bytes());
        put_pointer(&mut image, place);
        put_table(&mut image, &[CPU_5]);
        assert_eq!(read(&image).0.cpus.as_slice(), [5], "at {place:#x}");
    }
}

#[test]
fn a_machine_without_a_table_has_nothing_and_nothing_is_odd() {
    assert_eq!(read(&Image::new()), (Controllers::default(), vec![]));
}

#[test]
fn a_damaged_table_is_noted_and_does_no_harm() {
    let mut image = machine(&[CPU_0, IO_APIC]);
    image.put(TABLE + 50, &[1]);
    let note = BootNote::BadTable { signature: *b"PCMP", address: TABLE as u64 };
    assert_eq!(read(&image), (Controllers::default(), vec![note]));
}

#[test]
fn an_entry_that_is_cut_off_ends_the_table() {
    let (found, _) = read(&machine(&[CPU_0, &[0, 7, 0x14, 1]]));
    assert_eq!(found.cpus.as_slice(), [0, 7]);
    assert!(found.io_apics.is_empty());
}
