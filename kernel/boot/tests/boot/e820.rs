// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::{BootInfo, BootNote, BootProtocol, MAPPED_LIMIT, e820};

use crate::image::{notes, usable};

fn table(entries: &[(u64, u64, u32)]) -> Vec<u8> {
    let entry = |(start, length, number): &(u64, u64, u32)| {
        [start.to_le_bytes().as_slice(), &length.to_le_bytes(), &number.to_le_bytes()].concat()
    };
    entries.iter().flat_map(entry).collect()
}

fn parse(bytes: &[u8]) -> BootInfo {
    let mut info = BootInfo::new(BootProtocol::Pvh);
    e820::parse(&mut info, bytes);
    info
}

#[test]
fn a_map_from_xen_is_normalised() {
    let info = parse(&table(&[(0x10_0000, 0x70_0000, 1), (0, 0xa_0000, 1), (0xa_0000, 0x6_0000, 2)]));
    assert_eq!(usable(&info), [(0, 0xa_0000), (0x10_0000, 0x80_0000)]);
    assert!(info.notes.is_empty());
}

#[test]
fn overlapping_entries_are_noted_and_the_stricter_holds() {
    let info = parse(&table(&[(0, 0x10000, 1), (0x4000, 0x1000, 2)]));
    assert_eq!(usable(&info), [(0, 0x4000), (0x5000, 0x10000)]);
    assert_eq!(notes(&info), [BootNote::Overlap { start: 0x4000, length: 0x1000 }]);
}

#[test]
fn entries_that_share_a_page_but_no_byte_do_not_overlap() {
    let info = parse(&table(&[(0, 0x9_fc00, 1), (0x9_fc00, 0x400, 2), (0xa_0000, 0x6_0000, 2)]));
    assert_eq!(usable(&info), [(0, 0x9_f000)]);
    assert!(info.notes.is_empty());
}

#[test]
fn reserved_entries_may_share_a_page() {
    let info = parse(&table(&[(0x1000, 0x1800, 3), (0x2800, 0x1800, 2)]));
    assert!(info.notes.is_empty());
}

#[test]
fn entries_that_wrap_are_left_out_and_noted() {
    let info = parse(&table(&[(u64::MAX, 2, 1), (0x1000, 0x1000, 1)]));
    assert_eq!(usable(&info), [(0x1000, 0x2000)]);
    let expected = BootNote::AbsurdRange { what: "memory map entry", start: u64::MAX, length: 2 };
    assert_eq!(notes(&info), [expected]);
}

#[test]
fn memory_that_cannot_be_mapped_is_left_out_and_noted() {
    let (half, whole) = ((MAPPED_LIMIT - 0x1000, 0x3000), (MAPPED_LIMIT, 0x1000));
    let info = parse(&table(&[(0x1000, 0x1000, 1), (half.0, half.1, 1), (whole.0, whole.1, 1)]));
    assert_eq!(usable(&info), [(0x1000, 0x2000), (MAPPED_LIMIT - 0x1000, MAPPED_LIMIT)]);
    let expected = [half, whole].map(|(start, length)| BootNote::OutOfReach { start, length });
    assert_eq!(notes(&info), expected);
}

#[test]
fn non_ram_entries_may_lie_anywhere() {
    let info =
        parse(&table(&[(0x1000, 0x1000, 1), (0xfd_0000_0000, 0x3_0000_0000, 2), (1 << 50, 0x1000, 2)]));
    assert_eq!(usable(&info), [(0x1000, 0x2000)]);
    assert!(info.notes.is_empty());
}

#[test]
fn an_entry_cut_short_is_left_out_and_noted() {
    let bytes = table(&[(0x1000, 0x1000, 1), (0x8000, 0x1000, 1)]);
    let info = parse(&bytes[..39]);
    assert_eq!(usable(&info), [(0x1000, 0x2000)]);
    assert_eq!(notes(&info), [BootNote::CutShort { what: "memory map" }]);
}

#[test]
fn types_nobody_knows_are_not_usable() {
    let info = parse(&table(&[(0, 0x1000, 0), (0x1000, 0x1000, 77), (0x2000, 0x1000, u32::MAX)]));
    assert_eq!(usable(&info), []);
}

#[test]
fn a_map_of_nothing_is_noted() {
    assert_eq!(notes(&parse(&[])), [BootNote::NoMemoryMap]);
}

#[test]
fn a_map_with_too_many_regions_is_noted() {
    let entries: Vec<_> = (0..200).map(|index| (index * 0x4000, 0x1000, 1)).collect();
    let info = parse(&table(&entries));
    assert_eq!(info.memory.len(), 128);
    assert_eq!(notes(&info), [BootNote::MapOverflowed]);
}

#[test]
fn a_map_from_xen_makes_up_for_the_loaders_missing_one() {
    let mut info = BootInfo::new(BootProtocol::Pvh);
    info.notes.push(BootNote::NoMemoryMap);
    e820::parse(&mut info, &table(&[(0, 0x1000, 1)]));
    assert!(info.notes.is_empty());
}
