// SPDX-License-Identifier: MIT OR Apache-2.0
use core::mem::offset_of;

use prism_boot::protocol::pv;
use prism_boot::{BootError, BootInfo, BootNote, BootProtocol, Dom0Console, SharedRing};
use xen_sys::xen::{SIF_INITDOMAIN, SIF_MOD_START_PFN, SIF_MULTIBOOT_MOD, SIF_PRIVILEGED, start_info};

use crate::image::{Image, is_reserved, notes, usable};

const START_INFO: usize = 0x8_0000;
const PAGES: u64 = 2048;
const MFN_LIST: u64 = 0x7_0000;
const PAGE_TABLES: u64 = 0x8_3000;
const MODULE: usize = 0x4_0000;

/// What Xen's tools leave for a guest of 8 MiB.
fn image() -> Image {
    let mut image = Image::new();
    image.put(START_INFO, b"xen-3.0-x86_64\0");
    set(&mut image, offset_of!(start_info, nr_pages), PAGES);
    set(&mut image, offset_of!(start_info, shared_info), 0x1_2345_6000);
    set(&mut image, offset_of!(start_info, store_mfn), 0x777);
    set(&mut image, offset_of!(start_info, store_evtchn), 1);
    set(&mut image, offset_of!(start_info, console.mfn), 0x888);
    set(&mut image, offset_of!(start_info, console.evtchn), 2);
    set(&mut image, offset_of!(start_info, pt_base), PAGE_TABLES);
    set(&mut image, offset_of!(start_info, nr_pt_frames), 5);
    set(&mut image, offset_of!(start_info, mfn_list), MFN_LIST);
    image.put(START_INFO + offset_of!(start_info, cmd_line), b"loglevel=warn\0");
    image
}

fn set(image: &mut Image, offset: usize, number: u64) {
    image.u64s(START_INFO + offset, &[number]);
}

fn set_module(image: &mut Image, flags: u32, start: u64, length: u64) {
    set(image, offset_of!(start_info, flags), flags.into());
    set(image, offset_of!(start_info, mod_start), start);
    set(image, offset_of!(start_info, mod_len), length);
}

fn parse(image: &Image) -> BootInfo {
    pv::parse(image, START_INFO as u64).unwrap()
}

#[test]
fn a_domu_start_info_is_read_completely() {
    let info = parse(&image());
    assert_eq!(info.protocol, BootProtocol::Pv);
    assert_eq!(info.command_line.get("loglevel"), Some("warn"));
    assert_eq!(usable(&info), [(0, PAGES * 4096)]);
    assert_eq!(info.store, Some(SharedRing { mfn: 0x777, port: 1 }));
    assert_eq!(info.console, Some(SharedRing { mfn: 0x888, port: 2 }));
    let layout = info.pv.unwrap();
    assert_eq!((layout.nr_pages, layout.shared_info), (PAGES, 0x1_2345_6000));
    assert_eq!((layout.pt_base, layout.nr_pt_frames, layout.mfn_list), (PAGE_TABLES, 5, MFN_LIST));
    assert!(info.notes.is_empty());
}

#[test]
fn bootstrap_structures_are_reserved_with_rings_and_stack() {
    let info = parse(&image());
    assert!(is_reserved(&info, MFN_LIST, PAGES * 8));
    assert!(is_reserved(&info, START_INFO as u64, 3 * 4096));
    assert!(is_reserved(&info, PAGE_TABLES, 6 * 4096));
    assert!(is_reserved(&info, 0, 4096));
}

#[test]
fn a_frame_list_at_its_own_place_is_reserved_there() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, mfn_list), 0xffff_8800_0000_0000);
    set(&mut image, offset_of!(start_info, first_p2m_pfn), 0x300);
    set(&mut image, offset_of!(start_info, nr_p2m_frames), 7);
    let info = parse(&image);
    assert!(is_reserved(&info, 0x30_0000, 7 * 4096));
    assert!(info.notes.is_empty());
}

