// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants against the fake hypervisor.

mod foreign;
mod growth;
mod lists;
mod migration;
mod quarantine;
mod vcpus;
mod waiting;

use super::*;
use crate::DomainId;
use crate::fake::{Config, FakePage, FakeXen};

/// The peer of most tests.
const PEER: DomainId = DomainId(3);

/// The whole of a one-frame version 1 table.
const ONE_FRAME: usize = 504;

fn one_frame() -> FakeXen {
    FakeXen::with(Config { max_grant_frames: 1, ..Config::default() })
}

/// Takes all references but `left`.
fn take_all_but<'t>(table: &'t Table<FakePage>, left: usize) -> Vec<FreeRef<'t, FakePage>> {
    let mut taken: Vec<_> = std::iter::from_fn(|| table.free_ref().ok()).collect();
    taken.truncate(taken.len() - left);
    taken
}

#[test]
fn a_peer_sees_what_is_written_and_the_granter_what_the_peer_writes() {
    let xen = FakeXen::new();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
    granted.write(4000, &[7; 96]).unwrap();
    let mapping = peer.map_to_write(granted.reference()).unwrap();
    assert_eq!(mapping.read::<96>(4000), [7; 96]);
    mapping.write(1, b"answer");
    let mut answer = [0; 6];
    granted.read(1, &mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    drop(mapping);
    assert_eq!(granted.end().unwrap().bytes(1), *b"answer");
}

#[test]
fn a_grant_is_for_one_domain_and_one_kind_of_access() {
    let xen = FakeXen::new();
    let (table, peer, stranger) = (xen.table(), xen.peer(PEER), xen.peer(DomainId(4)));
    let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    assert!(stranger.map_to_read(granted.reference()).is_err());
    assert_eq!(peer.map_to_write(granted.reference()).unwrap_err(), Status::GENERAL_ERROR);
    drop(peer.map_to_read(granted.reference()).unwrap());
}

#[test]
fn an_ended_grant_lets_nobody_in() {
    let xen = FakeXen::new();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
    let reference = granted.reference();
    granted.end().unwrap();
    assert!(peer.map_to_read(reference).is_err());
}

#[test]
fn granting_and_ending_take_no_hypercall() {
    let xen = FakeXen::new();
    let table = xen.table();
    drop(table.free_ref().unwrap());
    let before = xen.hypercalls();
    let mut page = xen.page();
    for _ in 0..10_000 {
        page = table.try_grant::<ReadWrite>(page, PEER).unwrap().end().unwrap();
    }
    assert_eq!(xen.hypercalls(), before);
}

#[test]
fn bytes_outside_the_page_are_refused() {
    let xen = FakeXen::new();
    let table = xen.table();
    let granted = table.try_grant::<ReadWrite>(xen.page(), PEER).unwrap();
    assert_eq!(granted.write(4095, &[1, 2]), Err(Error::OutsidePage));
    assert_eq!(granted.read(usize::MAX, &mut [0]), Err(Error::OutsidePage));
    assert_eq!(granted.read(4096, &mut []), Ok(()));
}

#[test]
fn the_report_counts_and_reads_well() {
    let xen = FakeXen::new();
    let table = xen.table();
    let first = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    let second = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    drop(second);
    assert_eq!(
        table.report().to_string(),
        "1 granted (peak 2), 0 in quarantine, 0 lost, 0 waiting; 503 of 504 references free; \
         1 of 4 frames, version 1"
    );
    assert!(!table.report().is_idle());
    drop(first);
    assert!(table.report().is_idle());
}

#[test]
#[should_panic(expected = "grant 8 was leaked")]
fn the_fake_notices_a_grant_that_is_never_ended() {
    let xen = FakeXen::new();
    let table = xen.table();
    std::mem::forget(table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap());
}

#[test]
fn errors_say_what_to_do() {
    assert!(Error::Full.to_string().contains("raise max_grant_frames"));
    assert!(Error::FrameTooHigh(Frame(1 << 32)).to_string().contains("0x100000000"));
    assert_eq!(Error::Failed(Status::BAD_DOMAIN).to_string(), "a grant operation failed: no such domain");
    assert_eq!(Status(-99).to_string(), "grant status -99");
    assert!(Error::Refused(crate::Errno::OPNOTSUPP).is_unsupported());
}
