// SPDX-License-Identifier: MIT OR Apache-2.0
mod back;

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;
use xen_sys::io::blkif::{blkif_request, blkif_response};
use xen_sys::io::netif::{netif_rx_request, netif_rx_response};

use super::{Error, NotMade, Ring, Violation};
use crate::DomainId;
use crate::fake::{BackRing, FakePage, FakeXen};
use crate::grant::Table;

const BACKEND: DomainId = DomainId(3);

fn ring<'t>(xen: &FakeXen, table: &'t Table<FakePage>, pages: usize) -> (Ring<'t, FakePage>, BackRing) {
    let pages = (0..pages).map(|_| xen.page()).collect();
    let ring = Ring::new(table, pages, BACKEND, size_of::<blkif_request>()).unwrap();
    let back = BackRing::map(&xen.peer(BACKEND), &ring);
    (ring, back)
}

fn request(id: u64) -> blkif_request {
    let mut request = blkif_request { id, sector_number: !id, ..Default::default() };
    request.seg[10].gref = id as u32;
    request
}

fn response(id: u64) -> blkif_response {
    blkif_response { id, ..Default::default() }
}

/// Answers requests `from..to`.
fn answer(back: &BackRing, from: u32, to: u32) -> bool {
    for index in from..to {
        let request: blkif_request = back.request(index);
        back.respond(index, response(request.id));
    }
    back.publish(to)
}

#[test]
fn a_ring_has_as_many_entries_as_xens_macro_says() {
    let xen = FakeXen::new();
    let table = xen.table();
    for (pages, entries) in [(1, 32), (2, 64), (4, 128), (16, 512)] {
        let (ring, _back) = ring(&xen, &table, pages);
        assert_eq!(ring.capacity(), entries);
    }
}

#[test]
fn a_ring_without_pages_or_with_entries_of_no_size_is_refused() {
    let xen = FakeXen::new();
    let table = xen.table();
    assert_eq!(Ring::new(&table, Vec::new(), BACKEND, 112).unwrap_err(), NotMade::Shape);
    for entry in [0, 5000, usize::MAX] {
        assert_eq!(Ring::new(&table, vec![xen.page()], BACKEND, entry).unwrap_err(), NotMade::Shape);
    }
    assert!(table.report().is_idle());
}

#[test]
fn entries_that_lie_across_two_pages_arrive_whole() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 2);
    for id in 0..64 {
        ring.push(request(id)).unwrap();
    }
    assert!(ring.publish());
    for index in 0..64 {
        assert_eq!(back.request::<blkif_request>(index), request(index.into()));
    }
}

#[test]
fn requests_are_not_seen_before_they_are_published() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    ring.push(request(1)).unwrap();
    assert_eq!(back.requests(), 0);
    assert!(ring.publish());
    assert_eq!(back.requests(), 1);
    assert!(!ring.publish(), "nothing new");
}

#[test]
fn a_full_ring_takes_no_request_until_a_response_was_taken() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    for id in 0..32 {
        ring.push(request(id)).unwrap();
    }
    assert_eq!(ring.push(request(32)), Err(Error::Full));
    let _ = ring.publish();
    answer(&back, 0, 1);
    assert_eq!(ring.push(request(32)), Err(Error::Full));
    assert_eq!(ring.pop().unwrap(), Some(response(0)));
    ring.push(request(32)).unwrap();
}

#[test]
fn a_backend_that_ran_out_of_pages_is_notified_of_more_without_asking() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    for id in 0..2 {
        ring.push(request(id)).unwrap();
    }
    let _ = ring.restock();
    // It has asked for its next event far ahead, and answers one of the two.
    back.listen(100);
    answer(&back, 0, 1);
    ring.push(request(2)).unwrap();
    assert!(!ring.restock(), "it has one left, and will see the other");
    answer(&back, 1, 3);
    ring.push(request(3)).unwrap();
    assert!(ring.restock(), "it has none left, and may be waiting");
    assert!(!ring.restock(), "nothing new");
}

#[test]
fn a_request_larger_than_an_entry_is_refused() {
    let xen = FakeXen::new();
    let table = xen.table();
    let mut ring = Ring::new(&table, vec![xen.page()], BACKEND, size_of::<netif_rx_request>()).unwrap();
    assert_eq!(ring.push(request(0)), Err(Error::TooLarge));
    assert_eq!(ring.pop::<blkif_response>(), Ok(None));
}