#[test]
fn a_frame_list_of_no_frames_of_its_own_is_among_the_others() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, first_p2m_pfn), 0x300);
    let info = parse(&image);
    assert!(is_reserved(&info, MFN_LIST, PAGES * 8));
    assert!(!is_reserved(&info, 0x30_0000, 4096));
}

#[test]
fn the_initial_domain_has_a_screen_instead_of_a_console_ring() {
    let mut image = image();
    set_module(&mut image, SIF_INITDOMAIN | SIF_PRIVILEGED, 0, 0);
    image.u32s(START_INFO + offset_of!(start_info, console), &[1168, 24]);
    let info = parse(&image);
    assert!(info.initial_domain && info.privileged);
    assert_eq!(info.console, None);
    assert_eq!(info.pv.unwrap().dom0_console, Some(Dom0Console { offset: 1168, length: 24 }));
}

#[test]
fn rings_that_were_not_given_are_none() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, store_mfn), 0);
    set(&mut image, offset_of!(start_info, console.evtchn), 0);
    let info = parse(&image);
    assert_eq!((info.store, info.console), (None, None));
}

#[test]
fn a_magic_that_is_not_xens_is_an_error_that_shows_it() {
    let mut image = image();
    image.put(START_INFO, b"abc-");
    let error = pv::parse(&image, START_INFO as u64).unwrap_err();
    assert!(error.to_string().contains("\"abc-3.0-x86_64\""), "{error}");
}

#[test]
fn a_guest_without_pages_is_an_error() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, nr_pages), 0);
    assert_eq!(pv::parse(&image, START_INFO as u64), Err(BootError::NoPages));
}

#[test]
fn a_start_info_nowhere_is_an_error() {
    assert!(matches!(pv::parse(&image(), u64::MAX), Err(BootError::Unreadable { .. })));
}

#[test]
fn more_pages_than_a_machine_can_have_are_clamped() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, nr_pages), u64::MAX);
    let info = parse(&image);
    assert_eq!(usable(&info), [(0, 1 << 47)]);
    assert!(notes(&info).contains(&BootNote::Clamped { what: "nr_pages", found: u64::MAX, used: 1 << 35 }));
}

