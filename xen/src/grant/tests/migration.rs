// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains that are saved and restored while pages are granted.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Saves the domain and restores it.
fn migrate(xen: &FakeXen, table: &Table<FakePage>) {
    xen.migrate();
    xen.resume_grants(table).unwrap();
}

fn on_both_kinds(test: impl Fn(FakeXen)) {
    for kind in [crate::fake::Kind::Pv, crate::fake::Kind::Hvm] {
        test(FakeXen::with(Config { kind, max_grant_frames: 1, ..Config::default() }));
    }
}

#[test]
fn grants_of_before_are_nobodys_and_give_their_pages_back() {
    on_both_kinds(|xen| {
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let mut page = xen.page();
        page.set(0, b"mine");
        let [first, second] =
            [page, xen.page()].map(|page| table.try_grant::<ReadWrite>(page, PEER).unwrap());
        let mapping = peer.map_to_write(first.reference()).unwrap();
        migrate(&xen, &table);
        assert!(!first.is_in_use());
        assert!(peer.map_to_read(first.reference()).is_err());
        // Its reference is another's now: ending the old grant must not end the new one.
        let fresh = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
        assert_eq!(fresh.reference(), first.reference());
        assert_eq!(first.end().unwrap().bytes(0), *b"mine");
        drop(second);
        drop(peer.map_to_read(fresh.reference()).unwrap());
        drop(mapping);
        assert_eq!((table.report().granted, table.report().free), (1, ONE_FRAME as u32 - 1));
        drop(fresh);
        assert!(table.report().is_idle());
    });
}

#[test]
fn pages_in_quarantine_come_back() {
    on_both_kinds(|xen| {
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
        let _mapping = peer.map_to_write(granted.reference()).unwrap();
        granted.end().unwrap_err();
        assert_eq!(table.quarantined_for(PEER), 1);
        migrate(&xen, &table);
        assert!(table.report().is_idle());
    });
}

#[test]
fn a_reference_that_was_taken_before_is_changed_for_a_new_one() {
    on_both_kinds(|xen| {
        let (table, peer) = (xen.table(), xen.peer(PEER));
        let [used, dropped] = [(); 2].map(|()| table.free_ref().unwrap());
        migrate(&xen, &table);
        let other = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
        let granted = used.grant::<ReadOnly>(xen.page(), PEER).unwrap();
        assert_ne!(granted.reference(), other.reference());
        drop(dropped);
        drop(peer.map_to_read(granted.reference()).unwrap());
        assert_eq!(table.report().free, ONE_FRAME as u32 - 2);
    });
}

#[test]
fn those_who_wait_for_a_reference_get_one() {
    let xen = one_frame();
    let table = xen.table();
    let all = take_all_but(&table, 0);
    let mut handed = pin!(table.wait_for_free());
    let mut waiting = pin!(table.wait_for_free());
    let context = &mut Context::from_waker(Waker::noop());
    assert!(handed.as_mut().poll(context).is_pending() && waiting.as_mut().poll(context).is_pending());
    // Handed to the first, who does not look yet.
    let mut all = all.into_iter();
    drop(all.next());
    migrate(&xen, &table);
    let Poll::Ready(Ok(first)) = handed.poll(context) else { panic!("it was handed one") };
    let Poll::Ready(Ok(second)) = waiting.poll(context) else { panic!("all are free now") };
    assert_ne!(first.reference(), second.reference());
    drop(all);
    assert_eq!(table.report().free, ONE_FRAME as u32 - 2);
    drop((first, second));
    assert!(table.report().is_idle());
}

#[test]
fn a_table_of_several_frames_has_as_many_afterwards() {
    let xen = FakeXen::new();
    let table = xen.table();
    let all = take_all_but(&table, 0);
    let report = table.report();
    assert_eq!(report.frames, 4);
    migrate(&xen, &table);
    drop(all);
    assert_eq!((table.report().frames, table.report().free), (4, report.references));
}

#[test]
fn a_frame_that_is_refused_then_is_mapped_when_it_is_needed() {
    let xen = one_frame();
    let table = xen.table();
    drop(table.free_ref().unwrap());
    xen.migrate();
    xen.refuse(crate::fake::Call::memory(xen_sys::memory::XENMEM_add_to_physmap), crate::Errno::NOMEM);
    assert_eq!(xen.resume_grants(&table), Err(Error::Refused(crate::Errno::NOMEM)));
    assert_eq!(table.report().references, 0);
    drop(table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap());
    assert!(table.report().is_idle());
}
