// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's end, with a frontend that lies.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;
use xen_sys::io::blkif::{blkif_request, blkif_response};
use xen_sys::io::netif::{netif_rx_request, netif_tx_request, netif_tx_response};

use super::super::{BackendRing, Error, NotMade, Violation};
use super::{request, response};
use crate::DomainId;
use crate::fake::{FakeMapSlot, FakeXen, FrontRing};
use crate::grant::ReadWrite;
use crate::grant::foreign::{Mapping, map};

const FRONTEND: DomainId = DomainId(7);
const ENTRY: usize = size_of::<blkif_request>();

type MappedRing<'x> = BackendRing<Mapping<'x, FakeXen, FakeMapSlot, ReadWrite>>;

/// The backend's end of `front`.
fn attach<'x>(xen: &'x FakeXen, front: &FrontRing, entry: usize) -> MappedRing<'x> {
    let pages = front.references().into_iter().map(|page| map(xen, FRONTEND, page, xen.place()).unwrap());
    BackendRing::attach(pages.collect(), entry).unwrap()
}

fn ring(xen: &FakeXen, pages: usize) -> (FrontRing, MappedRing<'_>) {
    let front = FrontRing::make(&xen.peer(FRONTEND), pages, ENTRY);
    let back = attach(xen, &front, ENTRY);
    (front, back)
}

/// Has the frontend make requests with ids `from..to`.
fn ask(front: &FrontRing, from: u64, to: u64) -> bool {
    let start = front.requests();
    for id in from..to {
        front.request(start.wrapping_add((id - from) as u32), request(id));
    }
    front.publish(start.wrapping_add((to - from) as u32))
}

/// Takes a request, and answers it.
fn serve(back: &mut MappedRing<'_>) -> Option<u64> {
    let taken: blkif_request = back.pop().unwrap()?;
    back.push(response(taken.id)).unwrap();
    Some(taken.id)
}

#[test]
fn requests_arrive_whole_from_several_pages_and_responses_go_back() {
    for pages in [1, 2, 4, 16] {
        let xen = FakeXen::new();
        let (front, mut back) = ring(&xen, pages);
        let capacity = back.capacity();
        assert_eq!(capacity, front.capacity());
        assert!(ask(&front, 0, capacity.into()));
        for id in 0..capacity {
            assert_eq!(back.pop(), Ok(Some(request(id.into()))));
            back.push(response(u64::from(id) + 1)).unwrap();
        }
        assert_eq!(back.pop::<blkif_request>(), Ok(None));
        assert!(back.publish());
        for id in 0..capacity {
            assert_eq!(front.response::<blkif_response>(id), response(u64::from(id) + 1));
        }
    }
}

#[test]
fn entries_lie_where_the_header_says() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 2);
    ask(&front, 0, 40);
    let pages = front.references().into_iter().map(|page| xen.peer(FRONTEND).page(page)).collect::<Vec<_>>();
    while serve(&mut back).is_some() {}
    let _ = back.publish();
    // struct blkif_sring: req_prod, req_event, rsp_prod, rsp_event, 48 more bytes, and then the entries.
    assert_eq!(pages[0].read::<4>(0), 40_u32.to_ne_bytes());
    assert_eq!(pages[0].read::<4>(8), 40_u32.to_ne_bytes());
    assert_eq!(pages[0].read::<8>(64 + 3 * 112), 3_u64.to_ne_bytes());
    assert_eq!(pages[1].read::<8>(64 + 38 * 112 - 4096), 38_u64.to_ne_bytes());
}

#[test]
fn a_ring_without_pages_or_with_entries_of_no_size_is_refused() {
    assert_eq!(MappedRing::attach(Vec::new(), ENTRY).unwrap_err(), NotMade::Shape);
    let xen = FakeXen::new();
    let front = FrontRing::make(&xen.peer(FRONTEND), 1, ENTRY);
    for entry in [0, 5000, usize::MAX] {
        let page = map(&xen, FRONTEND, front.references()[0], xen.place()).unwrap();
        assert_eq!(MappedRing::attach(vec![page], entry).unwrap_err(), NotMade::Shape);
    }
}

#[test]
fn a_ring_that_is_closed_gives_its_pages_back() {
    let xen = FakeXen::new();
    let (front, back) = ring(&xen, 2);
    let used = || front.references().iter().map(|page| xen.peer(FRONTEND).uses(*page)).sum::<u32>();
    let pages = back.close();
    assert_eq!((pages.len(), used()), (2, 2));
    drop(pages);
    assert_eq!(used(), 0);
}

#[test]
fn more_requests_than_the_ring_holds_poison_it() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 33);
    let violation = Violation::Requests { capacity: 32, claimed: 33 };
    assert_eq!(back.pop::<blkif_request>(), Err(violation));
    front.publish(1);
    assert_eq!(back.pop::<blkif_request>(), Err(violation), "it stays poisoned");
    assert_eq!(back.ready_for(7), Err(violation));
    assert_eq!(back.request_event(1), Err(violation));
    assert_eq!(back.push(response(0)), Err(Error::Poisoned(violation)));
    assert!(back.is_poisoned() && !back.publish());
}

