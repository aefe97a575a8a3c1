// SPDX-License-Identifier: MIT OR Apache-2.0
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::{Either, join, select};
use xen::DomainId;
use xen::xenbus::backend::{Backend, Device, Ended, Failure, Nodes, Served, run};
use xen::xenbus::{self, Frontend, State, StepLimit};
use xen::xenstore::fake::{Fault, Settings, Xenstored, page};
use xen::xenstore::{Client, Disconnect, Error};

use crate::handshake::yield_now;

/// This domain is 1 and the frontend's 7.
const BACKEND: &str = "/local/domain/1/backend/vbd/7/51712";
const FRONTEND: &str = "/local/domain/7/device/vbd/51712";
const OWN: &str = "backend/vbd/7/51712";
const LIMIT: Duration = Duration::from_secs(8);

/// What a toolstack makes for a device.
fn add_device(xenstored: &Xenstored) {
    for (key, value) in [("frontend", FRONTEND), ("frontend-id", "7"), ("online", "1"), ("state", "1")] {
        xenstored.write(&format!("{BACKEND}/{key}"), value);
    }
    for path in ["", "/frontend", "/frontend-id", "/online", "/state"] {
        xenstored.give(&format!("{BACKEND}{path}"), 1);
    }
    frontend(xenstored, State::Initialising);
}

fn device() -> (Xenstored, Client) {
    device_with(Settings::default())
}

fn device_with(settings: Settings) -> (Xenstored, Client) {
    let xenstored = Xenstored::with(page(), settings);
    add_device(&xenstored);
    let client = Client::new(xenstored.page());
    (xenstored, client)
}

fn frontend(xenstored: &Xenstored, state: State) {
    xenstored.write(&format!("{FRONTEND}/state"), state.number().to_string());
}

/// As `libxl` does it.
fn remove(xenstored: &Xenstored) {
    xenstored.write(&format!("{BACKEND}/online"), "0");
    xenstored.write(&format!("{BACKEND}/state"), "5");
}

fn text(xenstored: &Xenstored, key: &str) -> Option<String> {
    xenstored.read(&format!("{BACKEND}/{key}")).map(|value| String::from_utf8(value).unwrap())
}

/// Lets everybody else go on, for long enough.
async fn a_while() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Waits until the backend has written its state.
async fn until(xenstored: &Xenstored, state: State) {
    for _ in 0..10_000 {
        if text(xenstored, "state") == Some(state.number().to_string()) {
            return;
        }
        yield_now().await;
    }
    panic!("the backend is {:?}, not {state:?}", text(xenstored, "state"));
}

async fn until_removed(xenstored: &Xenstored) {
    for _ in 0..10_000 {
        if text(xenstored, "state").is_none() {
            return;
        }
        yield_now().await;
    }
    panic!("the backend's directory is still there, its state is {:?}", text(xenstored, "state"));
}

/// A clock whose limits never pass, and whose rests take no time.
async fn never_expires(time: Duration) {
    if time < LIMIT { yield_now().await } else { std::future::pending().await }
}

/// A clock whose limits pass after a while.
async fn expires(time: Duration) {
    match time {
        LIMIT => a_while().await,
        time if time < LIMIT => yield_now().await,
        _ => std::future::pending().await,
    }
}

#[derive(Clone, Copy)]
enum Step {
    Fine,
    Fails,
    Hangs,
}

impl Step {
    async fn take(self) -> Result<(), Error> {
        match self {
            Self::Fine => Ok(()),
            Self::Fails => Err(Error::Changing),
            Self::Hangs => std::future::pending().await,
        }
    }
}

/// A driver that notes what it is told to do.
struct Disk<'a> {
    log: &'a Mutex<Vec<&'static str>>,
    steps: [Step; 3],
    /// Sectors that it comes to have, the last first.
    grows: Vec<&'static str>,
    failures: Vec<String>,
}

const WORKS: [Step; 3] = [Step::Fine, Step::Fine, Step::Hangs];

impl<'a> Disk<'a> {
    fn new(log: &'a Mutex<Vec<&'static str>>, steps: [Step; 3]) -> Self {
        Self { log, steps, grows: Vec::new(), failures: Vec::new() }
    }

