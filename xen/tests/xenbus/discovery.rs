// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which devices there are, and when one begins again.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use xen::xenbus::{Bus, State, wait_for_restart};
use xen::xenstore::fake::{Fault, Xenstored, page};
use xen::xenstore::{Client, Error};

const CLASS: &str = "/local/domain/1/device/vbd";
const FRONTEND: &str = "/local/domain/1/device/vbd/51712";
const BACKEND: &str = "/local/domain/3/backend/vbd/1/51712";
const PAUSE: Duration = Duration::from_secs(2);

fn connected() -> (Xenstored, Client) {
    let xenstored = Xenstored::new(page());
    let client = Client::new(xenstored.page());
    (xenstored, client)
}

fn set(xenstored: &Xenstored, side: &str, state: State) {
    xenstored.write(&format!("{side}/state"), state.number().to_string());
}

/// A device that was left, and its backend.
fn left() -> (Xenstored, Client) {
    let (xenstored, client) = connected();
    set(&xenstored, FRONTEND, State::Closed);
    set(&xenstored, BACKEND, State::Closed);
    (xenstored, client)
}

fn never(_: Duration) -> impl Future<Output = ()> + Send {
    pending()
}

/// What is found after `happens`; panics if nothing is.
fn found((xenstored, client): (Xenstored, Client), happens: impl Fn(&Xenstored)) -> Result<bool, Error> {
    let mut waits = Box::pin(wait_for_restart(&client, FRONTEND, Some(BACKEND), &never, PAUSE, |_, _| ()));
    assert!(xenstored.run_until_idle(&client, &mut waits).is_none(), "it has not begun again");
    happens(&xenstored);
    xenstored.run(&client, waits)
}

#[test]
fn devices_are_listed_by_number_and_what_is_no_number_is_none() {
    let (xenstored, client) = connected();
    for name in ["51728", "768", "0", "9", "x", "0768", "-1", "4294967296", "4294967295"] {
        xenstored.write(&format!("{CLASS}/{name}/state"), "1");
    }
    let mut bus = xenstored.run(&client, Bus::watch(&client, "vbd")).unwrap();
    assert_eq!(next(&xenstored, &client, &mut bus), Some(Ok(vec![0, 9, 768, 51728, u32::MAX])));
}

/// The next list of devices; `None` if there is no change.
fn next(xenstored: &Xenstored, client: &Client, bus: &mut Bus) -> Option<Result<Vec<u32>, Error>> {
    xenstored.run_until_idle(client, &mut Box::pin(bus.next()))
}

#[test]
fn a_class_without_a_directory_has_no_devices_and_one_that_cannot_be_read_is_an_error() {
    let (xenstored, client) = connected();
    let mut bus = xenstored.run(&client, Bus::watch(&client, "vbd")).unwrap();
    assert_eq!(next(&xenstored, &client, &mut bus), Some(Ok(vec![])));
    xenstored.write(&format!("{FRONTEND}/state"), "1");
    xenstored.inject(Fault::Refuse("EACCES"));
    assert!(next(&xenstored, &client, &mut bus).unwrap().is_err());
}

#[test]
fn devices_that_come_and_go_are_told_of_and_what_drivers_write_is_not() {
    let (xenstored, client) = connected();
    let mut bus = xenstored.run(&client, Bus::watch(&client, "vbd")).unwrap();
    let mut all = || {
        let mut last = None;
        while let Some(devices) = next(&xenstored, &client, &mut bus) {
            last = Some(devices.unwrap());
        }
        last
    };
    assert_eq!(all(), Some(vec![]));
    set(&xenstored, FRONTEND, State::Initialising);
    assert_eq!(all(), Some(vec![51712]), "made by the first node in it");
    for key in ["ring-ref", "state", "deep/er", "backend"] {
        xenstored.write(&format!("{FRONTEND}/{key}"), "8");
    }
    assert_eq!(all(), None);
    xenstored.write(&format!("{CLASS}/51728"), "");
    assert_eq!(all(), Some(vec![51712, 51728]));
    xenstored.remove(FRONTEND);
    assert_eq!(all(), Some(vec![51728]));
    set(&xenstored, FRONTEND, State::Initialising);
    assert_eq!(all(), Some(vec![51712, 51728]), "the same number again");
    for key in 0..40 {
        xenstored.write(&format!("{FRONTEND}/{key}"), "0");
    }
    xenstored.write(&format!("{CLASS}/768/state"), "1");
    assert_eq!(all(), Some(vec![768, 51712, 51728]), "in a flood");
}

#[test]
fn a_device_begins_again_when_either_side_is_made_anew() {
    assert_eq!(found(left(), |xenstored| set(xenstored, FRONTEND, State::Initialising)), Ok(true));
    assert_eq!(found(left(), |xenstored| set(xenstored, BACKEND, State::InitWait)), Ok(true));
}

#[test]
fn a_device_that_is_taken_away_does_not_begin_again() {
    assert_eq!(found(left(), |xenstored| xenstored.remove(FRONTEND)), Ok(false));
    let both = |xenstored: &Xenstored| {
        set(xenstored, BACKEND, State::InitWait);
        xenstored.remove(FRONTEND);
    };
    assert_eq!(found(left(), both), Ok(false), "though its backend waits");
}

