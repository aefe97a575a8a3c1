// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers that do not let go.

use super::*;
use crate::fake::exercise::machines;

#[test]
fn a_page_that_the_peer_still_maps_is_never_used_again_before_it_lets_go() {
    for machine in machines() {
        let xen = FakeXen::with(machine);
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
        let reference = granted.reference();
        let mapping = peer.map_to_write(reference).unwrap();
        assert_eq!(granted.end().unwrap_err(), InUse { reference });
        assert_eq!(table.retry_quarantine(), 0);

        let others = take_all_but(&table, 0);
        assert!(others.iter().all(|other| other.reference() != reference));
        mapping.write(0, b"still mine");
        drop((others, mapping));

        assert_eq!(table.retry_quarantine(), 1);
        assert!(table.report().is_idle());
    }
}

#[test]
fn dropping_a_grant_that_is_mapped_sets_its_page_aside() {
    for machine in machines() {
        let xen = FakeXen::with(machine);
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
        let mapping = peer.map_to_read(granted.reference()).unwrap();
        drop(granted);
        assert_eq!((table.report().granted, table.report().quarantined), (0, 1));
        drop(mapping);
        assert_eq!(table.retry_quarantine(), 1);
    }
}

#[test]
fn a_grant_mapped_twice_is_in_use_until_both_are_gone() {
    for machine in machines() {
        let xen = FakeXen::with(machine);
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
        let reader = peer.map_to_read(granted.reference()).unwrap();
        let writer = peer.map_to_write(granted.reference()).unwrap();
        assert!(granted.end().is_err());
        drop(writer);
        assert_eq!(table.retry_quarantine(), 0);
        drop(reader);
        assert_eq!(table.retry_quarantine(), 1);
    }
}

#[test]
fn a_full_table_looks_through_its_quarantine() {
    let xen = one_frame();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let _taken = take_all_but(&table, 1);
    let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    let mapping = peer.map_to_read(granted.reference()).unwrap();
    drop(granted);
    assert_eq!(table.free_ref().unwrap_err(), Error::Full);
    drop(mapping);
    assert!(table.free_ref().is_ok());
    assert_eq!(table.report().quarantined, 0);
}

#[test]
fn a_table_that_is_dropped_keeps_what_a_peer_maps_from_being_used() {
    let xen = FakeXen::new();
    xen.forgive_leaks();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
    let mapping = peer.map_to_write(granted.reference()).unwrap();
    drop(granted);
    drop(table); // the fake panics if the page is given up here
    mapping.write(0, b"harmless");
}

#[test]
fn a_peer_that_keeps_every_page_costs_those_pages_and_nothing_else() {
    let xen = one_frame();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let mappings: Vec<_> = (0..ONE_FRAME)
        .map(|_| {
            let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
            peer.map_to_read(granted.reference()).unwrap()
        })
        .collect();
    assert_eq!(table.report().quarantined as usize, ONE_FRAME);
    assert_eq!(table.free_ref().unwrap_err(), Error::Full);
    drop(mappings);
    assert_eq!(table.retry_quarantine() as usize, ONE_FRAME);
    assert!(table.report().is_idle());
}