    fn log(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

impl Backend for Disk<'_> {
    type Error = Error;

    async fn offer(&mut self, device: &Device) -> Result<Nodes, Error> {
        self.log("offer");
        assert_eq!((device.frontend(), device.frontend_id()), (FRONTEND, DomainId(7)));
        self.steps[0].take().await?;
        Ok(vec![("feature-flush-cache", "1".into())])
    }

    async fn connect(&mut self, device: &Device) -> Result<Nodes, Error> {
        self.log("connect");
        self.steps[1].take().await?;
        device.read("ring-ref").await?.map_or(Ok(0), |reference| reference.word())?;
        Ok(vec![("sectors", "2048".into()), ("sector-size", "512".into())])
    }

    async fn serve(&mut self) -> Result<Served, Error> {
        self.log("serve");
        if let Some(sectors) = self.grows.pop() {
            a_while().await;
            return Ok(Served::Changed(vec![("sectors", sectors.into())]));
        }
        self.steps[2].take().await.map(|()| Served::Enough)
    }

    fn stop(&mut self) {
        self.log("stop");
    }

    async fn release(&mut self) {
        self.log("release");
        a_while().await;
        self.log("released");
    }

    fn failed(&mut self, failure: &Failure<Error>) {
        self.failures.push(failure.to_string());
    }
}

/// What became of a driver.
struct Played {
    ended: Ended,
    log: Vec<&'static str>,
    failures: Vec<String>,
}

/// Runs a driver with a frontend and a toolstack that follow `script`.
fn play<C, W>(
    (xenstored, client): &(Xenstored, Client),
    steps: [Step; 3],
    clock: C,
    script: impl Future<Output = ()>,
) -> Played
where
    C: Fn(Duration) -> W + Sync,
    W: Future<Output = ()> + Send,
{
    let log = Mutex::new(Vec::new());
    let mut disk = Disk::new(&log, steps);
    let driver = async {
        let device = Device::open(client, OWN).await.unwrap();
        run(&device, &mut disk, &clock, LIMIT).await
    };
    let (ended, ()) = xenstored.run(client, join(driver, script));
    let failures = disk.failures;
    Played { ended, log: log.into_inner().unwrap(), failures }
}

const ONCE: [&str; 6] = ["offer", "connect", "serve", "stop", "release", "released"];

/// A frontend that connects.
async fn connect(xenstored: &Xenstored) {
    until(xenstored, State::InitWait).await;
    assert_eq!(text(xenstored, "feature-flush-cache").as_deref(), Some("1"));
    frontend(xenstored, State::Initialised);
    until(xenstored, State::Connected).await;
    assert_eq!(text(xenstored, "sectors").as_deref(), Some("2048"));
    frontend(xenstored, State::Connected);
    a_while().await;
}

#[test]
fn a_device_connects_works_and_is_detached_as_the_toolstack_expects() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        connect(xenstored).await;
        remove(xenstored);
        a_while().await;
        assert_eq!(text(xenstored, "state").as_deref(), Some("5"), "the frontend is using it");
        frontend(xenstored, State::Closing);
        a_while().await;
        frontend(xenstored, State::Closed);
        until(xenstored, State::Closed).await;
        until_removed(xenstored).await;
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(played.log, ["offer", "connect", "serve", "serve", "stop", "release", "released"]);
    assert!(played.failures.is_empty());
    assert_eq!(xenstored.read(BACKEND), None);
}

#[test]
fn the_frontend_is_told_that_the_device_is_closed_only_when_it_is_released() {
    let guest = device();
    let xenstored = &guest.0;
    let log = Mutex::new(Vec::new());
    let mut disk = Disk::new(&log, WORKS);
    let driver = async {
        let device = Device::open(&guest.1, OWN).await.unwrap();
        run(&device, &mut disk, &never_expires, LIMIT).await
    };
    let script = async {
        connect(xenstored).await;
        frontend(xenstored, State::Closed);
        until(xenstored, State::Closed).await;
        assert!(log.lock().unwrap().contains(&"released"));
        remove(xenstored);
    };
    assert_eq!(xenstored.run(&guest.1, join(driver, script)).0, Ended::Removed);
}

