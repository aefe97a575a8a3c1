// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::protocol::multiboot2;
use prism_boot::{BootError, BootInfo, BootNote, BootProtocol};

use crate::image::{Image, is_reserved, notes, usable};

const INFO: usize = 0x1000;

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn u64s(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A tag with this body, padded to a multiple of 8 bytes.
fn tag(number: u32, body: &[u8]) -> Vec<u8> {
    let mut tag = u32s(&[number, u32::try_from(body.len() + 8).unwrap()]);
    tag.extend(body);
    tag.resize(tag.len().next_multiple_of(8), 0);
    tag
}

fn image(tags: &[Vec<u8>]) -> Image {
    let body = tags.concat();
    let mut image = Image::new();
    image.u32s(INFO, &[u32::try_from(body.len() + 8).unwrap(), 0]);
    image.put(INFO + 8, &body);
    image
}

fn end() -> Vec<u8> {
    tag(0, b"")
}

fn map() -> Vec<u8> {
    let entries = [u32s(&[24, 0]), u64s(&[0, 0x9_fc00, 1]), u64s(&[0x10_0000, 0x70_0000, 1])];
    tag(6, &entries.concat())
}

fn parse(tags: &[Vec<u8>]) -> BootInfo {
    multiboot2::parse(&image(tags), INFO as u64).unwrap()
}

#[test]
fn what_grub_leaves_is_read_completely() {
    let module = [u32s(&[0x20_0000, 0x20_1234]), b"disk.img\0".to_vec()].concat();
    let tags =
        [tag(1, b"loglevel=trace\0"), tag(2, b"GRUB 2.12\0"), tag(3, &module), tag(4, &[0; 8]), map(), end()];
    let info = parse(&tags);
    assert_eq!(info.protocol, BootProtocol::Multiboot2);
    assert_eq!(&*info.loader, "GRUB 2.12");
    assert_eq!(info.command_line.get("loglevel"), Some("trace"));
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x80_0000)]);
    let module = info.modules[0];
    assert_eq!(
        (module.range.start(), module.range.len(), &*module.command_line),
        (0x20_0000, 0x1234, "disk.img")
    );
    assert!(info.notes.is_empty(), "{:?}", info.notes);
    assert!(is_reserved(&info, INFO as u64, 8) && is_reserved(&info, 0x20_0000, 0x1234));
}

#[test]
fn the_root_pointer_is_the_copy_in_the_tag_of_the_newer_acpi() {
    let (old, new) = (tag(14, &[0; 20]), tag(15, &[0; 36]));
    let expected = (INFO + 8 + old.len() + 8) as u64;
    assert_eq!(parse(&[old.clone(), new.clone(), map(), end()]).rsdp, Some(expected));
    assert_eq!(parse(&[new, old.clone(), map(), end()]).rsdp, Some((INFO + 16) as u64));
    assert_eq!(parse(&[old, map(), end()]).rsdp, Some((INFO + 16) as u64));
}

#[test]
fn without_a_map_the_two_sizes_do() {
    let info = parse(&[tag(4, &u32s(&[639, 7168])), end()]);
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x80_0000)]);
    assert_eq!(notes(&info), [BootNote::SizesOnly]);
}

#[test]
fn tags_nobody_knows_are_skipped() {
    let info = parse(&[tag(99, b"12345"), map(), end()]);
    assert_eq!(usable(&info).len(), 2);
}

#[test]
fn missing_the_last_tag_is_noted() {
    let info = parse(&[map()]);
    assert_eq!(usable(&info).len(), 2);
    assert_eq!(notes(&info), [BootNote::CutShort { what: "Multiboot2 information" }]);
}

#[test]
fn a_tag_that_leaves_the_information_is_noted() {
    for size in [0, 7, 17, u32::MAX] {
        let mut image = image(&[map(), end(), end()]);
        image.u32s(INFO + 8 + map().len(), &[1, size]);
        let info = multiboot2::parse(&image, INFO as u64).unwrap();
        let cut_short = BootNote::CutShort { what: "Multiboot2 information" };
        assert_eq!(notes(&info), [cut_short], "{size}");
    }
}

#[test]
fn tags_too_short_for_their_contents_are_noted() {
    for number in [3, 4, 6, 14, 15] {
        let info = parse(&[map(), tag(number, &[0; 4]), end()]);
        assert!(matches!(notes(&info)[..], [BootNote::CutShort { .. }]), "{number}: {:?}", info.notes);
    }
}

#[test]
fn a_map_whose_entries_are_too_short_is_noted() {
    for size in [0, 19] {
        let info = parse(&[tag(6, &u32s(&[size, 0, 0, 0])), end()]);
        assert_eq!(notes(&info), [BootNote::CutShort { what: "memory map" }, BootNote::NoMemoryMap]);
    }
}

#[test]
fn text_ends_with_its_tag() {
    let info = parse(&[tag(1, b"12345678"), tag(1, b"abc"), map(), end()]);
    assert_eq!(info.command_line.as_str(), "abc");
}

#[test]
fn an_absurd_length_is_an_error() {
    for length in [0, 15, 5 << 20] {
        let mut image = image(&[end()]);
        image.u32s(INFO, &[length]);
        let error = multiboot2::parse(&image, INFO as u64).unwrap_err();
        assert!(matches!(error, BootError::BadLength { found, .. } if found == length), "{error}");
    }
}

#[test]
fn an_endless_list_of_tags_is_bounded() {
    let tags = vec![tag(99, b""); 300];
    let info = parse(&tags);
    assert!(notes(&info).contains(&BootNote::TooMany { what: "Multiboot2 tags", count: 257, limit: 256 }));
}
