// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use xen::xenbus::State;
use xen::xenbus::backend::{Action, Event, Handshake, Phase};

use Action::{Connect, Offer, Release, Remove, Serve, Stop, Write};

const LET_GO: [Action; 3] = [Stop, Release, Write(State::Closed)];

/// The way to a working device, and what each event leads to.
const WAY: [(Event, Phase); 4] = [
    (Event::Start, Phase::Offering),
    (Event::Offered, Phase::Waiting),
    (Event::Frontend(State::Initialised), Phase::Connecting),
    (Event::Ready, Phase::Connected),
];

/// A handshake that went so far.
fn on_the_way(steps: usize) -> Handshake {
    let mut handshake = Handshake::new(State::Initialised);
    for (event, phase) in WAY.into_iter().take(steps) {
        assert!(!handshake.step(event).is_empty(), "{event:?}");
        assert_eq!(handshake.phase(), phase);
    }
    handshake
}

#[test]
fn the_usual_way_ends_connected() {
    let mut handshake = Handshake::new(State::Initialised);
    let done: Vec<_> = WAY.into_iter().flat_map(|(event, _)| handshake.step(event)).collect();
    assert_eq!(done, [Offer, Write(State::InitWait), Connect, Write(State::Connected), Serve]);
    assert!(handshake.step(Event::Frontend(State::Connected)).is_empty());
}

#[test]
fn a_frontend_that_has_published_before_we_offered_is_connected_to_at_once() {
    for state in [State::Initialised, State::Connected] {
        let mut handshake = on_the_way(1);
        assert!(handshake.step(Event::Frontend(state)).is_empty());
        assert_eq!(handshake.step(Event::Offered), [Write(State::InitWait), Connect]);
    }
}

#[test]
fn a_frontend_that_has_to_be_connected_is_not_connected_to_when_it_is_initialised() {
    let mut handshake = Handshake::new(State::Connected);
    handshake.step(Event::Start);
    handshake.step(Event::Offered);
    assert!(handshake.step(Event::Frontend(State::Initialised)).is_empty());
    assert_eq!(handshake.step(Event::Frontend(State::Connected)), [Connect]);
}

#[test]
fn a_frontend_that_has_let_go_leaves_nothing_shared() {
    let gone = [State::Closed, State::Unknown, State::Initialising, State::InitWait];
    for (steps, state) in [3, 4].into_iter().flat_map(|steps| gone.map(|state| (steps, state))) {
        let mut handshake = on_the_way(steps);
        assert_eq!(handshake.step(Event::Frontend(state)), LET_GO, "{state:?} after {steps} steps");
        assert_eq!(handshake.phase(), Phase::Closed);
    }
}

#[test]
fn before_it_has_published_a_frontend_may_be_in_any_state() {
    for state in [State::Unknown, State::Initialising, State::InitWait, State::Closing, State::Closed] {
        let mut handshake = on_the_way(2);
        assert!(handshake.step(Event::Frontend(state)).is_empty());
        assert_eq!(handshake.step(Event::Frontend(State::Initialised)), [Connect]);
    }
}

#[test]
fn a_frontend_that_is_closing_is_served_until_it_is_closed() {
    let mut handshake = on_the_way(4);
    assert_eq!(handshake.step(Event::Frontend(State::Closing)), [Write(State::Closing), Serve]);
    assert!(!handshake.is_limited(), "it may still be using the device");
    assert!(handshake.step(Event::Timeout).is_empty());
    assert_eq!(handshake.step(Event::Frontend(State::Closed)), LET_GO);
}

#[test]
fn a_closed_frontend_that_starts_again_is_served_after_a_rest_and_no_other() {
    let mut handshake = on_the_way(4);
    handshake.step(Event::Frontend(State::Closed));
    assert!(handshake.is_resting());
    assert!(handshake.step(Event::Frontend(State::Initialising)).is_empty());
    assert_eq!(handshake.step(Event::Rested), [Offer]);

    let mut handshake = on_the_way(4);
    handshake.step(Event::Frontend(State::Closed));
    assert!(handshake.step(Event::Rested).is_empty() && !handshake.is_resting());
    for state in [State::Initialised, State::Connected, State::Closing, State::Unknown] {
        assert!(handshake.step(Event::Frontend(state)).is_empty(), "{state:?}");
    }
    assert_eq!(handshake.step(Event::Frontend(State::Initialising)), [Offer]);
}