#[test]
fn a_frontend_that_never_lets_go_does_not_keep_the_toolstack_waiting() {
    for state in [State::Connected, State::Closing, State::Initialised] {
        let guest = device();
        let xenstored = &guest.0;
        let played = play(&guest, WORKS, expires, async {
            connect(xenstored).await;
            remove(xenstored);
            frontend(xenstored, state);
            until(xenstored, State::Closed).await;
            until_removed(xenstored).await;
        });
        assert_eq!(played.ended, Ended::Removed);
        assert!(played.log.ends_with(&["stop", "release", "released"]));
    }
}

#[test]
fn the_directory_stays_for_a_while_after_it_is_closed_so_that_the_toolstack_sees_it() {
    let guest = device();
    let xenstored = &guest.0;
    let pauses = Mutex::new(Vec::new());
    let clock = |time: Duration| {
        if time == Duration::from_secs(2) {
            pauses.lock().unwrap().push(text(xenstored, "state"));
        }
        never_expires(time)
    };
    let played = play(&guest, WORKS, clock, async {
        until(xenstored, State::InitWait).await;
        remove(xenstored);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(*pauses.lock().unwrap(), [Some("6".to_owned())]);
}

#[test]
fn a_device_that_is_made_anew_meanwhile_is_not_removed() {
    let guest = device();
    let xenstored = &guest.0;
    let clock = |time: Duration| {
        if time == Duration::from_secs(2) {
            xenstored.remove(BACKEND);
            add_device(xenstored);
        }
        never_expires(time)
    };
    let played = play(&guest, WORKS, clock, async {
        until(xenstored, State::InitWait).await;
        remove(xenstored);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(text(xenstored, "state").as_deref(), Some("1"), "the new one's");
}

#[test]
fn the_directory_of_a_guest_goes_with_its_last_device_if_it_is_ours() {
    for ours in [false, true] {
        let guest = device();
        let xenstored = &guest.0;
        if ours {
            xenstored.give("/local/domain/1/backend/vbd/7", 1);
        }
        play(&guest, WORKS, never_expires, async { remove(xenstored) });
        assert_eq!(xenstored.read(BACKEND), None);
        assert_eq!(xenstored.read("/local/domain/1/backend/vbd/7").is_none(), ours);
    }
    let guest = device();
    let xenstored = &guest.0;
    xenstored.give("/local/domain/1/backend/vbd/7", 1);
    xenstored.write("/local/domain/1/backend/vbd/7/51728/state", "1");
    play(&guest, WORKS, never_expires, async { remove(xenstored) });
    assert!(xenstored.read("/local/domain/1/backend/vbd/7/51728/state").is_some());
}

#[test]
fn a_directory_that_vanishes_at_any_step_ends_the_device_and_stays_away() {
    for step in [State::Initialising, State::InitWait, State::Connected] {
        let guest = device();
        let xenstored = &guest.0;
        let offer = if step == State::Initialising { Step::Hangs } else { Step::Fine };
        let played = play(&guest, [offer, Step::Fine, Step::Hangs], never_expires, async {
            if step == State::Connected {
                connect(xenstored).await;
            } else {
                until(xenstored, step).await;
            }
            a_while().await;
            xenstored.remove("/local/domain/1/backend/vbd/7");
        });
        assert_eq!(played.ended, Ended::Removed, "{step:?}");
        let count = |what| played.log.iter().filter(|entry| **entry == what).count();
        assert_eq!((count("connect"), count("stop")), (count("released"), count("released")));
        assert_eq!(xenstored.read(BACKEND), None);
    }
}

#[test]
fn a_directory_that_vanishes_while_the_device_is_released_is_not_brought_back() {
    let guest = device();
    let xenstored = &guest.0;
    // Nothing but us keeps it from coming back.
    xenstored.give("/local/domain/1/backend/vbd", 1);
    let log = Mutex::new(Vec::new());
    let mut disk = Disk::new(&log, WORKS);
    let driver = async {
        let device = Device::open(&guest.1, OWN).await.unwrap();
        run(&device, &mut disk, &never_expires, LIMIT).await
    };
    let script = async {
        connect(xenstored).await;
        frontend(xenstored, State::Closed);
        while log.lock().unwrap().last() != Some(&"release") {
            yield_now().await;
        }
        xenstored.remove("/local/domain/1/backend/vbd/7");
    };
    assert_eq!(xenstored.run(&guest.1, join(driver, script)).0, Ended::Removed);
    assert_eq!(xenstored.read(BACKEND), None);
}

#[test]
fn a_frontend_that_comes_and_goes_is_served_each_time() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        for _ in 0..5 {
            frontend(xenstored, State::Initialising);
            connect(xenstored).await;
            frontend(xenstored, State::Closed);
            until(xenstored, State::Closed).await;
        }
        // And once without a word: its kernel was restarted.
        frontend(xenstored, State::Initialising);
        connect(xenstored).await;
        frontend(xenstored, State::Initialising);
        connect(xenstored).await;
        remove(xenstored);
        frontend(xenstored, State::Unknown);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(played.log.iter().filter(|entry| **entry == "released").count(), 7);
    assert!(played.failures.is_empty());
}

#[test]
fn a_frontend_that_vanishes_leaves_nothing_shared() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        connect(xenstored).await;
        xenstored.remove(FRONTEND);
        until(xenstored, State::Closed).await;
        remove(xenstored);
    });
    assert_eq!((played.ended, played.log), (Ended::Removed, ONCE.to_vec()));
}