#[test]
fn a_request_before_the_response_to_the_one_in_its_place_was_shown_poisons_the_ring() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 32);
    assert_eq!((serve(&mut back), serve(&mut back)), (Some(0), Some(1)));
    // The frontend cannot know of a response that was not published.
    front.publish(33);
    assert_eq!(back.request_event(1), Err(Violation::Requests { capacity: 32, claimed: 33 }));
}

#[test]
fn requests_that_are_taken_back_poison_the_ring() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 5);
    assert_eq!(back.ready(), Ok(5));
    front.publish(4);
    assert_eq!(back.ready(), Ok(5), "it is not looked at again before they are taken");
    assert!(back.request_event(1).is_err());
}

#[test]
fn a_request_that_changes_after_it_was_taken_changes_nothing() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 7, 8);
    let taken = back.pop();
    front.request(0, request(8));
    assert_eq!(taken, Ok(Some(request(7))));
}

#[test]
fn indices_of_ours_that_the_frontend_overwrites_are_not_read_again() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 3);
    assert_eq!(serve(&mut back), Some(0));
    front.forge_responses(900);
    assert!(back.publish());
    assert_eq!(front.responses(), 1);
    assert_eq!(serve(&mut back), Some(1));
}

#[test]
fn a_response_that_nobody_asked_for_is_refused() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    assert_eq!(back.push(response(0)), Err(Error::Unasked));
    ask(&front, 0, 2);
    assert_eq!(serve(&mut back), Some(0));
    assert_eq!(back.push(response(1)), Err(Error::Unasked));
    assert_eq!(back.unanswered(), 0);
}

#[test]
fn what_is_larger_than_an_entry_is_neither_read_nor_written() {
    let xen = FakeXen::new();
    let entry = size_of::<netif_rx_request>();
    let front = FrontRing::make(&xen.peer(FRONTEND), 1, entry);
    let mut back = attach(&xen, &front, entry);
    front.push(netif_rx_request { id: 1, pad: 0, gref: 9 });
    assert_eq!(back.pop::<netif_tx_request>(), Ok(None));
    assert_eq!(back.push(request(0)), Err(Error::TooLarge));
    assert!(matches!(back.pop::<netif_rx_request>(), Ok(Some(request)) if request.gref == 9));
}

#[test]
fn a_driver_may_poison_the_ring() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 2);
    assert_eq!(serve(&mut back), Some(0));
    assert_eq!(back.poison(), Violation::Request);
    assert_eq!(back.pop::<blkif_request>(), Err(Violation::Request));
}

#[test]
fn the_frontend_raises_no_event_while_the_backend_works_and_one_when_it_waits() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    assert!(ask(&front, 0, 1), "the first is asked for in the beginning");
    assert!(!ask(&front, 1, 2));
    assert_eq!((serve(&mut back), serve(&mut back)), (Some(0), Some(1)));
    assert!(!ask(&front, 2, 3), "it has not begun to wait");
    assert_eq!(back.request_event(1), Ok(1), "there is one already");
    assert_eq!(serve(&mut back), Some(2));
    assert_eq!(back.request_event(1), Ok(0));
    assert!(ask(&front, 3, 4));
    assert!(!ask(&front, 4, 5), "it was told");
}

#[test]
fn an_event_may_be_asked_for_after_several_requests_but_not_after_more_than_can_come() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 30);
    while back.pop::<blkif_request>().unwrap().is_some() {}
    assert_eq!(back.request_event(100), Ok(0));
    assert!(!ask(&front, 30, 31));
    assert!(ask(&front, 31, 32), "there is no room for more");
    while back.pop::<blkif_request>().unwrap().is_some() {}
    assert_eq!(back.request_event(5), Ok(0), "none can come before an answer");
    for id in 0..32 {
        back.push(response(id)).unwrap();
    }
    let _ = back.publish();
    assert!(ask(&front, 32, 33), "the next one is told of");
}

#[test]
fn the_frontend_is_notified_only_when_it_asked_to_be() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 32);
    let mut publish = |count| {
        (0..count).for_each(|_| assert!(serve(&mut back).is_some()));
        back.publish()
    };
    assert!(publish(1), "it wants the first");
    assert!(!publish(1), "it is at work");
    front.listen(5);
    assert!(!publish(2), "4 are there, it wants the 5th");
    assert!(publish(3), "7 are there");
    assert!(!publish(1), "the 5th was told already");
    assert!(!publish(0), "nothing new");
}

#[test]
fn a_backend_goes_on_behind_the_last_response_of_a_former_one() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 4);
    assert_eq!(serve(&mut back), Some(0));
    assert!(back.publish());
    assert_eq!(back.pop::<blkif_request>(), Ok(Some(request(1))));
    drop(back);
    let mut back = attach(&xen, &front, ENTRY);
    assert_eq!([serve(&mut back), serve(&mut back), serve(&mut back)], [Some(1), Some(2), Some(3)]);
    assert_eq!(serve(&mut back), None);
}