#[test]
fn a_device_that_the_toolstack_removes_is_served_until_the_frontend_has_let_go() {
    let mut handshake = on_the_way(4);
    assert_eq!(handshake.step(Event::Leave), [Write(State::Closing), Serve]);
    assert!(handshake.is_limited());
    assert!(handshake.step(Event::Frontend(State::Closing)).is_empty());
    assert_eq!(handshake.step(Event::Frontend(State::Closed)), [&LET_GO[..], &[Remove]].concat());
    assert_eq!(handshake.phase(), Phase::Removed);
}

#[test]
fn a_frontend_that_does_not_let_go_in_time_does_not_keep_the_toolstack_waiting() {
    let mut handshake = on_the_way(4);
    handshake.step(Event::Leave);
    assert_eq!(handshake.step(Event::Timeout), [&LET_GO[..], &[Remove]].concat());
}

#[test]
fn a_frontend_that_closes_has_a_limit_from_when_the_toolstack_wants_it() {
    let mut handshake = on_the_way(4);
    handshake.step(Event::Frontend(State::Closing));
    assert_eq!(handshake.step(Event::Leave), [Serve]);
    assert!(handshake.is_limited());
    assert!(handshake.step(Event::Leave).is_empty(), "it is told again, and has no more time for that");
    assert_eq!(handshake.step(Event::Timeout), [&LET_GO[..], &[Remove]].concat());
}

#[test]
fn a_device_that_the_toolstack_removes_before_it_works_is_removed_at_once() {
    for steps in 1..=2 {
        assert_eq!(on_the_way(steps).step(Event::Leave), [Write(State::Closed), Remove]);
    }
    assert_eq!(on_the_way(3).step(Event::Leave), [&LET_GO[..], &[Remove]].concat());
    let mut handshake = on_the_way(4);
    handshake.step(Event::Frontend(State::Closed));
    assert_eq!(handshake.step(Event::Leave), [Write(State::Closed), Remove]);
    let mut handshake = on_the_way(0);
    assert!(handshake.step(Event::Leave).is_empty());
    assert_eq!(handshake.step(Event::Start), [Write(State::Closed), Remove]);
}

#[test]
fn a_directory_that_is_gone_is_written_to_no_more() {
    for steps in 0..=2 {
        let mut handshake = on_the_way(steps);
        assert!(handshake.step(Event::Gone).is_empty());
        assert_eq!(handshake.phase(), Phase::Removed);
    }
    for steps in 3..=4 {
        assert_eq!(on_the_way(steps).step(Event::Gone), [Stop, Release]);
    }
}

#[test]
fn a_driver_that_fails_shares_nothing_and_waits_for_the_frontend_with_a_limit() {
    for steps in 3..=4 {
        let mut handshake = on_the_way(steps);
        assert_eq!(handshake.step(Event::Close), [Stop, Release, Write(State::Closing)]);
        assert!(handshake.is_limited());
        let mut silent = handshake;
        assert_eq!(silent.step(Event::Timeout), [Write(State::Closed)]);
        assert!(handshake.step(Event::Frontend(State::Closing)).is_empty());
        assert_eq!(handshake.step(Event::Frontend(State::Closed)), [Write(State::Closed)]);
    }
}

#[test]
fn a_driver_that_fails_while_the_frontend_closes_shares_nothing_either() {
    let mut handshake = on_the_way(4);
    handshake.step(Event::Frontend(State::Closing));
    assert_eq!(handshake.step(Event::Close), [Stop, Release]);
    assert!(handshake.is_limited());
    assert_eq!(handshake.step(Event::Timeout), [Write(State::Closed)]);
}