#[test]
fn garbage_from_the_frontend_is_no_state() {
    for garbage in ["", "99", "-4", "4\0", "Connected", "\x1b[2J"] {
        let guest = device();
        let xenstored = &guest.0;
        let played = play(&guest, WORKS, never_expires, async {
            connect(xenstored).await;
            xenstored.write(&format!("{FRONTEND}/state"), garbage);
            until(xenstored, State::Closed).await;
            remove(xenstored);
        });
        assert_eq!((played.ended, played.log), (Ended::Removed, ONCE.to_vec()));
    }
}

#[test]
fn garbage_in_a_key_fails_the_connection_with_a_message_and_nothing_else() {
    let guest = device();
    let xenstored = &guest.0;
    let message = || xenstored.read(&format!("/local/domain/1/error/{OWN}/error"));
    xenstored.write(&format!("{FRONTEND}/ring-ref"), [b'9'; 2048]);
    let played = play(&guest, WORKS, never_expires, async {
        until(xenstored, State::InitWait).await;
        frontend(xenstored, State::Initialised);
        until(xenstored, State::Closing).await;
        frontend(xenstored, State::Closed);
        until(xenstored, State::Closed).await;
        xenstored.write(&format!("{FRONTEND}/ring-ref"), "8");
        frontend(xenstored, State::Initialising);
        connect(xenstored).await;
        assert!(String::from_utf8(message().unwrap()).unwrap().contains("ring-ref"));
        remove(xenstored);
        frontend(xenstored, State::Closed);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(played.failures.len(), 1);
    assert_eq!(message(), None);
}

#[test]
fn messages_go_with_their_devices_and_leave_no_directory() {
    let own = "/local/domain/1/error/backend/vbd/7";
    for (other, vanishes) in [(false, false), (true, false), (false, true)] {
        let guest = device();
        let xenstored = &guest.0;
        if other {
            xenstored.write(&format!("{own}/51728/error"), "what another device has failed of");
        }
        let played = play(&guest, [Step::Fails, Step::Fine, Step::Hangs], never_expires, async {
            until(xenstored, State::Closed).await;
            assert!(xenstored.read(&format!("{own}/51712/error")).is_some());
            if vanishes { xenstored.remove(BACKEND) } else { remove(xenstored) }
        });
        assert_eq!(played.ended, Ended::Removed);
        assert_eq!(xenstored.read(&format!("{own}/51712")), None);
        assert_eq!(xenstored.read(own).is_some(), other);
    }
}

#[test]
fn a_key_that_the_frontend_does_not_let_us_see_fails_the_connection_and_nothing_else() {
    let guest = device();
    let xenstored = &guest.0;
    xenstored.write(&format!("{FRONTEND}/ring-ref"), "8");
    xenstored.give(&format!("{FRONTEND}/ring-ref"), 7);
    let played = play(&guest, WORKS, expires, async {
        until(xenstored, State::InitWait).await;
        frontend(xenstored, State::Initialised);
        until(xenstored, State::Closed).await;
        remove(xenstored);
    });
    assert_eq!((played.ended, played.failures.len()), (Ended::Removed, 2), "and it did not close in time");
}

#[test]
fn a_driver_that_hangs_or_fails_at_any_step_is_tried_again_after_ever_longer_rests() {
    for (step, how) in
        [(0, Step::Fails), (0, Step::Hangs), (1, Step::Fails), (1, Step::Hangs), (2, Step::Fails)]
    {
        let guest = device();
        let xenstored = &guest.0;
        let rests = Mutex::new(Vec::new());
        let clock = |time: Duration| {
            if time < Duration::from_secs(2) && time >= Duration::from_millis(50) {
                rests.lock().unwrap().push(time.as_millis());
            }
            expires(time)
        };
        let mut steps = WORKS;
        steps[step] = how;
        let played = play(&guest, steps, clock, async {
            for _ in 0..4 {
                frontend(xenstored, State::Initialising);
                if step > 0 {
                    until(xenstored, State::InitWait).await;
                    frontend(xenstored, State::Initialised);
                }
                until(xenstored, State::Closed).await;
                while step == 0
                    && text(xenstored, "state").as_deref() == Some("6")
                    && rests.lock().unwrap().len() < 4
                {
                    yield_now().await;
                }
            }
            remove(xenstored);
        });
        assert_eq!(played.ended, Ended::Removed);
        assert!(played.failures.len() >= 4, "{:?}", played.failures);
        let rests = rests.into_inner().unwrap();
        assert!(rests.starts_with(&[50, 100, 200]), "{rests:?}");
        assert!(rests.is_sorted());
    }
}

#[test]
fn a_frontend_that_restarts_without_end_is_given_rests_of_up_to_ten_seconds() {
    let guest = device();
    let xenstored = &guest.0;
    let longest = Mutex::new(Duration::ZERO);
    let clock = |time: Duration| {
        let mut longest = longest.lock().unwrap();
        *longest = time.max(*longest);
        if time == LIMIT { Either::Left(std::future::pending()) } else { Either::Right(a_while()) }
    };
    let played = play(&guest, [Step::Fine, Step::Fine, Step::Fails], clock, async {
        for _ in 0..20 {
            until(xenstored, State::InitWait).await;
            frontend(xenstored, State::Initialised);
            until(xenstored, State::Closing).await;
            frontend(xenstored, State::Initialising);
        }
        remove(xenstored);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(*longest.lock().unwrap(), Duration::from_secs(10));
}

#[test]
fn a_connection_that_worked_for_long_is_followed_by_a_short_rest() {
    let guest = device();
    let xenstored = &guest.0;
    let rests = Mutex::new(Vec::new());
    // Connections last for longer than ten seconds from the fourth on.
    let connections = AtomicU32::new(0);
    let clock = |time: Duration| {
        let lasts = time == Duration::from_secs(10) && connections.fetch_add(1, Ordering::Relaxed) >= 3;
        if time < Duration::from_secs(2) && time >= Duration::from_millis(50) {
            rests.lock().unwrap().push(time.as_millis());
        }
        if lasts || time < LIMIT { Either::Left(yield_now()) } else { Either::Right(std::future::pending()) }
    };
    play(&guest, WORKS, clock, async {
        for _ in 0..5 {
            frontend(xenstored, State::Initialising);
            connect(xenstored).await;
            frontend(xenstored, State::Closed);
            until(xenstored, State::Closed).await;
        }
        remove(xenstored);
    });
    assert_eq!(rests.into_inner().unwrap()[..4], [50, 100, 200, 50]);
}

#[test]
fn a_driver_that_wants_to_stop_is_let_go() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, [Step::Fine; 3], never_expires, async {
        until(xenstored, State::InitWait).await;
        frontend(xenstored, State::Initialised);
        until(xenstored, State::Closing).await;
        frontend(xenstored, State::Closed);
        until(xenstored, State::Closed).await;
        remove(xenstored);
    });
    assert_eq!((played.ended, played.log), (Ended::Removed, ONCE.to_vec()));
    assert!(played.failures.is_empty());
}

#[test]
fn what_cannot_be_written_fails_the_connection_and_leaves_nothing_shared() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, expires, async {
        until(xenstored, State::InitWait).await;
        xenstored.give(&format!("{BACKEND}/state"), 0);
        frontend(xenstored, State::Initialised);
        a_while().await;
        a_while().await;
        xenstored.give(&format!("{BACKEND}/state"), 1);
        remove(xenstored);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert!(!played.failures.is_empty() && !played.log.contains(&"serve"));
    assert!(played.log.contains(&"released"));
}

#[test]
fn a_device_that_changes_is_told_of_with_the_state_and_served_on() {
    let (xenstored, client) = device();
    let log = Mutex::new(Vec::new());
    let mut disk = Disk { grows: vec!["4096", "3072"], ..Disk::new(&log, WORKS) };
    let driver = async {
        let device = Device::open(&client, OWN).await.unwrap();
        run(&device, &mut disk, &never_expires, LIMIT).await
    };
    let script = async {
        connect(&xenstored).await;
        for sectors in ["3072", "4096"] {
            // Frontends look at it when our state is written.
            xenstored.write(&format!("{BACKEND}/state"), "9");
            while text(&xenstored, "sectors").as_deref() != Some(sectors) {
                yield_now().await;
            }
            assert_eq!(text(&xenstored, "state").as_deref(), Some("4"));
        }
        remove(&xenstored);
        frontend(&xenstored, State::Closed);
    };
    assert_eq!(xenstored.run(&client, join(driver, script)).0, Ended::Removed);
    assert_eq!(log.lock().unwrap().iter().filter(|entry| **entry == "connect").count(), 1);
}

#[test]
fn a_flood_of_state_changes_does_not_restart_the_drivers_work() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        connect(xenstored).await;
        for round in 0..1000 {
            frontend(xenstored, if round % 2 == 0 { State::Initialised } else { State::Connected });
            xenstored.write(&format!("{BACKEND}/online"), "1");
            yield_now().await;
        }
        remove(xenstored);
        frontend(xenstored, State::Closed);
    });
    assert_eq!(played.ended, Ended::Removed);
    assert_eq!(played.log.iter().filter(|entry| **entry == "connect").count(), 1);
}

