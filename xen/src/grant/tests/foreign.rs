// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of other domains.

use xen_sys::grant_table::*;
use xen_sys::sched::SCHEDOP_yield;

use super::*;
use crate::Errno;
use crate::fake::Call;
use crate::grant::copy::bytes::{Span, gather, spread};
use crate::grant::copy::{Foreign, Piece, Request, copy, from_grants, to_grants};
use crate::grant::foreign::{MapSlot, map};

const MAP: Call = Call::grant(GNTTABOP_map_grant_ref);
const UNMAP: Call = Call::grant(GNTTABOP_unmap_grant_ref);
const COPY: Call = Call::grant(GNTTABOP_copy);

fn at(reference: Reference, offset: usize) -> Foreign {
    Foreign { domain: PEER, reference, offset }
}

#[test]
fn a_foreign_page_can_be_read_and_written_while_it_is_mapped() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let offered = peer.offer_to_write(b"question");
    let mapping = map::<ReadWrite, _, _>(&xen, PEER, offered, xen.place()).unwrap();
    let mut read = [0; 8];
    mapping.read(0, &mut read).unwrap();
    assert_eq!(&read, b"question");
    mapping.write(100, b"answer").unwrap();
    assert_eq!(peer.offered(offered, 100), *b"answer");
    assert_eq!(peer.uses(offered), 1);
    drop(mapping);
    assert_eq!(peer.uses(offered), 0);
}

#[test]
fn a_slot_can_be_used_again_after_unmapping() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let mut place = xen.place();
    for contents in [b"one", b"two"] {
        let offered = peer.offer_to_read(contents);
        let mapping = map::<ReadOnly, _, _>(&xen, PEER, offered, place).unwrap();
        let mut read = [0; 3];
        mapping.read(0, &mut read).unwrap();
        assert_eq!(&read, contents);
        place = mapping.unmap().unwrap();
    }
}

#[test]
fn a_failed_mapping_says_why_and_returns_the_slot() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let read_only = peer.offer_to_read(b"");
    let unknown = Reference::new(4000).unwrap();
    let place = xen.place();
    let address = place.host_address();
    let refused = map::<ReadWrite, _, _>(&xen, PEER, read_only, place).unwrap_err();
    assert_eq!(refused.error, Error::Failed(Status::GENERAL_ERROR));
    let refused = map::<ReadOnly, _, _>(&xen, PEER, unknown, refused.slot).unwrap_err();
    assert_eq!(refused.error, Error::Failed(Status::BAD_REFERENCE));
    let refused = map::<ReadOnly, _, _>(&xen, DomainId(99), read_only, refused.slot).unwrap_err();
    assert_eq!(refused.error, Error::Failed(Status::BAD_DOMAIN));
    xen.remove(MAP, Errno::OPNOTSUPP);
    let refused = map::<ReadOnly, _, _>(&xen, PEER, read_only, refused.slot).unwrap_err();
    assert!(refused.error.is_unsupported());
    assert_eq!(refused.slot.host_address(), address);
}

#[test]
fn a_page_that_is_not_ready_is_asked_for_again() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"");
    (0..3).for_each(|_| xen.fail(MAP, Status::AGAIN));
    drop(map::<ReadOnly, _, _>(&xen, PEER, offered, xen.place()).unwrap());
    assert_eq!((xen.count(MAP), xen.count(Call::sched(SCHEDOP_yield))), (4, 3));
}

#[test]
fn a_page_that_never_gets_ready_is_given_up() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"");
    (0..100).for_each(|_| xen.fail(MAP, Status::AGAIN));
    let refused = map::<ReadOnly, _, _>(&xen, PEER, offered, xen.place()).unwrap_err();
    assert_eq!(refused.error, Error::Failed(Status::AGAIN));
    assert_eq!(xen.count(MAP), 16);
}

#[test]
fn a_slot_that_may_still_be_mapped_does_not_come_back() {
    let xen = FakeXen::new();
    xen.forgive_leaks();
    let peer = xen.peer(PEER);
    let offered = peer.offer_to_read(b"");
    let mapping = map::<ReadOnly, _, _>(&xen, PEER, offered, xen.place()).unwrap();
    xen.fail(UNMAP, Status::BAD_ADDRESS);
    assert_eq!(mapping.unmap().err(), Some(Error::Failed(Status::BAD_ADDRESS)));
    assert_eq!(peer.uses(offered), 1);
}

