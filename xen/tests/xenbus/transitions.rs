// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use xen::xenbus::{Action, Event, Handshake, Phase, State};

use Action::{Connect, Publish, Release, Serve, Stop, Write};

const CLOSE: [Action; 3] = [Stop, Write(State::Closing), Write(State::Closed)];

/// A handshake that went through these events.
fn after(events: &[Event]) -> Handshake {
    let mut handshake = Handshake::new(State::Initialising, State::Initialising);
    for event in events {
        assert!(!handshake.step(*event).is_empty(), "{event:?} has no effect in {:?}", handshake.phase());
    }
    handshake
}

/// The way to a working device, and what each event leads to.
const WAY: [(Event, Phase); 5] = [
    (Event::Start, Phase::Waiting),
    (Event::Backend(State::InitWait), Phase::Publishing),
    (Event::Published, Phase::Published),
    (Event::Backend(State::Connected), Phase::Connecting),
    (Event::Ready, Phase::Connected),
];

fn on_the_way(steps: usize) -> Handshake {
    let events: Vec<_> = WAY.iter().take(steps).map(|(event, _)| *event).collect();
    after(&events)
}

#[test]
fn the_usual_way_ends_connected() {
    let mut handshake = Handshake::new(State::Initialising, State::Initialising);
    let mut done = Vec::new();
    for (event, phase) in WAY {
        done.extend(handshake.step(event));
        assert_eq!(handshake.phase(), phase);
    }
    let expected = [
        Write(State::Initialising),
        Publish,
        Write(State::Initialised),
        Connect,
        Write(State::Connected),
        Serve,
    ];
    assert_eq!(done, expected);
}

#[test]
fn a_backend_may_skip_states() {
    for skipped_to in [State::Initialised, State::Connected] {
        let mut handshake = on_the_way(1);
        assert_eq!(handshake.step(Event::Backend(skipped_to)), [Publish]);
    }
    let mut handshake = on_the_way(1);
    handshake.step(Event::Backend(State::Connected));
    assert_eq!(handshake.step(Event::Published), [Write(State::Initialised), Connect]);
}

#[test]
fn a_backend_that_comes_late_while_we_publish_is_not_forgotten() {
    let mut handshake = on_the_way(2);
    assert!(handshake.step(Event::Backend(State::Connected)).is_empty());
    assert_eq!(handshake.step(Event::Published), [Write(State::Initialised), Connect]);
}

#[test]
fn a_backend_that_closes_at_any_step_is_followed() {
    for steps in 2..=5 {
        let mut handshake = on_the_way(steps);
        assert_eq!(handshake.step(Event::Backend(State::Closing)), CLOSE, "after {steps} steps");
        assert_eq!(handshake.step(Event::Backend(State::Closed)), [Release]);
        assert_eq!(handshake.phase(), Phase::Closed);
    }
}

#[test]
fn a_backend_that_vanishes_or_starts_again_has_let_go_at_each_step() {
    for (steps, state) in (4..=5).flat_map(|steps| {
        [State::Unknown, State::Closed, State::Initialising, State::InitWait].map(|state| (steps, state))
    }) {
        let mut handshake = on_the_way(steps);
        let expected = [&CLOSE[..], &[Release]].concat();
        assert_eq!(handshake.step(Event::Backend(state)), expected, "{state:?} after {steps} steps");
        assert_eq!(handshake.phase(), Phase::Closed);
    }
}

#[test]
fn a_backend_that_vanishes_before_anything_was_shared_has_nothing_to_release() {
    let mut handshake = on_the_way(1);
    assert_eq!(handshake.step(Event::Backend(State::Unknown)), [Write(State::Closed)]);
}

#[test]
fn a_closing_backend_is_waited_for_before_anything_was_shared() {
    let mut handshake = on_the_way(1);
    assert!(handshake.step(Event::Backend(State::Closing)).is_empty());
    assert!(handshake.step(Event::Backend(State::Closed)).is_empty());
    assert_eq!(handshake.step(Event::Backend(State::InitWait)), [Publish]);
}

#[test]
fn waiting_too_long_ends_each_phase_but_the_lasting_ones() {
    assert_eq!(on_the_way(1).step(Event::Timeout), [Write(State::Closed)]);
    assert_eq!(on_the_way(2).step(Event::Timeout), [&CLOSE[..], &[Release]].concat());
    assert_eq!(on_the_way(3).step(Event::Timeout), [&CLOSE[..], &[Release]].concat());
    assert_eq!(on_the_way(4).step(Event::Timeout), CLOSE);
    assert!(on_the_way(5).step(Event::Timeout).is_empty());
    assert!((1..=4).all(|steps| on_the_way(steps).is_limited()) && !on_the_way(5).is_limited());
}