#[test]
fn where_there_are_no_more_watches_it_is_looked_now_and_then() {
    let guest = device_with(Settings { watches: 0, ..Settings::default() });
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        connect(xenstored).await;
        remove(xenstored);
        frontend(xenstored, State::Closed);
        until_removed(xenstored).await;
    });
    assert_eq!(played.ended, Ended::Removed);
}

#[test]
fn a_broken_connection_releases_everything() {
    let guest = device();
    let xenstored = &guest.0;
    let played = play(&guest, WORKS, never_expires, async {
        connect(xenstored).await;
        xenstored.inject(Fault::Length(5000));
        frontend(xenstored, State::Closed);
    });
    assert_eq!(played.ended, Ended::Xenstore(Error::Disconnected(Disconnect::Message(5000))));
    assert_eq!(played.log, ONCE);
}

#[test]
fn a_restored_domain_has_no_frontends() {
    let (before, client) = device();
    let after = Xenstored::new(page());
    let log = Mutex::new(Vec::new());
    let mut disk = Disk::new(&log, WORKS);
    let mut driver = Box::pin(async {
        let device = Device::open(&client, OWN).await.unwrap();
        run(&device, &mut disk, &never_expires, LIMIT).await
    });
    frontend(&before, State::Initialised);
    assert!(before.run_until_idle(&client, &mut driver).is_none());
    client.restore(after.page());
    assert_eq!(after.run(&client, driver), Ended::Restored);
    assert_eq!(*log.lock().unwrap(), ONCE);
    assert_eq!(after.read(BACKEND), None);
}