#[test]
#[should_panic(expected = "domain 3's grant 8 was left mapped")]
fn the_fake_notices_a_page_that_is_never_unmapped() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"");
    std::mem::forget(map::<ReadOnly, _, _>(&xen, PEER, offered, xen.place()).unwrap());
}

#[test]
fn one_hypercall_copies_a_batch_and_each_copy_has_its_own_outcome() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let (source, target) = (peer.offer_to_read(b"from the peer"), peer.offer_to_write(b""));
    let (mut page, mut other) = (xen.page(), xen.page());
    other.set(10, b"from us");
    let mut requests = [
        Request::from_grant(at(source, 5), &mut page, 2, 8).unwrap(),
        Request::to_grant(&other, 10, at(source, 0), 7).unwrap(),
        Request::to_grant(&other, 10, at(target, 0), 7).unwrap(),
        Request::between_grants(at(source, 0), at(target, 4000), 13).unwrap(),
    ];
    assert!(requests[0].outcome().is_none());
    copy(&xen, &mut requests).unwrap();
    let outcomes = requests.map(|request| request.outcome().unwrap());
    assert_eq!(outcomes, [Ok(()), Err(Error::Failed(Status::GENERAL_ERROR)), Ok(()), Ok(())]);
    assert_eq!(page.bytes(2), *b"the peer");
    assert_eq!(peer.offered(target, 0), *b"from us");
    assert_eq!(peer.offered(target, 4000), *b"from the peer");
    assert_eq!(xen.count(COPY), 1);
}

#[test]
fn a_copy_past_a_page_is_refused_before_xen_is_asked() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"");
    let mut page = xen.page();
    for (from, to, length) in [(4095, 0, 2), (0, 4095, 2), (0, 0, 4097), (usize::MAX, 0, 1), (0, 65536, 1)] {
        let refused = Request::from_grant(at(offered, from), &mut page, to, length);
        assert_eq!(refused.err(), Some(Error::OutsidePage));
    }
    assert!(Request::from_grant(at(offered, 0), &mut page, 0, 4096).is_ok());
    assert_eq!(xen.count(COPY), 0);
}

#[test]
fn only_the_copy_that_was_not_ready_is_tried_again() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"data");
    let (mut page, mut other) = (xen.page(), xen.page());
    xen.fail(COPY, Status::AGAIN);
    let mut requests = [
        Request::from_grant(at(offered, 0), &mut page, 0, 4).unwrap(),
        Request::from_grant(at(offered, 0), &mut other, 0, 4).unwrap(),
    ];
    copy(&xen, &mut requests).unwrap();
    assert_eq!(requests.map(|request| request.outcome()), [Some(Ok(())); 2]);
    assert_eq!(page.bytes(0), *b"data");
    assert_eq!(xen.count(COPY), 2);
}

#[test]
fn a_batch_that_is_refused_as_a_whole_was_not_tried() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_read(b"");
    let mut page = xen.page();
    xen.remove(COPY, Errno::OPNOTSUPP);
    let mut requests = [Request::from_grant(at(offered, 0), &mut page, 0, 1).unwrap()];
    assert!(copy(&xen, &mut requests).unwrap_err().is_unsupported());
    assert!(requests[0].outcome().is_none());
}

#[test]
fn pieces_go_to_and_from_a_list_of_pages_by_one_hypercall_each_way() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let (first, second) = (peer.offer_to_write(b"first"), peer.offer_to_write(b"second"));
    let mut pages = [xen.page(), xen.page()];
    let pieces = [
        Piece { foreign: at(first, 0), page: 0, offset: 4094, length: 2 },
        Piece { foreign: at(first, 2), page: 1, offset: 0, length: 3 },
        Piece { foreign: at(second, 0), page: 1, offset: 3, length: 6 },
    ];
    let mut requests = from_grants(&mut pages, &pieces).unwrap();
    copy(&xen, &mut requests).unwrap();
    assert!(requests.iter().all(|request| request.outcome() == Some(Ok(()))));
    assert_eq!((pages[0].bytes(4094), pages[1].bytes(0)), (*b"fi", *b"rstsecond"));
    pages[1].set(3, b"SECOND");
    copy(&xen, &mut to_grants(&pages, &pieces[2..]).unwrap()).unwrap();
    assert_eq!(peer.offered(second, 0), *b"SECOND");
    assert_eq!(xen.count(COPY), 2);
}