#[test]
fn what_cannot_be_offered_is_closed_and_tried_again_after_a_rest() {
    for event in [Event::Close, Event::Timeout] {
        let mut handshake = on_the_way(1);
        handshake.step(Event::Frontend(State::Initialising));
        assert_eq!(handshake.step(event), [Write(State::Closing), Write(State::Closed)]);
        assert_eq!(handshake.step(Event::Rested), [Offer]);
    }
}

#[test]
fn a_device_that_changes_is_told_of_and_served_on() {
    let mut handshake = on_the_way(4);
    assert_eq!(handshake.step(Event::Changed), [Write(State::Connected), Serve]);
    assert_eq!(handshake.phase(), Phase::Connected);
    handshake.step(Event::Frontend(State::Closing));
    assert_eq!(handshake.step(Event::Changed), [Serve], "and nothing else, while it closes");
}

#[test]
fn only_what_has_to_end_is_limited() {
    assert!([1, 3].iter().all(|steps| on_the_way(*steps).is_limited()));
    assert!(![0, 2, 4].iter().any(|steps| on_the_way(*steps).is_limited()));
    assert!(on_the_way(4).step(Event::Timeout).is_empty());
}

#[test]
fn reconfiguration_is_not_a_disconnection() {
    let mut handshake = on_the_way(4);
    assert!(handshake.step(Event::Frontend(State::Reconfiguring)).is_empty());
    assert!(handshake.step(Event::Frontend(State::Reconfigured)).is_empty());
}

fn states() -> impl Strategy<Value = State> {
    (0..=8u32).prop_map(|number| State::from_number(number).unwrap())
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => states().prop_map(Event::Frontend),
        3 => prop::sample::select(vec![Event::Offered, Event::Ready, Event::Rested, Event::Changed]),
        1 => prop::sample::select(vec![Event::Start, Event::Close, Event::Timeout]),
    ]
}

/// What a driver has going, and what stands in xenstore.
#[derive(Default)]
struct Driver {
    shared: bool,
    stopped: bool,
    state: Option<State>,
    removed: bool,
}

impl Driver {
    fn perform(&mut self, action: Action) {
        assert!(!self.removed, "{action:?} after the end");
        match action {
            Offer => assert!(!self.shared, "offered while shared"),
            Connect => {
                assert!(!self.shared && self.state == Some(State::InitWait), "connected twice, or too soon");
                (self.shared, self.stopped) = (true, false);
            }
            Serve => assert!(self.shared && !self.stopped),
            Stop => assert!(self.shared && !core::mem::replace(&mut self.stopped, true)),
            Release => assert!(core::mem::take(&mut self.shared) && self.stopped),
            Write(state) => {
                assert!(!self.shared || state != State::Closed, "closed while shared");
                assert!(self.shared || state != State::Connected);
                self.state = Some(state);
            }
            Remove => {
                assert!(!self.shared && self.state == Some(State::Closed));
                self.removed = true;
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_done_twice_or_left_behind(
        events in prop::collection::vec(events(), 0..60),
        published in prop::sample::select(vec![State::Initialised, State::Connected]),
        end in prop::sample::select(vec![Event::Leave, Event::Gone]),
    ) {
        let mut handshake = Handshake::new(published);
        let mut driver = Driver::default();
        for event in std::iter::once(Event::Start).chain(events) {
            let before = handshake.phase();
            let actions = handshake.step(event);
            prop_assert!(!actions.is_empty() || before == handshake.phase());
            actions.into_iter().for_each(|action| driver.perform(action));
            let shared = matches!(handshake.phase(), Phase::Connecting | Phase::Connected);
            prop_assert!(driver.shared == shared || handshake.phase() == Phase::Closing);
        }
        // From wherever it is, the toolstack's wish and a timeout lead to the end.
        for event in [end, Event::Timeout] {
            handshake.step(event).into_iter().for_each(|action| driver.perform(action));
        }
        prop_assert_eq!(handshake.phase(), Phase::Removed);
        prop_assert!(!driver.shared && driver.removed == (end == Event::Leave));
    }
}
