// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::firmware::acpi::{PowerButton, PowerOff, Reset};
use prism_boot::firmware::controllers::{Input, IoApic, Polarity, Signal, Trigger};
use prism_boot::firmware::virtio_mmio::Slot;
use prism_boot::{Acpi, BootNote, Notes};

use crate::image::Image;

const RSDP: usize = 0xf_5000;
const LIST: usize = 0x2_0000;
const CPUS: usize = 0x2_1000;
const FIXED: usize = 0x2_2000;
const TIMER: usize = 0x2_3000;
const DEFINITIONS: usize = 0x2_4000;

/// Puts a table with a right checksum.
fn put_table(image: &mut Image, address: usize, signature: &[u8; 4], body: &[u8]) {
    let mut table = signature.to_vec();
    table.extend((36 + body.len() as u32).to_le_bytes());
    table.resize(36, 0);
    table.extend(body);
    table[9] = sum(&table).wrapping_neg();
    image.put(address, &table);
}

fn put_root(image: &mut Image, address: usize) {
    let mut root = b"RSD PTR ".to_vec();
    root.resize(20, 0);
    root[16..].copy_from_slice(&(LIST as u32).to_le_bytes());
    root[8] = sum(&root).wrapping_neg();
    image.put(address, &root);
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The body of a list of CPUs: entries as given, behind two fields of no interest.
fn cpus(entries: &[&[u8]]) -> Vec<u8> {
    [&[0; 8], entries.concat().as_slice()].concat()
}

/// The body of a fixed table for ports 0x604 and 0xcf9, as QEMU's.
fn fixed() -> Vec<u8> {
    let mut body = vec![0; 208];
    let mut put =
        |offset: usize, bytes: &[u8]| body[offset - 36..offset - 36 + bytes.len()].copy_from_slice(bytes);
    put(40, &(DEFINITIONS as u32).to_le_bytes());
    put(46, &9u16.to_le_bytes());
    put(48, &[0xb2, 0, 0, 0, 0xf1]);
    put(56, &0x600u32.to_le_bytes());
    put(88, &[4]);
    put(64, &0x604u32.to_le_bytes());
    put(108, &[0x32]);
    put(112, &(1u32 << 10).to_le_bytes());
    put(116, &[1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 0x0f]);
    body
}

/// `\_S5` with types 5 and 6, among other definitions.
const SOFT_OFF: &[u8] = b"junk\x08_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00";

/// A machine with two CPUs, a fixed table, and a timer.
fn machine() -> Image {
    let mut image = Image::new();
    put_root(&mut image, RSDP);
    let list: Vec<u8> = [CPUS, FIXED, TIMER].iter().flat_map(|table| (*table as u32).to_le_bytes()).collect();
    put_table(&mut image, LIST, b"RSDT", &list);
    let entries = cpus(&[
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[0, 8, 1, 2, 1, 0, 0, 0],
        &[0, 8, 2, 4, 0, 0, 0, 0],
        &[9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0],
    ]);
    put_table(&mut image, CPUS, b"APIC", &entries);
    put_table(&mut image, FIXED, b"FACP", &fixed());
    put_table(&mut image, TIMER, b"HPET", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
    put_table(&mut image, DEFINITIONS, b"DSDT", SOFT_OFF);
    image
}

fn read(image: &Image, rsdp: Option<u64>) -> (Acpi, Vec<BootNote>) {
    let mut notes = Notes::default();
    let acpi = Acpi::read(image, rsdp, &mut notes);
    (acpi, notes.iter().copied().collect())
}

#[test]
fn cpus_that_can_be_started_are_listed_by_both_kinds_of_entries() {
    let (acpi, notes) = read(&machine(), Some(RSDP as u64));
    assert_eq!(acpi.controllers.cpus.as_slice(), [0, 2, 300]);
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn io_apics_and_overrides_of_legacy_irqs_are_listed() {
    let mut image = machine();
    let entries = cpus(&[
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0],
        &[1, 12, 2, 0, 0, 0, 0, 0, 48, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        &[2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
        &[2, 10, 0, 16, 1, 0, 0, 0, 0, 0],
    ]);
    put_table(&mut image, CPUS, b"APIC", &entries);
    let found = read(&image, None).0.controllers;
    let expected = [IoApic { address: 0xfec0_0000, first: 0 }, IoApic { address: 0xfec1_0000, first: 24 }];
    assert_eq!(found.io_apics.as_slice(), expected);
    assert_eq!(found.input(0), Input { number: 2, signal: Signal::RISING });
    let level = Signal { trigger: Trigger::Level, polarity: Polarity::High };
    assert_eq!(found.input(9), Input { number: 9, signal: level });
    assert_eq!(found.input(16), Input { number: 16, signal: Signal::RISING });
}

/// A virtio device as QEMU defines it: a name, a number, a template of memory and interrupt.
fn virtio(address: u32, line: u32, flags: u8) -> Vec<u8> {
    let mut code = b"\x08_HID\x0dLNRO0005\0\x08_UID\x0a\x03\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17".to_vec();
    code.extend([0x86, 9, 0, 1]);
    code.extend(address.to_le_bytes());
    code.extend(512u32.to_le_bytes());
    code.extend([0x89, 6, 0, flags, 1]);
    code.extend(line.to_le_bytes());
    code.extend([0x79, 0]);
    code
}

#[test]
fn virtio_devices_are_found_in_the_definitions() {
    let mut image = machine();
    let code = [b"junk".to_vec(), virtio(0xfeb0_0000, 16, 1), virtio(0xfeb0_0200, 17, 3)].concat();
    put_table(&mut image, DEFINITIONS, b"DSDT", &code);
    let level = Signal { trigger: Trigger::Level, polarity: Polarity::High };
    let slot =
        |address, line, signal| Slot { signal: Some(signal), ..Slot::new(address, 512, line).unwrap() };
    let expected = [slot(0xfeb0_0000, 16, level), slot(0xfeb0_0200, 17, Signal::RISING)];
    assert_eq!(read(&image, None).0.virtio.as_slice(), expected);
}

#[test]
fn virtio_devices_are_found_where_nothing_else_can_be_switched_off() {
    let mut image = machine();
    let mut reduced = fixed();
    reduced[112 - 36 + 2] |= 1 << (20 - 16);
    put_table(&mut image, FIXED, b"FACP", &reduced);
    put_table(&mut image, DEFINITIONS, b"DSDT", &virtio(0xfeb0_0000, 16, 1));
    let (acpi, _) = read(&image, None);
    assert_eq!((acpi.virtio.len(), acpi.power_off), (1, None));
}

#[test]
fn a_virtio_device_that_makes_no_sense_is_left_out() {
    let whole = virtio(0xfeb0_0000, 16, 1);
    let cut = whole[..whole.len() - 12].to_vec();
    for code in [virtio(0, 16, 1), virtio(0xfeb0_0000, u32::MAX, 1), cut, b"LNRO0005\0".to_vec()] {
        let mut image = machine();
        put_table(&mut image, DEFINITIONS, b"DSDT", &code);
        assert!(read(&image, None).0.virtio.is_empty(), "{code:x?}");
    }
}

#[test]
fn switching_off_takes_the_type_from_the_definitions() {
    let (acpi, _) = read(&machine(), Some(RSDP as u64));
    let expected =
        PowerOff { control_a: 0x604, type_a: 5, control_b: None, type_b: 6, hand_over: Some((0xb2, 0xf1)) };
    assert_eq!(acpi.power_off, Some(expected));
    assert_eq!(acpi.reset, Some(Reset { port: 0xcf9, value: 0x0f }));
    assert_eq!((acpi.century_register, acpi.hpet), (Some(0x32), Some(0xfed0_0000)));
}

#[test]
fn the_power_button_is_where_the_fixed_table_says() {
    let button = |table: &[u8]| {
        let mut image = machine();
        put_table(&mut image, FIXED, b"FACP", table);
        read(&image, None).0.power_button
    };
    let expected =
        PowerButton { status: 0x600, enable: 0x602, irq: 9, control: 0x604, hand_over: Some((0xb2, 0xf1)) };
    assert_eq!(button(&fixed()), Some(expected));
    // Not there, of no length, not the fixed one, on a machine without such registers; a table that ends.
    for (offset, byte) in [(57, 0), (88, 2), (112, 1 << 4), (114, 1 << 4)] {
        let mut table = fixed();
        table[offset - 36] = byte;
        assert_eq!(button(&table), None, "{offset}");
    }
    assert_eq!(button(&fixed()[..40]), None);
}

#[test]
fn without_a_root_pointer_the_bios_area_is_searched() {
    let image = machine();
    assert_eq!(read(&image, None), read(&image, Some(RSDP as u64)));
    let mut image = Image::new();
    put_root(&mut image, 0x9_fc10);
    image.put(0x40e, &0x9fc0u16.to_le_bytes());
    put_table(&mut image, LIST, b"RSDT", &(TIMER as u32).to_le_bytes());
    put_table(&mut image, TIMER, b"HPET", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0]);
    assert_eq!(read(&image, None).0.hpet, Some(0xfed0_0000));
}

#[test]
fn a_machine_without_tables_has_nothing_and_nothing_is_odd() {
    assert_eq!(read(&Image::new(), None), (Acpi::default(), vec![]));
}

#[test]
fn a_damaged_table_is_ignored_and_the_others_still_count() {
    let mut image = machine();
    image.put(CPUS + 40, &[0x55]);
    let (acpi, notes) = read(&image, None);
    assert!(acpi.controllers.cpus.is_empty() && acpi.power_off.is_some());
    assert_eq!(notes, [BootNote::BadTable { signature: *b"APIC", address: CPUS as u64 }]);
}

#[test]
fn an_invalid_root_pointer_is_noted() {
    let (acpi, notes) = read(&Image::new(), Some(0x1000));
    assert_eq!(acpi, Acpi::default());
    assert_eq!(notes.len(), 1);
}

#[test]
fn an_entry_of_no_length_ends_the_list_of_cpus() {
    let mut image = machine();
    put_table(&mut image, CPUS, b"APIC", &cpus(&[&[0, 8, 0, 7, 1, 0, 0, 0], &[0, 0, 0, 9, 1, 0, 0, 0]]));
    assert_eq!(read(&image, None).0.controllers.cpus.as_slice(), [7]);
}

#[test]
fn a_dangling_list_of_tables_is_noted_and_ignored() {
    let mut image = machine();
    put_table(&mut image, LIST, b"RSDT", &[0xff; 8]);
    let (acpi, notes) = read(&image, None);
    assert_eq!(acpi, Acpi::default());
    assert_eq!(notes, [BootNote::Unreadable { what: "ACPI table", address: 0xffff_ffff }]);
}

#[test]
fn a_machine_whose_definitions_do_not_tell_cannot_be_switched_off_by_them() {
    let mut image = machine();
    put_table(&mut image, DEFINITIONS, b"DSDT", b"\x08_S5_\x12\x06\x04\x0a\x09\x00");
    assert_eq!(read(&image, None).0.power_off, None);
}

#[test]
fn a_new_root_leads_to_long_addresses() {
    let mut image = machine();
    let mut root = b"RSD PTR ".to_vec();
    root.resize(36, 0);
    root[15] = 2;
    root[20..24].copy_from_slice(&36u32.to_le_bytes());
    root[24..32].copy_from_slice(&0x3_0000u64.to_le_bytes());
    root[32] = sum(&root).wrapping_neg();
    image.put(0x8000, &root);
    put_table(&mut image, 0x3_0000, b"XSDT", &(TIMER as u64).to_le_bytes());
    let (acpi, _) = read(&image, Some(0x8000));
    assert_eq!((acpi.hpet, acpi.power_off), (Some(0xfed0_0000), None));
}
