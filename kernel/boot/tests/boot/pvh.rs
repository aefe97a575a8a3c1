// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::protocol::pvh;
use prism_boot::{BootError, BootInfo, BootNote, BootProtocol};

use crate::image::{Image, is_reserved, notes, usable};

const START_INFO: usize = 0x1000;
const MODULES: usize = 0x2000;
const MAP: usize = 0x3000;
const COMMAND_LINE: usize = 0x4000;
const RSDP: u64 = 0xf_0000;
const MODULE_TEXT: usize = 0x5000;

/// What a friendly loader leaves.
fn image() -> Image {
    let mut image = Image::new();
    image.u32s(START_INFO, &[0x336e_c578, 1, 0, 1]);
    image.u64s(START_INFO + 16, &[MODULES as u64, COMMAND_LINE as u64, RSDP, MAP as u64]);
    image.u32s(START_INFO + 48, &[2, 0]);
    image.u64s(MODULES, &[0x20_0123, 0x1000, MODULE_TEXT as u64, 0]);
    image.put(MODULE_TEXT, b"disk.img\0");
    image.u64s(MAP, &[0, 0x9_fc00, 1]);
    image.u64s(MAP + 24, &[0x10_0000, 0x70_0000, 1]);
    image.put(COMMAND_LINE, b"loglevel=debug\0");
    image
}

fn parse(image: &Image) -> BootInfo {
    pvh::parse(image, START_INFO as u64).unwrap()
}

#[test]
fn a_friendly_start_info_is_read_completely() {
    let info = parse(&image());
    assert_eq!(info.protocol, BootProtocol::Pvh);
    assert_eq!(info.command_line.get("loglevel"), Some("debug"));
    assert_eq!(info.rsdp, Some(RSDP));
    assert_eq!(usable(&info), [(0, 0x9_f000), (0x10_0000, 0x80_0000)]);
    let module = info.modules[0];
    assert_eq!(
        (module.range.start(), module.range.len(), &*module.command_line),
        (0x20_0123, 0x1000, "disk.img")
    );
    assert!(info.notes.is_empty());
    assert!(!info.initial_domain && !info.privileged);
}

#[test]
fn what_the_loader_handed_over_is_reserved() {
    let info = parse(&image());
    let places = [START_INFO, MODULES, MAP, COMMAND_LINE, MODULE_TEXT, 0x20_0123, 0];
    for place in places {
        assert!(is_reserved(&info, place as u64, 16), "{place:#x}");
    }
    assert_eq!(info.free_memory().total_usable(), info.memory.total_usable() - 8 * 0x1000);
}

#[test]
fn flags_tell_the_initial_domain() {
    let mut image = image();
    image.u32s(START_INFO + 8, &[3]);
    let info = parse(&image);
    assert!(info.initial_domain && info.privileged);
    assert_eq!(info.flags, 3);
}

#[test]
fn version_0_has_no_memory_map() {
    let mut image = image();
    image.u32s(START_INFO + 4, &[0]);
    let info = parse(&image);
    assert!(info.memory.is_empty());
    assert_eq!(notes(&info), [BootNote::NoMemoryMap]);
}

#[test]
fn a_map_without_entries_is_no_map() {
    let mut image = image();
    image.u32s(START_INFO + 48, &[0]);
    assert_eq!(notes(&parse(&image)), [BootNote::NoMemoryMap]);
}

#[test]
fn later_versions_are_read_like_version_1() {
    let mut image = image();
    image.u32s(START_INFO + 4, &[99]);
    assert_eq!(usable(&parse(&image)).len(), 2);
}

#[test]
fn a_wrong_magic_is_an_error_that_shows_both() {
    let mut image = image();
    image.u32s(START_INFO, &[0xdead_beef]);
    let error = pvh::parse(&image, START_INFO as u64).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("0x336ec578") && text.contains("0xdeadbeef"), "{text}");
}

#[test]
fn a_start_info_nowhere_is_an_error() {
    for address in [1 << 20, (1 << 20) - 39, u64::MAX] {
        let error = pvh::parse(&image(), address).unwrap_err();
        assert_eq!(error, BootError::Unreadable { what: "PVH start info", address, length: 40 });
    }
}

#[test]
fn lists_that_lie_nowhere_are_noted() {
    for offset in [16, 40] {
        let mut image = image();
        image.u64s(START_INFO + offset, &[u64::MAX - 10]);
        let info = parse(&image);
        let unreadable =
            |note: &BootNote| matches!(note, BootNote::Unreadable { address, .. } if *address > 1 << 60);
        assert!(info.notes.iter().any(unreadable), "{:?}", info.notes);
    }
}

#[test]
fn a_list_that_runs_out_of_memory_keeps_what_it_had() {
    let mut image = image();
    let near_the_end = (1 << 20) - 48;
    image.u64s(near_the_end, &[0, 0x8000, 1, 0x10_0000, 0x8000, 1]);
    image.u64s(START_INFO + 40, &[near_the_end as u64]);
    image.u32s(START_INFO + 48, &[3]);
    let info = parse(&image);
    assert_eq!(usable(&info), [(0, 0x8000), (0x10_0000, 0x10_8000)]);
    assert_eq!(notes(&info), [BootNote::Unreadable { what: "memory map", address: 1 << 20 }]);
}

#[test]
fn absurd_counts_are_bounded_and_noted() {
    let mut image = image();
    image.u32s(START_INFO + 12, &[u32::MAX]);
    image.u32s(START_INFO + 48, &[u32::MAX]);
    let info = parse(&image);
    let found = u64::from(u32::MAX);
    assert!(notes(&info).contains(&BootNote::TooMany { what: "modules", count: found, limit: 16 }));
    assert!(notes(&info).contains(&BootNote::TooMany {
        what: "memory map entries",
        count: found,
        limit: 1024
    }));
    assert_eq!(usable(&info).len(), 2);
}

#[test]
fn a_module_that_wraps_is_left_out_and_noted() {
    let mut image = image();
    image.u64s(MODULES, &[u64::MAX, 2, 0, 0]);
    let info = parse(&image);
    assert!(info.modules.is_empty());
    assert_eq!(notes(&info), [BootNote::AbsurdRange { what: "module", start: u64::MAX, length: 2 }]);
}

#[test]
fn a_command_line_without_end_is_truncated_and_noted() {
    let mut image = image();
    image.put(COMMAND_LINE, &[b'x'; 0x2000]);
    let info = parse(&image);
    assert!(info.command_line.truncated());
    let expected = BootNote::TextTruncated { what: "command line", limit: 2048 };
    assert!(notes(&info).contains(&expected));
}

#[test]
fn nothing_but_the_magic_is_enough_to_boot_with() {
    let mut image = Image::new();
    image.u32s(START_INFO, &[0x336e_c578]);
    let info = parse(&image);
    assert!(info.command_line.as_str().is_empty() && info.modules.is_empty() && info.rsdp.is_none());
    assert_eq!(notes(&info), [BootNote::NoMemoryMap]);
}