#[test]
fn a_driver_that_is_dropped_leaves_no_watch() {
    let (xenstored, client) = device();
    let log = Mutex::new(Vec::new());
    xenstored.run(&client, async {
        let device = Device::open(&client, OWN).await.unwrap();
        let mut disk = Disk::new(&log, WORKS);
        let driver = Box::pin(run(&device, &mut disk, &never_expires, LIMIT));
        assert!(matches!(select(driver, Box::pin(a_while())).await, Either::Right(_)));
    });
    xenstored.run_until_idle(&client, &mut Box::pin(std::future::pending::<()>()));
    assert!(xenstored.watches().is_empty());
}

#[test]
fn what_the_toolstack_wrote_is_checked_all_the_same() {
    let hostile =
        [("frontend", "relative"), ("frontend", "/a//b"), ("frontend-id", "32752"), ("frontend-id", "-1")];
    for (key, value) in hostile {
        let (xenstored, client) = device();
        xenstored.write(&format!("{BACKEND}/{key}"), value);
        let opened = xenstored.run(&client, Device::open(&client, OWN));
        let error = opened.err().unwrap().to_string();
        assert!(error.contains(key) && error.contains(value), "{error}");
    }
}

/// The frontend's half of this crate's.
struct Front;

impl Frontend for Front {
    type Error = Error;