#[test]
fn many_requests_are_waited_for_by_one_look() {
    let xen = FakeXen::new();
    let (front, mut back) = ring(&xen, 1);
    ask(&front, 0, 2);
    assert_eq!(back.ready(), Ok(2));
    ask(&front, 2, 5);
    assert_eq!((back.ready(), back.ready_for(5)), (Ok(2), Ok(5)));
}

#[test]
fn requests_of_several_kinds_share_a_ring() {
    let xen = FakeXen::new();
    let entry = size_of::<netif_tx_request>();
    let front = FrontRing::make(&xen.peer(FRONTEND), 1, entry);
    let mut back = attach(&xen, &front, entry);
    front.push(netif_tx_request { gref: 9, offset: 1, flags: 0, id: 3, size: 60 });
    let taken: netif_tx_request = back.pop().unwrap().unwrap();
    back.push(netif_tx_response { id: taken.id, status: 0 }).unwrap();
    assert!(back.publish());
    assert_eq!(front.response::<netif_tx_response>(0).id, 3);
}

/// What may happen to a ring.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u8),
    Take(u8),
    Answer(u8),
    Publish,
    FrontListens(u8),
    BackListens(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..40_u8).prop_map(Step::Ask),
        (1..40_u8).prop_map(Step::Take),
        (1..40_u8).prop_map(Step::Answer),
        Just(Step::Publish),
        (1..8_u8).prop_map(Step::FrontListens),
        (0..40_u8).prop_map(Step::BackListens),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Whether the event at index `at` is due when the index is `index`.
fn reached(index: u32, at: u32) -> bool {
    index.wrapping_sub(at) < 1 << 31
}

proptest! {
    /// Whatever order things happen in, over the end of the index's range: every request is taken once and in
    /// order, and neither side waits for an event that will not come.
    #[test]
    fn nothing_is_lost_or_told_twice(steps in steps(), start in any::<u32>()) {
        let xen = FakeXen::new();
        let front = FrontRing::make(&xen.peer(FRONTEND), 1, ENTRY);
        front.start_at(start);
        let mut back = attach(&xen, &front, ENTRY);
        let (mut asked, mut taken, mut answered) = (0_u64, 0_u64, 0_u64);
        let mut open = VecDeque::new();
        let (mut front_waits, mut back_waits) = (Some(start.wrapping_add(1)), Some(start.wrapping_add(1)));
        for step in steps {
            match step {
                Step::Ask(count) => {
                    let room = 32 - front.requests().wrapping_sub(front.responses());
                    let count = room.min(count.into());
                    let told = ask(&front, asked, asked + u64::from(count));
                    asked += u64::from(count);
                    let due = back_waits.is_some_and(|at| reached(front.requests(), at));
                    prop_assert!(!due || told, "an event was due");
                    back_waits = back_waits.filter(|_| !due);
                }
                Step::Take(count) => for _ in 0..count {
                    if let Some(request) = back.pop::<blkif_request>().unwrap() {
                        prop_assert_eq!(request.id, taken);
                        taken += 1;
                        open.push_back(request.id);
                    }
                },
                Step::Answer(count) => for _ in 0..count {
                    let id = open.pop_front();
                    prop_assert_eq!(back.push(response(id.unwrap_or(0))).is_ok(), id.is_some());
                },
                Step::Publish => {
                    let (before, told) = (front.responses(), back.publish());
                    for index in 0..front.responses().wrapping_sub(before) {
                        let id = front.response::<blkif_response>(before.wrapping_add(index)).id;
                        prop_assert_eq!(id, answered);
                        answered += 1;
                    }
                    let due = front_waits.is_some_and(|at| reached(front.responses(), at));
                    prop_assert!(front_waits.is_none() || told == due);
                    front_waits = front_waits.filter(|_| !due);
                }
                Step::FrontListens(after) => {
                    let at = front.responses().wrapping_add(after.into());
                    front.listen(at);
                    front_waits = Some(at);
                }
                Step::BackListens(after) => {
                    let ready = back.request_event(after.into()).unwrap();
                    prop_assert_eq!(u64::from(ready), asked - taken);
                    let room = 32 - back.consumed().wrapping_sub(front.responses());
                    let at = back.consumed().wrapping_add(u32::from(after).clamp(1, room.max(1)));
                    back_waits = (!reached(front.requests(), at)).then_some(at);
                }
            }
            prop_assert!(back.unanswered() <= 32);
        }
    }

    /// Whatever a frontend writes as its index: it is a violation, or there are no more requests than the
    /// ring holds.
    #[test]
    fn no_index_makes_more_requests_than_the_ring_holds(
        lies in proptest::collection::vec((any::<u32>(), any::<bool>()), 1..40),
    ) {
        let xen = FakeXen::new();
        let (front, mut back) = ring(&xen, 1);
        for (lie, answer) in lies {
            front.publish(if lie & 1 == 0 { lie } else { front.responses().wrapping_add(lie % 40) });
            front.forge_responses(lie);
            while let Ok(Some(_)) = back.pop::<blkif_request>() {}
            prop_assert!(back.unanswered() <= 32);
            while answer && back.push(response(0)).is_ok() {}
            let _ = back.publish();
        }
    }
}