#[test]
fn the_backend_is_notified_only_when_it_asked_to_be() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    let mut publish = |count: u64| {
        (0..count).for_each(|id| ring.push(request(id)).unwrap());
        ring.publish()
    };
    assert!(publish(1), "it wants the first");
    assert!(!publish(1), "it is at work");
    back.listen(5);
    assert!(!publish(2), "4 are there, it wants the 5th");
    assert!(publish(3), "7 are there");
    assert!(!publish(1), "the 5th was told already");
}

#[test]
fn an_event_comes_only_after_as_many_responses_as_were_asked_for() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    (0..8).for_each(|id| ring.push(request(id)).unwrap());
    let _ = ring.publish();
    assert_eq!(ring.is_due(), Ok(false), "the first is asked for in the beginning");
    assert_eq!(ring.request_event(4), Ok(0));
    assert!(!answer(&back, 0, 3));
    assert_eq!((ring.is_due(), ring.ready()), (Ok(false), Ok(3)));
    assert!(answer(&back, 3, 5));
    assert_eq!(ring.is_due(), Ok(true));
    assert_eq!(ring.request_event(1), Ok(5), "there is work already");
    assert_eq!((0..5).filter(|_| ring.pop::<blkif_response>().unwrap().is_some()).count(), 5);
    assert_eq!(ring.is_due(), Ok(false), "it was taken");
    assert!(!answer(&back, 5, 6));
    assert_eq!(ring.is_due(), Ok(true), "then any is");
}

#[test]
fn an_event_is_never_asked_for_beyond_what_can_come() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    (0..2).for_each(|id| ring.push(request(id)).unwrap());
    let _ = ring.publish();
    assert_eq!(ring.request_event(100), Ok(0));
    assert!(!answer(&back, 0, 1));
    assert!(answer(&back, 1, 2), "the last response must be told");
    while ring.pop::<blkif_response>().unwrap().is_some() {}
    assert_eq!(ring.request_event(0), Ok(0));
    ring.push(request(2)).unwrap();
    let _ = ring.publish();
    assert!(answer(&back, 2, 3), "0 means the next");
}

#[test]
fn a_backend_that_answers_more_than_was_asked_poisons_the_ring() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    (0..3).for_each(|id| ring.push(request(id)).unwrap());
    let _ = ring.publish();
    back.publish(4);
    let violation = Violation::Index { unanswered: 3, claimed: 4 };
    assert_eq!(ring.pop::<blkif_response>(), Err(violation));
    back.publish(3);
    assert_eq!(ring.pop::<blkif_response>(), Err(violation), "it stays poisoned");
    assert_eq!(ring.push(request(0)), Err(Error::Poisoned(violation)));
    assert_eq!(ring.request_event(1), Err(violation));
}

#[test]
fn responses_to_requests_that_were_not_published_poison_the_ring() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    ring.push(request(0)).unwrap();
    back.publish(1);
    assert!(ring.ready().is_err());
}

#[test]
fn an_index_that_goes_back_poisons_the_ring() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    (0..3).for_each(|id| ring.push(request(id)).unwrap());
    let _ = ring.publish();
    answer(&back, 0, 2);
    assert_eq!(ring.pop().unwrap(), Some(response(0)));
    back.publish(1);
    assert!(ring.request_event(1).is_err(), "two were shown before");
}

#[test]
fn a_response_that_changes_after_it_was_taken_changes_nothing() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    ring.push(request(7)).unwrap();
    let _ = ring.publish();
    answer(&back, 0, 1);
    let taken = ring.pop::<blkif_response>().unwrap();
    back.respond(0, response(8));
    assert_eq!(taken, Some(response(7)));
}

#[test]
fn a_ring_that_the_driver_poisoned_is_used_no_more() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (mut ring, back) = ring(&xen, &table, 1);
    ring.push(request(1)).unwrap();
    let _ = ring.publish();
    answer(&back, 0, 1);
    ring.poison();
    assert_eq!(ring.pop::<blkif_response>(), Err(Violation::Response));
    assert_eq!(ring.push(request(2)), Err(Error::Poisoned(Violation::Response)));
}

