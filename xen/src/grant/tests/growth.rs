// SPDX-License-Identifier: MIT OR Apache-2.0
//! How large the table gets, and in which version.

use xen_sys::grant_table::*;
use xen_sys::memory::XENMEM_add_to_physmap;

use super::*;
use crate::Errno;
use crate::fake::{Call, Kind};

/// Above 16 TiB.
const HIGH: Config = Config { first_frame: 1 << 33, ..Config::USUAL };

fn fill(table: &Table<FakePage>) -> Vec<FreeRef<'_, FakePage>> {
    take_all_but(table, 0)
}

#[test]
fn the_table_grows_to_xens_limit_and_then_is_full() {
    for kind in [Kind::Pv, Kind::Hvm] {
        let xen = FakeXen::with(Config { kind, max_grant_frames: 3, ..Config::default() });
        let table = xen.table();
        let taken = fill(&table);
        assert_eq!(taken.len(), 3 * 512 - 8);
        assert_eq!(table.free_ref().unwrap_err(), Error::Full);
        assert_eq!(table.report().frames, 3);
        drop(taken);
        assert!(table.report().is_idle());
    }
}

#[test]
fn the_first_references_are_not_handed_out() {
    let xen = one_frame();
    let table = xen.table();
    let numbers: Vec<_> = fill(&table).iter().map(|free_ref| free_ref.reference().number()).collect();
    assert!(numbers.iter().copied().eq(8..512));
}

#[test]
fn nothing_is_mapped_before_it_is_needed() {
    let xen = FakeXen::new();
    let table = xen.table();
    assert_eq!(xen.count(Call::memory(XENMEM_add_to_physmap)), 0);
    drop(table.free_ref());
    assert_eq!(xen.count(Call::memory(XENMEM_add_to_physmap)), 1);
}

#[test]
fn a_page_that_cannot_be_granted_comes_back() {
    let xen = one_frame();
    let table = xen.table();
    let _taken = fill(&table);
    let mut page = xen.page();
    page.set(0, b"mine");
    let refused = table.try_grant::<ReadOnly>(page, PEER).unwrap_err();
    assert_eq!(refused.error, Error::Full);
    assert_eq!(refused.page.bytes(0), *b"mine");
}

#[test]
fn a_frame_that_xen_has_no_memory_for_is_requested_again() {
    let xen = FakeXen::new();
    let table = xen.table();
    xen.refuse(Call::memory(XENMEM_add_to_physmap), Errno::INVAL);
    assert_eq!(table.free_ref().unwrap_err(), Error::Refused(Errno::INVAL));
    assert_eq!(table.free_ref().unwrap().reference().number(), 8);
}

#[test]
fn a_failed_setup_in_a_pv_domain_is_reported() {
    let xen = FakeXen::with(Config { kind: Kind::Pv, ..Config::default() });
    let table = xen.table();
    xen.fail(Call::grant(GNTTABOP_setup_table), Status::GENERAL_ERROR);
    assert_eq!(table.free_ref().unwrap_err(), Error::Failed(Status::GENERAL_ERROR));
    assert!(table.free_ref().is_ok());
}

#[test]
fn where_the_limit_is_unknown_one_frame_is_used() {
    let xen = FakeXen::new();
    xen.remove(Call::grant(GNTTABOP_query_size), Errno::NOSYS);
    let table = xen.table();
    assert_eq!(fill(&table).len(), ONE_FRAME);
}

#[test]
fn version_1_is_used_where_it_reaches() {
    let xen = FakeXen::new();
    let table = xen.table();
    assert_eq!(table.report().version, Version::V1);
    assert_eq!(xen.count(Call::grant(GNTTABOP_set_version)), 0);
}

#[test]
fn version_2_is_used_for_frames_that_version_1_cannot_name() {
    for kind in [Kind::Pv, Kind::Hvm] {
        let xen = FakeXen::with(Config { kind, ..HIGH });
        let (table, peer) = (xen.table(), xen.peer(PEER));
        assert_eq!(table.report().version, Version::V2);
        let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
        granted.write(0, b"high").unwrap();
        assert_eq!(peer.map_to_read(granted.reference()).unwrap().read(0), *b"high");
    }
}

#[test]
fn a_version_2_table_maps_a_status_frame_for_every_eight() {
    let xen = FakeXen::with(Config { max_grant_frames: 9, ..HIGH });
    let table = xen.table();
    assert_eq!(fill(&table).len(), 9 * 256 - 8);
    assert_eq!(xen.count(Call::memory(XENMEM_add_to_physmap)), 9 + 2);
}

#[test]
fn a_status_frame_that_cannot_be_mapped_is_asked_for_again() {
    let xen = FakeXen::with(Config { kind: Kind::Pv, ..HIGH });
    let table = xen.table();
    xen.refuse(Call::grant(GNTTABOP_get_status_frames), Errno::INVAL);
    assert_eq!(table.free_ref().unwrap_err(), Error::Refused(Errno::INVAL));
    assert_eq!(fill(&table).len(), 4 * 256 - 8);
}

#[test]
fn without_version_2_high_frames_are_refused_and_only_they() {
    let xen = FakeXen::with(Config { max_grant_version: 1, first_frame: u64::from(u32::MAX), ..HIGH });
    let table = xen.table();
    let low = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    let high = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap_err();
    assert_eq!(high.error, Error::FrameTooHigh(Frame(1 << 32)));
    drop((low, high));
    assert!(table.report().is_idle());
}

#[test]
fn a_version_that_a_predecessor_set_is_kept() {
    let xen = FakeXen::new();
    let mut argument = [gnttab_set_version { version: 2 }];
    // SAFETY: takes a gnttab_set_version; there is no table yet.
    unsafe { operation::operate(&xen, GNTTABOP_set_version, &mut argument) }.unwrap();
    let table = xen.table();
    assert_eq!(table.report().version, Version::V2);
    drop(table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap());
}

/// The PV shim knows how to set the table up and to tell its size, and nothing else.
#[test]
fn a_hypervisor_without_versions_is_taken_for_version_1() {
    let xen = FakeXen::with(Config { kind: Kind::Pv, ..Config::default() });
    for command in [GNTTABOP_get_version, GNTTABOP_set_version, GNTTABOP_map_grant_ref] {
        xen.remove(Call::grant(command), Errno::OPNOTSUPP);
    }
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    drop(peer.map_to_read(granted.reference()).unwrap());
}

#[test]
fn what_is_available_is_what_can_be_had_in_the_table_as_large_as_it_may_be() {
    for config in [1, 2].map(|version| Config { max_grant_version: version, ..Config::default() }) {
        let xen = FakeXen::with(config);
        let table = xen.table();
        let available = table.report().available();
        let taken: Vec<_> = std::iter::from_fn(|| table.free_ref().ok()).collect();
        assert_eq!((taken.len() as u32, table.report().available()), (available, 0));
        drop(taken);
        assert_eq!(table.report().available(), available);
    }
}