    async fn publish(&mut self, device: &xenbus::Device) -> Result<(), Error> {
        assert_eq!(device.read("feature-flush-cache").await?.unwrap().flag(), Ok(true));
        device.write("ring-ref", "8").await
    }

    async fn connect(&mut self, device: &xenbus::Device) -> Result<(), Error> {
        assert_eq!(device.read("sectors").await?.unwrap().word(), Ok(2048));
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        std::future::pending().await
    }

    fn stop(&mut self) {}

    async fn release(&mut self) {}

    fn abandon(&mut self) {}
}

#[test]
fn our_frontend_and_our_backend_find_each_other_and_part() {
    // Both are of domain 1, as there is one client.
    let (xenstored, client) = device();
    let front = "/local/domain/1/device/vbd/51712";
    xenstored.write(&format!("{front}/backend"), BACKEND);
    xenstored.write(&format!("{front}/backend-id"), "1");
    xenstored.write(&format!("{front}/state"), "1");
    xenstored.give(&format!("{front}/state"), 1);
    xenstored.write(&format!("{BACKEND}/frontend"), front);
    xenstored.write(&format!("{BACKEND}/frontend-id"), "1");
    let log = Mutex::new(Vec::new());

    struct Plain<'a>(Disk<'a>);
    impl Backend for Plain<'_> {
        type Error = Error;
        async fn offer(&mut self, _: &Device) -> Result<Nodes, Error> {
            Ok(vec![("feature-flush-cache", "1".into())])
        }
        async fn connect(&mut self, device: &Device) -> Result<Nodes, Error> {
            self.0.connect(device).await
        }
        async fn serve(&mut self) -> Result<Served, Error> {
            self.0.serve().await
        }
        fn stop(&mut self) {
            self.0.stop();
        }
        async fn release(&mut self) {
            self.0.release().await;
        }
        fn failed(&mut self, failure: &Failure<Error>) {
            panic!("{failure}");
        }
    }

    let limit = StepLimit::new(LIMIT);
    let frontend = async {
        let device = xenbus::Device::open(&client, front).await.unwrap();
        xenbus::run(&device, &mut Front, &never_expires, &limit).await
    };
    let backend = async {
        let device = Device::open(&client, OWN).await.unwrap();
        run(&device, &mut Plain(Disk::new(&log, WORKS)), &never_expires, LIMIT).await
    };
    let toolstack = async {
        until(&xenstored, State::Connected).await;
        a_while().await;
        remove(&xenstored);
        until_removed(&xenstored).await;
    };
    let ((front_ended, back_ended), ()) = xenstored.run(&client, join(join(frontend, backend), toolstack));
    assert_eq!((front_ended, back_ended), (xenbus::Ended::Gone, Ended::Removed));
    assert!(log.into_inner().unwrap().ends_with(&["stop", "release", "released"]));
}