#[test]
fn pieces_of_pages_that_are_not_there_or_past_their_end_are_refused() {
    let xen = FakeXen::new();
    let offered = xen.peer(PEER).offer_to_write(b"");
    let mut pages = [xen.page()];
    for (page, offset, length) in [(1, 0, 1), (usize::MAX, 0, 1), (0, 4090, 7), (0, usize::MAX, 2)] {
        let pieces = [Piece { foreign: at(offered, 0), page, offset, length }];
        assert_eq!(from_grants(&mut pages, &pieces).err(), Some(Error::OutsidePage));
        assert_eq!(to_grants(&pages, &pieces).err(), Some(Error::OutsidePage));
    }
    let past = [Piece { foreign: at(offered, 4090), page: 0, offset: 0, length: 7 }];
    assert_eq!(to_grants(&pages, &past).err(), Some(Error::OutsidePage));
}

#[test]
fn lists_of_spans_are_gathered_by_one_hypercall_and_a_bad_one_spoils_only_its_list() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let contents: Vec<u8> = (0..4096).map(|index| (index % 251) as u8).collect();
    let (whole, words) = (peer.offer_to_read(&contents), peer.offer_to_read(b"some words"));
    let unknown = Reference::new(4000).unwrap();
    let span = |reference, offset, length| Span { foreign: at(reference, offset), length };
    // More than a page: somewhere in it our bytes go on in another one.
    let long = [span(words, 5, 5), span(whole, 0, 4096), span(words, 0, 0), span(whole, 4095, 1)];
    let lists: [&[Span]; 6] = [
        &long,
        &[span(words, 0, 4), span(unknown, 0, 4)],
        &[span(words, 0, 4), span(words, 4090, 7)],
        &[],
        &[span(words, 0, usize::MAX), span(words, 0, 1)],
        &[span(words, 0, 4)],
    ];
    let gathered = gather(&xen, &xen, &lists);
    let expected = [b"words", &contents[..], &contents[4095..]].concat();
    assert_eq!(gathered, [Some(expected), None, None, Some(Vec::new()), None, Some(b"some".to_vec())]);
    assert_eq!(xen.count(COPY), 1);
}

#[test]
fn bytes_are_spread_by_one_hypercall_from_wherever_they_lie() {
    let xen = FakeXen::new();
    let peer = xen.peer(PEER);
    let (target, read_only) = (peer.offer_to_write(b""), peer.offer_to_read(b""));
    let bytes: Vec<u8> = (0..9000).map(|index| (index % 251) as u8).collect();
    let pieces = [
        (&bytes[..1000], at(target, 3096)),
        (&bytes[1000..5000], at(read_only, 0)),
        (&bytes[5000..8000], at(target, 50)),
        (&bytes[..2], at(target, 4095)),
        (&bytes[..0], at(target, 0)),
    ];
    assert_eq!(spread(&xen, &xen, &pieces), [true, false, true, false, true]);
    assert_eq!(peer.offered::<1000>(target, 3096)[..], bytes[..1000]);
    assert_eq!(peer.offered::<3000>(target, 50)[..], bytes[5000..8000]);
    assert_eq!(xen.count(COPY), 1);
}

#[test]
fn what_xen_refuses_as_a_whole_is_neither_gathered_nor_spread() {
    let xen = FakeXen::new();
    let target = xen.peer(PEER).offer_to_write(b"");
    xen.remove(COPY, Errno::OPNOTSUPP);
    let spans = [Span { foreign: at(target, 0), length: 4 }];
    assert_eq!(gather(&xen, &xen, &[&spans]), [None]);
    assert_eq!(spread(&xen, &xen, &[(b"some", at(target, 0))]), [false]);
}