#[test]
fn what_has_begun_already_is_not_waited_for() {
    let (xenstored, client) = left();
    set(&xenstored, BACKEND, State::InitWait);
    let anew = wait_for_restart(&client, FRONTEND, Some(BACKEND), &never, PAUSE, |_, _| ());
    assert_eq!(xenstored.run(&client, anew), Ok(true));
    let nowhere = wait_for_restart(&client, "device/nowhere", None, &never, PAUSE, |_, _| ());
    assert_eq!(xenstored.run(&client, nowhere), Ok(false));
}

#[test]
fn a_device_whose_keys_are_still_to_be_written_begins_when_they_are() {
    let (xenstored, client) = left();
    xenstored.remove(&format!("{FRONTEND}/state"));
    let mut waits = Box::pin(wait_for_restart(&client, FRONTEND, None, &never, PAUSE, |_, _| ()));
    assert!(xenstored.run_until_idle(&client, &mut waits).is_none(), "there is a directory");
    set(&xenstored, FRONTEND, State::Initialising);
    assert_eq!(xenstored.run(&client, waits), Ok(true));
}

#[test]
fn other_states_and_a_backend_that_is_gone_are_waited_through() {
    let (xenstored, client) = left();
    let mut waits = Box::pin(wait_for_restart(&client, FRONTEND, Some(BACKEND), &never, PAUSE, |_, _| ()));
    for state in [State::Initialising, State::Initialised, State::Connected, State::Closing] {
        set(&xenstored, BACKEND, state);
        assert!(xenstored.run_until_idle(&client, &mut waits).is_none(), "{state:?}");
    }
    xenstored.remove(BACKEND);
    set(&xenstored, FRONTEND, State::InitWait);
    assert!(xenstored.run_until_idle(&client, &mut waits).is_none());
    set(&xenstored, BACKEND, State::InitWait);
    assert_eq!(xenstored.run(&client, waits), Ok(true));
}

#[test]
fn a_device_without_a_backend_is_looked_at_alone() {
    let (xenstored, client) = left();
    let watched = |_| -> std::future::Ready<()> { panic!("it is watched") };
    let mut waits = Box::pin(wait_for_restart(&client, FRONTEND, None, &watched, PAUSE, |_, _| ()));
    set(&xenstored, BACKEND, State::InitWait);
    assert!(xenstored.run_until_idle(&client, &mut waits).is_none());
    assert_eq!(xenstored.watches().len(), 1);
    set(&xenstored, FRONTEND, State::Initialising);
    assert_eq!(xenstored.run(&client, waits), Ok(true));
}

/// How often is looked at a device, of whose watches `refuse` has some refused, until `side` changes.
fn looks(refuse: impl Fn(&Xenstored, &Client, &mut dyn FnMut()), side: &str, state: State) -> u32 {
    let (xenstored, client) = left();
    let (looks, reported) = (AtomicU32::new(0), RefCell::new(vec![]));
    let delay = |time| {
        assert_eq!(time, 10 * PAUSE);
        match looks.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => {}
            2 => set(&xenstored, side, state),
            _ => panic!("it has changed"),
        }
        futures::future::ready(())
    };
    let report = |path: &str, _| reported.borrow_mut().push(path.to_owned());
    let mut anew = Box::pin(wait_for_restart(&client, FRONTEND, Some(BACKEND), &delay, PAUSE, report));
    refuse(&xenstored, &client, &mut || {
        assert!(anew.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    assert_eq!(xenstored.run(&client, anew), Ok(true));
    assert_eq!(reported.borrow().len(), 1);
    looks.into_inner()
}

#[test]
fn where_there_are_no_more_watches_it_is_looked_now_and_then() {
    let first = |xenstored: &Xenstored, _: &Client, _: &mut dyn FnMut()| {
        xenstored.inject(Fault::Refuse("EQUOTA"));
    };
    assert_eq!(looks(first, FRONTEND, State::Initialising), 3);
    assert_eq!(looks(first, BACKEND, State::InitWait), 3);
    let second = |xenstored: &Xenstored, client: &Client, poll: &mut dyn FnMut()| {
        poll();
        assert!(client.pump().notify);
        xenstored.notify();
        xenstored.inject(Fault::Refuse("EQUOTA"));
    };
    assert_eq!(looks(second, BACKEND, State::InitWait), 3);
}

#[test]
fn a_broken_connection_is_an_error() {
    for waits_first in [false, true] {
        let (xenstored, client) = left();
        let mut anew = Box::pin(wait_for_restart(&client, FRONTEND, Some(BACKEND), &never, PAUSE, |_, _| ()));
        if waits_first {
            assert!(xenstored.run_until_idle(&client, &mut anew).is_none());
            set(&xenstored, BACKEND, State::Connected);
        }
        xenstored.inject(Fault::Length(u32::MAX));
        assert!(matches!(xenstored.run(&client, anew), Err(Error::Disconnected(_))));
    }
}