#[test]
fn structures_outside_the_guest_are_noted() {
    let mut image = image();
    set(&mut image, offset_of!(start_info, pt_base), u64::MAX - 4095);
    set(&mut image, offset_of!(start_info, mfn_list), PAGES * 4096 - 8);
    let whats: Vec<_> = notes(&parse(&image))
        .iter()
        .map(|note| match note {
            BootNote::AbsurdRange { what, .. } => *what,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(whats, ["page tables", "frame list"]);
}

#[test]
fn a_command_line_that_fills_its_field_needs_no_nul() {
    let mut image = image();
    image.put(START_INFO + offset_of!(start_info, cmd_line), &[b'x'; 1024]);
    set(&mut image, offset_of!(start_info, first_p2m_pfn), 0x300);
    let info = parse(&image);
    assert_eq!(info.command_line.as_str(), "x".repeat(1024));
    assert!(info.notes.is_empty());
}

#[test]
fn a_module_is_given_by_virtual_address() {
    let mut image = image();
    set_module(&mut image, 0, MODULE as u64, 0x1234);
    let info = parse(&image);
    let module = info.modules[0].range;
    assert_eq!((module.start(), module.len()), (MODULE as u64, 0x1234));
    assert!(is_reserved(&info, MODULE as u64, 0x1234));
}

#[test]
fn a_module_is_given_by_frame_number_if_the_flag_says_so() {
    let mut image = image();
    set_module(&mut image, SIF_MOD_START_PFN, 0x123, 0x1000);
    assert_eq!(parse(&image).modules[0].range.start(), 0x12_3000);
}

#[test]
fn a_module_outside_the_guest_is_left_out_and_noted() {
    for (flags, start, length) in [
        (0, PAGES * 4096, 1),
        (0, PAGES * 4096 - 1, 2),
        (0, u64::MAX, 2),
        (SIF_MOD_START_PFN, u64::MAX, 1),
        (0, 0x1000, u64::MAX),
    ] {
        let mut image = image();
        set_module(&mut image, flags, start, length);
        let info = parse(&image);
        assert!(info.modules.is_empty());
        assert!(matches!(notes(&info)[..], [BootNote::AbsurdRange { what: "module", .. }]));
    }
}

/// Puts a package of two modules with one text at [`MODULE`].
fn package() -> Image {
    let mut image = image();
    set_module(&mut image, SIF_MULTIBOOT_MOD, MODULE as u64, 0x3000);
    image.u32s(MODULE, &[0x1000, 0x1fff, 0x100, 0, 0x2000, 0x2000, 0, 0, 0, 0, 0, 0]);
    image.put(MODULE + 0x100, b"first\0");
    image
}

#[test]
fn a_package_holds_several_modules() {
    let info = parse(&package());
    let modules: Vec<_> = info
        .modules
        .iter()
        .map(|module| (module.range.start(), module.range.len(), &*module.command_line))
        .collect();
    assert_eq!(modules, [(MODULE as u64 + 0x1000, 0x1000, "first"), (MODULE as u64 + 0x2000, 1, "")]);
    assert!(info.notes.is_empty());
}

#[test]
fn a_module_that_leaves_its_package_is_left_out_and_noted() {
    for (first, last) in [(0x1000, 0x3000), (0x1000, 0x800), (u32::MAX, u32::MAX)] {
        let mut image = package();
        image.u32s(MODULE, &[first, last]);
        let info = parse(&image);
        assert_eq!(info.modules.len(), 1);
        assert!(matches!(notes(&info)[..], [BootNote::AbsurdRange { what: "module in a package", .. }]));
    }
}

#[test]
fn a_package_without_end_is_noted() {
    let mut image = package();
    image.u32s(MODULE, &[0x1000; 0x400]);
    let info = parse(&image);
    assert_eq!(info.modules.len(), 16);
    assert!(notes(&info).contains(&BootNote::TooMany { what: "modules", count: 17, limit: 16 }));
}

#[test]
fn a_package_shorter_than_its_list_is_noted() {
    let mut image = package();
    set_module(&mut image, SIF_MULTIBOOT_MOD, MODULE as u64, 40);
    assert!(notes(&parse(&image)).contains(&BootNote::CutShort { what: "module package" }));
}

/// Xen's map of the domain.
fn map(entries: &[(u64, u64, u32)]) -> Vec<u8> {
    let entry = |(start, length, kind): &(u64, u64, u32)| {
        [&start.to_le_bytes()[..], &length.to_le_bytes(), &kind.to_le_bytes()].concat()
    };
    entries.iter().flat_map(entry).collect()
}

#[test]
fn memory_up_to_maxmem_is_there_later() {
    let mut info = parse(&image());
    pv::add_growth(&mut info, &map(&[(0, 32 << 20, 1)]));
    assert_eq!(usable(&info), [(0, 32 << 20)]);
    assert_eq!((info.unpopulated, info.populated()), (24 << 20, 8 << 20));
    assert!(info.notes.is_empty());
}

#[test]
fn memory_that_would_cost_too_much_is_left_out() {
    let mut info = parse(&image());
    pv::add_growth(&mut info, &map(&[(0, 1 << 40, 1)]));
    assert_eq!((usable(&info), info.unpopulated), (vec![(0, 128 << 20)], 120 << 20));
}

#[test]
fn a_map_that_does_not_go_on_where_memory_ends_adds_nothing() {
    let absurd = [
        vec![],
        map(&[(0, 8 << 20, 1)]),
        map(&[(0, 4 << 20, 1), (8 << 20, 8 << 20, 2)]),
        map(&[(9 << 20, 8 << 20, 1)]),
        map(&[(u64::MAX, u64::MAX, 1)]),
        vec![1; 39],
    ];
    for table in absurd {
        let mut info = parse(&image());
        pv::add_growth(&mut info, &table);
        assert_eq!((usable(&info), info.unpopulated), (vec![(0, PAGES * 4096)], 0));
    }
}
