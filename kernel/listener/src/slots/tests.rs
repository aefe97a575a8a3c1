// SPDX-License-Identifier: MIT OR Apache-2.0
use core::pin::{Pin, pin};

use super::*;

fn is_ready(future: &mut Pin<&mut impl Future>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn the_longest_idle_connection_gives_way_to_a_queued_one() {
    let slots = Slots::new(2);
    let [one, two, three] = [slots.take(), slots.take(), slots.take()];
    let spare = slots.take();
    spare.listens();
    for slot in [&one, &two] {
        assert!(is_ready(&mut pin!(slot.admitted())));
    }
    let (mut first, mut second) = (pin!(two.wanted(Usage::Idle)), pin!(one.wanted(Usage::Idle)));
    assert!(!is_ready(&mut first) && !is_ready(&mut second), "nobody waits");
    let mut waiting = pin!(three.admitted());
    assert!(!is_ready(&mut waiting));
    assert!(is_ready(&mut first) && !is_ready(&mut second), "the one that was idle first");
    assert!(is_ready(&mut waiting));
}

#[test]
fn a_slow_connection_gives_way_if_none_is_idle_and_a_busy_one_never_does() {
    let slots = Slots::new(2);
    let [works, slow, waits] = [slots.take(), slots.take(), slots.take()];
    let spare = slots.take();
    spare.listens();
    assert!(is_ready(&mut pin!(works.admitted())) && is_ready(&mut pin!(slow.admitted())));
    let mut waiting = pin!(waits.admitted());
    assert!(!is_ready(&mut waiting));
    let mut yielding = pin!(slow.wanted(Usage::Slow));
    assert!(is_ready(&mut yielding));
}

#[test]
fn a_request_that_comes_after_all_makes_another_give_way() {
    let slots = Slots::new(2);
    let [one, two, three] = [slots.take(), slots.take(), slots.take()];
    let spare = slots.take();
    spare.listens();
    assert!(is_ready(&mut pin!(one.admitted())) && is_ready(&mut pin!(two.admitted())));
    let mut second = pin!(two.wanted(Usage::Idle));
    {
        let mut first = pin!(one.wanted(Usage::Idle));
        assert!(!is_ready(&mut first) && !is_ready(&mut second));
        let mut waiting = pin!(three.admitted());
        assert!(!is_ready(&mut waiting));
        // The first was asked, and is dropped here with the queue: its peer has asked for something.
    }
    let mut waiting = pin!(three.admitted());
    assert!(!is_ready(&mut waiting) && is_ready(&mut second));
}

#[test]
fn the_oldest_of_many_half_open_connections_gives_way_when_nothing_listens() {
    let slots = Slots::new(2);
    let all: Vec<_> = (0..SPARED + 1).map(|_| slots.take()).collect();
    let last = slots.take();
    last.listens();
    let mut opening: Vec<_> = all.iter().map(|slot| Box::pin(slot.wanted(Usage::HalfOpen))).collect();
    assert!(opening.iter_mut().all(|one| !is_ready(&mut one.as_mut())), "one listens");
    let mut newest = pin!(last.wanted(Usage::HalfOpen));
    assert!(!is_ready(&mut newest));
    let yields: Vec<bool> = opening.iter_mut().map(|one| is_ready(&mut one.as_mut())).collect();
    assert_eq!(yields, [true, false, false, false, false]);
}

#[test]
fn few_half_open_connections_are_left_alone() {
    let slots = Slots::new(2);
    let all: Vec<_> = (0..SPARED).map(|_| slots.take()).collect();
    let mut opening: Vec<_> = all.iter().map(|slot| Box::pin(slot.wanted(Usage::HalfOpen))).collect();
    for _ in 0..2 {
        assert!(opening.iter_mut().all(|one| !is_ready(&mut one.as_mut())));
    }
}

#[test]
fn a_connection_that_ends_gives_way_when_nothing_listens_nor_is_half_open() {
    let slots = Slots::new(1);
    let [one, two] = [slots.take(), slots.take()];
    two.listens();
    let mut closing = pin!(one.wanted(Usage::Closing));
    assert!(!is_ready(&mut closing));
    assert!(is_ready(&mut pin!(two.admitted())));
    assert!(is_ready(&mut closing));
}

#[test]
fn free_places_are_reused() {
    let slots = Slots::new(1);
    for _ in 0..100 {
        drop(slots.take());
    }
    assert_eq!((slots.table.borrow().entries.len(), slots.open()), (1, 0));
}

/// The state of each slot.
fn states(slots: &Slots) -> Vec<State> {
    slots.table.borrow().entries.iter().map(|entry| entry.state).collect()
}

#[test]
fn no_more_sockets_listen_than_are_enough_and_another_one_does_for_each_that_is_taken() {
    let slots = Slots::new(2 * LISTENING);
    let all: Vec<_> = (0..LISTENING + 2).map(|_| slots.take()).collect();
    let mut resting: Vec<_> = all.iter().map(|slot| Box::pin(slot.rest())).collect();
    let called: Vec<_> = resting.iter_mut().map(|one| is_ready(&mut one.as_mut())).collect();
    // Who is about to listen counts, and all are in the beginning: the first two come to rest.
    assert_eq!(called, [vec![false; 2], vec![true; LISTENING]].concat());
    all[2..].iter().for_each(Slot::listens);
    assert_eq!(states(&slots)[..2], [State::Resting; 2]);
    assert!(is_ready(&mut pin!(all[2].admitted())));
    assert!(
        !is_ready(&mut resting[0].as_mut()) && is_ready(&mut resting[1].as_mut()),
        "the last one's buffers"
    );
    assert_eq!(states(&slots)[..2], [State::Resting, State::Away]);
}

#[test]
fn twice_as_many_listen_once_all_were_taken_at_once() {
    let slots = Slots::new(4 * LISTENING);
    let all: Vec<_> = (0..3 * LISTENING).map(|_| slots.take()).collect();
    let mut resting: Vec<_> = all.iter().map(|slot| Box::pin(slot.rest())).collect();
    let called: Vec<_> = resting.iter_mut().map(|one| is_ready(&mut one.as_mut())).collect();
    let (rest, listen) = called.split_at(2 * LISTENING);
    assert!(!rest.contains(&true) && !listen.contains(&false));
    all[2 * LISTENING..].iter().for_each(Slot::listens);
    for slot in &all[2 * LISTENING..] {
        assert!(is_ready(&mut pin!(slot.admitted())));
    }
    assert_eq!(states(&slots).iter().filter(|state| **state == State::Away).count(), 2 * LISTENING);
}