#[test]
fn a_backend_that_keeps_the_pages_costs_just_those() {
    let xen = FakeXen::new();
    let table = xen.table();
    let (ring, back) = ring(&xen, &table, 2);
    drop(ring);
    assert_eq!(table.report().quarantined, 2);
    drop(back);
    assert_eq!(table.retry_quarantine(), 2);
    assert!(table.report().is_idle());
}

/// What may happen to a ring.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push(u8),
    Publish,
    Answer(u8),
    Take(u8),
    FrontListens(u8),
    BackListens(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..40_u8).prop_map(Step::Push),
        Just(Step::Publish),
        (1..40_u8).prop_map(Step::Answer),
        (1..40_u8).prop_map(Step::Take),
        (0..40_u8).prop_map(Step::FrontListens),
        (1..8_u8).prop_map(Step::BackListens),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// Whatever order things happen in, over the end of the index's range: every response comes
    /// once and in order, and neither side waits for an event that will not come.
    #[test]
    fn nothing_is_lost_or_told_twice(steps in steps(), start in any::<u32>()) {
        let xen = FakeXen::new();
        let table = xen.table();
        let (mut ring, back) = ring(&xen, &table, 1);
        ring.start_at(start);
        let (mut asked, mut answered) = (0_u64, 0_u64);
        let mut due = VecDeque::new();
        let (mut back_waits, mut front_waits) = (Some(start.wrapping_add(1)), None);
        back.listen(start.wrapping_add(1));
        for step in steps {
            match step {
                Step::Push(count) => for _ in 0..count {
                    let room = ring.room();
                    prop_assert_eq!(ring.push(request(asked)).is_ok(), room > 0);
                    if room > 0 {
                        asked += 1;
                    }
                },
                Step::Publish => {
                    let told = ring.publish();
                    if let Some(at) = back_waits {
                        let reached = back.requests().wrapping_sub(at) < 1 << 31;
                        prop_assert_eq!(told, reached);
                        if reached { back_waits = None; }
                    }
                }
                Step::Answer(count) => {
                    let first = back.responses();
                    let open = back.requests().wrapping_sub(first);
                    let count = open.min(count.into());
                    for offset in 0..count {
                        let index = first.wrapping_add(offset);
                        let id = back.request::<blkif_request>(index).id;
                        prop_assert_eq!(id, answered);
                        back.respond(index, response(id));
                        due.push_back(id);
                        answered += 1;
                    }
                    let told = back.publish(first.wrapping_add(count));
                    if let Some(at) = front_waits {
                        let reached = back.responses().wrapping_sub(at) < 1 << 31;
                        prop_assert!(!reached || told, "an event was due");
                        if reached { front_waits = None; }
                    }
                }
                Step::Take(count) => for _ in 0..count {
                    let taken = ring.pop::<blkif_response>().unwrap();
                    prop_assert_eq!(taken.map(|taken| taken.id), due.pop_front());
                },
                Step::FrontListens(after) => {
                    let ready = ring.request_event(after.into()).unwrap();
                    prop_assert_eq!(ready as usize, due.len());
                    let most = back.requests().wrapping_sub(ring.consumed()).max(1);
                    let at = ring.consumed().wrapping_add(u32::from(after).clamp(1, most));
                    front_waits = (back.responses().wrapping_sub(at) >= 1 << 31).then_some(at);
                }
                Step::BackListens(after) => {
                    let at = back.requests().wrapping_add(after.into());
                    back.listen(at);
                    back_waits = Some(at);
                }
            }
        }
    }

    /// Whatever a backend writes as its index: it is a violation, or not more than was asked.
    #[test]
    fn no_index_makes_more_responses_than_requests(asked in 0..32_u32, lies in proptest::collection::vec(any::<u32>(), 1..8)) {
        let xen = FakeXen::new();
        let table = xen.table();
        let mut ring = Ring::new(&table, vec![xen.page()], BACKEND, size_of::<blkif_request>()).unwrap();
        let back = BackRing::map(&xen.peer(BACKEND), &ring);
        (0..asked).for_each(|id| ring.push(request(id.into())).unwrap());
        let _ = ring.publish();
        let mut taken = 0;
        for lie in lies {
            back.publish(lie % 64);
            while let Ok(Some(_)) = ring.pop::<netif_rx_response>() {
                taken += 1;
            }
        }
        prop_assert!(taken <= asked);
    }
}