#[test]
fn a_backend_that_never_lets_go_is_not_waited_for_ever() {
    let mut handshake = on_the_way(5);
    assert_eq!(handshake.step(Event::Close), CLOSE);
    assert!(handshake.step(Event::Backend(State::Connected)).is_empty());
    assert_eq!(handshake.step(Event::Timeout), [Release]);
}

#[test]
fn what_a_former_life_left_is_closed_first() {
    for found in [State::InitWait, State::Initialised, State::Connected, State::Closing] {
        let mut handshake = Handshake::new(found, State::Connected);
        assert_eq!(handshake.step(Event::Start), [Write(State::Closed)]);
        assert_eq!(handshake.phase(), Phase::Resetting);
        assert_eq!(handshake.step(Event::Backend(State::Closed)), [Write(State::Initialising)]);
        assert_eq!(handshake.step(Event::Backend(State::InitWait)), [Publish]);
    }
}

#[test]
fn a_closed_device_can_be_tried_again() {
    let mut handshake = on_the_way(5);
    handshake.step(Event::Backend(State::Closed));
    assert!(handshake.step(Event::Backend(State::InitWait)).is_empty());
    assert_eq!(handshake.step(Event::Retry), [Write(State::Initialising), Publish]);
}

#[test]
fn a_backend_that_has_not_let_go_is_not_taken_for_a_new_one() {
    let mut handshake = on_the_way(5);
    handshake.step(Event::Close);
    assert_eq!(handshake.step(Event::Timeout), [Release]);
    assert_eq!(handshake.step(Event::Retry), [Write(State::Closed)]);
    assert_eq!(handshake.phase(), Phase::Resetting);
    assert_eq!(handshake.step(Event::Backend(State::InitWait)), [Write(State::Initialising), Publish]);
    assert_eq!(Handshake::new(State::Closed, State::Connected).step(Event::Start), [Write(State::Closed)]);
}

#[test]
fn reconfiguration_is_not_a_disconnection() {
    let mut handshake = on_the_way(5);
    assert!(handshake.step(Event::Backend(State::Reconfiguring)).is_empty());
    assert!(handshake.step(Event::Backend(State::Reconfigured)).is_empty());
    assert!(handshake.step(Event::Backend(State::Connected)).is_empty());
}

fn states() -> impl Strategy<Value = State> {
    (0..=8u32).prop_map(|number| State::from_number(number).unwrap())
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => states().prop_map(Event::Backend),
        1 => prop::sample::select(vec![
            Event::Start, Event::Published, Event::Ready, Event::Close, Event::Timeout, Event::Retry,
        ]),
        3 => prop::sample::select(vec![Event::Published, Event::Ready]),
    ]
}

/// What a driver has going.
#[derive(Default)]
struct Driver {
    shared: bool,
    connected: bool,
    stopped: bool,
}

impl Driver {
    fn perform(&mut self, action: Action) {
        match action {
            Publish => {
                assert!(!self.shared, "published twice");
                *self = Self { shared: true, ..Self::default() };
            }
            Connect => assert!(self.shared && !self.stopped),
            Serve => self.connected = true,
            Stop => {
                assert!(self.shared && !self.stopped, "stopped twice, or for nothing");
                (self.stopped, self.connected) = (true, false);
            }
            Release => {
                assert!(self.shared && self.stopped, "released twice, or in use");
                self.shared = false;
            }
            Write(State::Initialised | State::Connected) => assert!(self.shared && !self.stopped),
            Write(_) => assert!(!self.connected),
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_done_twice_or_left_behind(
        found in states(),
        backend in states(),
        events in prop::collection::vec(events(), 0..60),
    ) {
        let mut handshake = Handshake::new(found, backend);
        let mut driver = Driver::default();
        for event in std::iter::once(Event::Start).chain(events) {
            let before = handshake.phase();
            let actions = handshake.step(event);
            prop_assert!(!actions.is_empty() || before == handshake.phase());
            actions.into_iter().for_each(|action| driver.perform(action));
            prop_assert_eq!(driver.connected, handshake.phase() == Phase::Connected);
        }
        // From wherever it is, two timeouts after a wish to stop lead to the end.
        for event in [Event::Close, Event::Timeout, Event::Timeout] {
            handshake.step(event).into_iter().for_each(|action| driver.perform(action));
        }
        prop_assert_eq!(handshake.phase(), Phase::Closed);
        prop_assert!(!driver.shared);
    }
}
