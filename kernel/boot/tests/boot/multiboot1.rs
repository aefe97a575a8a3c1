// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::protocol::multiboot1;
use prism_boot::{BootError, BootInfo, BootNote, BootProtocol};

use crate::image::{Image, is_reserved, notes, usable};

const INFO: usize = 0x1000;
const MODULES: usize = 0x2000;
const MAP: usize = 0x3000;
const COMMAND_LINE: usize = 0x4000;
const NAME: usize = 0x5000;
const MODULE_TEXT: usize = 0x6000;

/// What GRUB leaves.
fn image() -> Image {
    let mut image = Image::new();
    let address = |address: usize| u32::try_from(address).unwrap();
    image.u32s(INFO, &[0b10_0100_1101, 639, 7168, 0, address(COMMAND_LINE), 1, address(MODULES)]);
    image.u32s(INFO + 44, &[48, address(MAP)]);
    image.u32s(INFO + 64, &[address(NAME)]);
    image.u32s(MODULES, &[0x20_0000, 0x20_1234, address(MODULE_TEXT), 0]);
    map_entry(&mut image, MAP, (0, 0x9_fc00, 1));
    map_entry(&mut image, MAP + 24, (0x10_0000, 0x70_0000, 1));
    image.put(COMMAND_LINE, b"/prism.elf loglevel=trace\0");
    image.put(NAME, b"GRUB 2.12\0");
    image.put(MODULE_TEXT, b"disk.img\0");
    image
}

fn map_entry(image: &mut Image, at: usize, (start, length, number): (u64, u64, u32)) {
    image.u32s(at, &[20]);
    image.u64s(at + 4, &[start, length]);
    image.u32s(at + 20, &[number]);
}

fn parse(image: &Image) -> BootInfo {
    multiboot1::parse(image, INFO as u64).unwrap()
}

#[test]
fn what_grub_leaves_is_read_completely() {
    let info = parse(&image());
    assert_eq!(info.protocol, BootProtocol::Multiboot1);
    assert_eq!(&*info.loader, "GRUB 2.12");
    assert_eq!(info.command_line.get("loglevel"), Some("trace"));
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x80_0000)]);
    let module = info.modules[0];
    assert_eq!(
        (module.range.start(), module.range.len(), &*module.command_line),
        (0x20_0000, 0x1234, "disk.img")
    );
    assert!(info.notes.is_empty());
    for place in [INFO, MODULES, MAP, COMMAND_LINE, NAME, MODULE_TEXT, 0x20_0000] {
        assert!(is_reserved(&info, place as u64, 16), "{place:#x}");
    }
}

#[test]
fn fields_whose_flag_is_clear_are_ignored() {
    let mut image = image();
    image.u32s(INFO, &[0]);
    let info = parse(&image);
    assert!(info.loader.is_empty() && info.command_line.as_str().is_empty() && info.modules.is_empty());
    assert_eq!(notes(&info), [BootNote::NoMemoryMap]);
}

#[test]
fn without_a_map_the_two_sizes_do() {
    let mut image = image();
    image.u32s(INFO, &[1]);
    let info = parse(&image);
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x80_0000)]);
    assert_eq!(notes(&info), [BootNote::SizesOnly]);
}

#[test]
fn entries_may_be_longer_than_they_must_be() {
    let mut image = image();
    image.u32s(MAP, &[24]);
    map_entry(&mut image, MAP + 28, (0x10_0000, 0x10_0000, 1));
    image.u32s(INFO + 44, &[52]);
    let info = parse(&image);
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x20_0000)]);
    assert!(info.notes.is_empty());
}

#[test]
fn an_entry_that_makes_no_sense_ends_the_map() {
    for (at, size) in [(MAP, 0), (MAP + 24, 19), (MAP + 24, 21), (MAP + 24, u32::MAX)] {
        let mut image = image();
        image.u32s(at, &[size]);
        let info = parse(&image);
        assert!(notes(&info).contains(&BootNote::CutShort { what: "memory map" }), "{:?}", info.notes);
    }
}

#[test]
fn nothing_behind_an_entry_that_is_too_short_is_believed() {
    let mut image = image();
    image.u32s(MAP, &[19]);
    map_entry(&mut image, MAP + 23, (0x10_0000, 0x10_0000, 1));
    image.u32s(INFO + 44, &[47]);
    let info = parse(&image);
    assert_eq!(notes(&info), [BootNote::CutShort { what: "memory map" }, BootNote::SizesOnly]);
}

#[test]
fn memory_below_one_mib_ends_there() {
    let mut image = image();
    image.u32s(INFO, &[1, u32::MAX, 1024]);
    assert_eq!(usable(&parse(&image)), [(0, 0x20_0000)]);
}

#[test]
fn an_endless_map_is_bounded() {
    let mut image = image();
    for index in 0..2000 {
        map_entry(&mut image, 0x1_0000 + index * 24, (0, 0x1000, 1));
    }
    image.u32s(INFO + 44, &[2000 * 24, 0x1_0000]);
    let info = parse(&image);
    assert!(notes(&info).contains(&BootNote::TooMany {
        what: "memory map entries",
        count: 1025,
        limit: 1024
    }));
}

#[test]
fn a_backwards_module_is_left_out_and_noted() {
    let mut image = image();
    image.u32s(MODULES, &[0x20_0000, 0x1f_ffff]);
    let info = parse(&image);
    assert!(info.modules.is_empty());
    assert!(matches!(notes(&info)[..], [BootNote::AbsurdRange { what: "module", start: 0x20_0000, .. }]));
}

#[test]
fn pointers_to_nowhere_are_noted() {
    let mut image = image();
    image.u32s(INFO + 16, &[u32::MAX, 1, u32::MAX]);
    image.u32s(INFO + 44, &[u32::MAX, u32::MAX]);
    let info = parse(&image);
    assert_eq!(notes(&info).len(), 4, "{:?}", info.notes);
}

#[test]
fn an_information_structure_nowhere_is_an_error() {
    let error = multiboot1::parse(&image(), u64::MAX).unwrap_err();
    assert_eq!(error, BootError::Unreadable { what: "Multiboot information", address: u64::MAX, length: 68 });
}
