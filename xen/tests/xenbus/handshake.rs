// SPDX-License-Identifier: MIT OR Apache-2.0
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::{Either, join, select};
use xen::DomainId;
use xen::xenbus::{Device, Ended, Failure, Frontend, Phase, State, StepLimit, run};
use xen::xenstore::fake::{Fault, Xenstored, page};
use xen::xenstore::{Client, Disconnect, Error};

const FRONTEND: &str = "/local/domain/1/device/vbd/51712";
const BACKEND: &str = "/local/domain/3/backend/vbd/1/51712";
const LIMIT: Duration = Duration::from_secs(10);

/// What a toolstack makes for a device.
fn device() -> (Xenstored, Client) {
    let xenstored = Xenstored::new(page());
    xenstored.write(&format!("{FRONTEND}/backend"), BACKEND);
    xenstored.write(&format!("{FRONTEND}/backend-id"), "3");
    xenstored.write(&format!("{FRONTEND}/state"), "1");
    xenstored.give(&format!("{FRONTEND}/state"), 1);
    backend(&xenstored, State::Initialising);
    xenstored.write(&format!("{BACKEND}/online"), "1");
    let client = Client::new(xenstored.page());
    (xenstored, client)
}

fn backend(xenstored: &Xenstored, state: State) {
    xenstored.write(&format!("{BACKEND}/state"), state.number().to_string());
}

fn frontend_state(xenstored: &Xenstored) -> Option<State> {
    let value = xenstored.read(&format!("{FRONTEND}/state"))?;
    State::from_number(String::from_utf8(value).unwrap().parse().unwrap())
}

/// Lets everybody else go on, for long enough.
async fn a_while() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Lets everybody else go on.
pub(crate) fn yield_now() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
}

/// Waits until the frontend has written its state.
async fn until(xenstored: &Xenstored, state: State) {
    for _ in 0..10_000 {
        if frontend_state(xenstored) == Some(state) {
            return;
        }
        yield_now().await;
    }
    panic!("the frontend is {:?}, not {state:?}", frontend_state(xenstored));
}

/// A clock whose limits never pass, and whose pauses take no time.
async fn never_expires(time: Duration) {
    if time < LIMIT { yield_now().await } else { std::future::pending().await }
}

/// A clock whose limits pass after a while.
async fn expires_at_once(time: Duration) {
    if time < LIMIT { yield_now().await } else { a_while().await }
}

/// A driver that notes what it is told to do.
struct Disk<'a> {
    log: &'a Mutex<Vec<&'static str>>,
    publish: Step,
    serve: Step,
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

impl Frontend for Disk<'_> {
    type Error = Error;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        self.log.lock().unwrap().push("publish");
        assert_eq!(device.backend_id(), DomainId(3));
        self.publish.take().await?;
        device.write("ring-ref", "8").await
    }

    async fn connect(&mut self, device: &Device) -> Result<(), Error> {
        self.log.lock().unwrap().push("connect");
        let sectors = device.read("sectors").await?;
        sectors.map_or(Ok(0), |sectors| sectors.integer(0..=1 << 32))?;
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        self.log.lock().unwrap().push("serve");
        self.serve.take().await
    }

    fn stop(&mut self) {
        self.log.lock().unwrap().push("stop");
    }

    async fn release(&mut self) {
        self.log.lock().unwrap().push("release");
    }

    fn abandon(&mut self) {
        self.log.lock().unwrap().push("abandon");
    }
}

/// Runs a driver with a backend that follows `script`, and returns how it ended and what the
/// driver was told.
fn play<C, W>(
    (xenstored, client): &(Xenstored, Client),
    (publish, serve): (Step, Step),
    clock: C,
    script: impl Future<Output = ()>,
) -> (Ended<Error>, Vec<&'static str>)
where
    C: Fn(Duration) -> W + Sync,
    W: Future<Output = ()> + Send,
{
    let log = Mutex::new(Vec::new());
    let driver = async {
        let device = Device::open(client, FRONTEND).await.unwrap();
        let mut disk = Disk { log: &log, publish, serve };
        run(&device, &mut disk, &clock, &StepLimit::new(LIMIT)).await
    };
    let (ended, ()) = xenstored.run(client, join(driver, script));
    (ended, log.into_inner().unwrap())
}

#[test]
fn a_device_connects_works_and_is_detached() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        assert_eq!(xenstored.read(&format!("{FRONTEND}/ring-ref")).unwrap(), b"8");
        backend(xenstored, State::Connected);
        until(xenstored, State::Connected).await;
        xenstored.write(&format!("{BACKEND}/online"), "0");
        backend(xenstored, State::Closing);
        until(xenstored, State::Closed).await;
        backend(xenstored, State::Closed);
    });
    assert_eq!(ended, Ended::Gone);
    assert_eq!(log, ["publish", "connect", "serve", "stop", "release"]);
}

#[test]
fn a_handshake_takes_few_round_trips() {
    let guest = device();
    let xenstored = &guest.0;
    backend(xenstored, State::InitWait);
    let begun = xenstored.notifications();
    play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        until(xenstored, State::Initialised).await;
        backend(xenstored, State::Connected);
        until(xenstored, State::Connected).await;
        // Where the backend is; the watch and both states; ring-ref; our state; the backend's state; sectors;
        // our state.
        assert_eq!(xenstored.notifications() - begun, 7);
        xenstored.remove(BACKEND);
    });
}

#[test]
fn a_driver_that_wants_to_stop_is_let_go() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Fine), never_expires, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        backend(xenstored, State::Connected);
        until(xenstored, State::Closed).await;
        backend(xenstored, State::Closed);
    });
    assert_eq!(ended, Ended::Stopped);
    assert_eq!(log, ["publish", "connect", "serve", "stop", "release"]);
}

#[test]
fn a_backend_that_is_restarted_is_connected_again() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        for _ in 0..10 {
            until(xenstored, State::Initialising).await;
            backend(xenstored, State::InitWait);
            until(xenstored, State::Initialised).await;
            backend(xenstored, State::Connected);
            until(xenstored, State::Connected).await;
            backend(xenstored, State::Closing);
            until(xenstored, State::Closed).await;
            backend(xenstored, State::Closed);
        }
        xenstored.remove(BACKEND);
    });
    assert_eq!(ended, Ended::Gone);
    assert_eq!(log.len(), 50);
}

#[test]
fn a_device_that_moves_to_another_backend_has_to_be_opened_again() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        backend(xenstored, State::Connected);
        until(xenstored, State::Connected).await;
        xenstored.write(&format!("{FRONTEND}/backend-id"), "4");
        backend(xenstored, State::InitWait);
    });
    assert_eq!(ended, Ended::Gone);
    assert_eq!(log, ["publish", "connect", "serve", "stop", "release"]);
}

#[test]
fn a_device_that_is_removed_is_not_brought_back() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, _) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        backend(xenstored, State::Connected);
        until(xenstored, State::Connected).await;
        xenstored.remove(FRONTEND);
        xenstored.remove(BACKEND);
    });
    assert_eq!(ended, Ended::Gone);
    assert_eq!(frontend_state(xenstored), None);
}

#[test]
fn a_backend_that_vanishes_at_any_step_ends_the_device() {
    for step in [State::Initialising, State::Initialised, State::Connected] {
        let guest = device();
        let xenstored = &guest.0;
        let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
            if step != State::Initialising {
                backend(xenstored, State::InitWait);
            }
            if step == State::Connected {
                until(xenstored, State::Initialised).await;
                backend(xenstored, State::Connected);
            }
            until(xenstored, step).await;
            a_while().await;
            xenstored.remove(BACKEND);
        });
        assert_eq!(ended, Ended::Gone, "{step:?}");
        let count = |what| log.iter().filter(|entry| **entry == what).count();
        assert_eq!((count("publish"), count("stop")), (count("release"), count("release")));
    }
}

#[test]
fn a_backend_that_never_comes_is_given_up_with_a_message() {
    let guest = device();
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), expires_at_once, async {});
    let failure = Failure::Timeout { phase: Phase::Waiting, backend: State::Initialising };
    assert_eq!(ended, Ended::Failed(failure));
    assert!(log.is_empty());
}

#[test]
fn a_backend_that_never_connects_is_given_up_and_everything_released() {
    let guest = device();
    backend(&guest.0, State::InitWait);
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), expires_at_once, async {});
    let failure = Failure::Timeout { phase: Phase::Published, backend: State::InitWait };
    assert_eq!(ended, Ended::Failed(failure));
    assert_eq!(log, ["publish", "stop", "release"].repeat(8));
    assert_eq!(frontend_state(&guest.0), Some(State::Closed));
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    let guest = device();
    backend(&guest.0, State::InitWait);
    let (ended, log) = play(&guest, (Step::Hangs, Step::Hangs), expires_at_once, async {});
    let failure = Failure::Timeout { phase: Phase::Publishing, backend: State::InitWait };
    assert_eq!(ended, Ended::Failed(failure));
    assert_eq!(log, ["publish", "stop", "release"].repeat(8));
}

#[test]
fn a_driver_that_fails_is_given_up() {
    let guest = device();
    backend(&guest.0, State::InitWait);
    let (ended, _) = play(&guest, (Step::Fails, Step::Hangs), never_expires, async {});
    assert_eq!(ended, Ended::Failed(Failure::Driver(Error::Changing)));
}

#[test]
fn a_device_that_breaks_while_it_works_is_connected_anew() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Fails), never_expires, async {
        for _ in 0..3 {
            until(xenstored, State::Initialising).await;
            backend(xenstored, State::InitWait);
            until(xenstored, State::Initialised).await;
            backend(xenstored, State::Connected);
            until(xenstored, State::Closed).await;
            backend(xenstored, State::Closed);
        }
        xenstored.remove(BACKEND);
    });
    assert_eq!(ended, Ended::Gone);
    assert_eq!(log, ["publish", "connect", "serve", "stop", "release"].repeat(3));
}

#[test]
fn garbage_from_the_backend_is_no_state() {
    for garbage in ["", "99", "-4", "4\0", "Connected", "\x1b[2J"] {
        let guest = device();
        let xenstored = &guest.0;
        let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
            backend(xenstored, State::InitWait);
            until(xenstored, State::Initialised).await;
            xenstored.write(&format!("{BACKEND}/state"), garbage);
        });
        assert_eq!((ended, log), (Ended::Gone, vec!["publish", "stop", "release"]));
    }
}

#[test]
fn a_backend_that_stays_connected_is_not_connected_to_again() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Fails), expires_at_once, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        backend(xenstored, State::Connected);
    });
    assert_eq!(ended, Ended::Failed(Failure::Driver(Error::Changing)));
    assert_eq!(log, ["publish", "connect", "serve", "stop", "release"]);
}

#[test]
fn garbage_in_a_property_fails_the_device_and_nothing_else() {
    let guest = device();
    let xenstored = &guest.0;
    xenstored.write(&format!("{BACKEND}/sectors"), [b'9'; 2048]);
    backend(xenstored, State::Connected);
    let (ended, _) = play(&guest, (Step::Fine, Step::Hangs), expires_at_once, async {});
    assert!(matches!(ended, Ended::Failed(Failure::Driver(Error::Value(_)))), "{ended:?}");
}

#[test]
fn a_broken_connection_releases_everything() {
    let guest = device();
    let xenstored = &guest.0;
    let (ended, log) = play(&guest, (Step::Fine, Step::Hangs), never_expires, async {
        backend(xenstored, State::InitWait);
        until(xenstored, State::Initialised).await;
        a_while().await;
        xenstored.inject(Fault::Length(5000));
        backend(xenstored, State::Connected);
    });
    assert_eq!(ended, Ended::Failed(Failure::Xenstore(Error::Disconnected(Disconnect::Message(5000)))));
    assert_eq!(log, ["publish", "stop", "release"]);
}

#[test]
fn a_flood_of_state_changes_does_not_restart_the_drivers_work() {
    let guest = device();
    let xenstored = &guest.0;
    backend(xenstored, State::InitWait);
    let flood = async {
        for i in 0..1000 {
            backend(xenstored, if i % 2 == 0 { State::Initialised } else { State::InitWait });
            yield_now().await;
        }
        xenstored.remove(BACKEND);
    };
    let (ended, log) = play(&guest, (Step::Hangs, Step::Hangs), never_expires, flood);
    assert_eq!((ended, log), (Ended::Gone, vec!["publish", "stop", "release"]));
}

#[test]
fn what_the_toolstack_wrote_is_checked_all_the_same() {
    let hostile =
        [("backend", "relative"), ("backend", "/a//b"), ("backend-id", "32752"), ("backend-id", "-1")];
    for (key, value) in hostile {
        let (xenstored, client) = device();
        xenstored.write(&format!("{FRONTEND}/{key}"), value);
        let opened = xenstored.run(&client, Device::open(&client, FRONTEND));
        let error = opened.err().unwrap().to_string();
        assert!(error.contains(key) && error.contains(value), "{error}");
    }
}

#[test]
fn a_driver_that_is_dropped_leaves_no_watch() {
    let (xenstored, client) = device();
    let log = Mutex::new(Vec::new());
    xenstored.run(&client, async {
        let device = Device::open(&client, FRONTEND).await.unwrap();
        let mut disk = Disk { log: &log, publish: Step::Fine, serve: Step::Hangs };
        let limit = StepLimit::new(LIMIT);
        let driver = Box::pin(run(&device, &mut disk, &never_expires, &limit));
        assert!(matches!(select(driver, Box::pin(a_while())).await, Either::Right(_)));
    });
    xenstored.run_until_idle(&client, &mut Box::pin(std::future::pending::<()>()));
    assert!(xenstored.watches().is_empty());
}

#[test]
fn a_device_is_found_by_a_relative_path_and_leaves_its_message_there() {
    let (xenstored, client) = device();
    let log = Mutex::new(Vec::new());
    let ended = xenstored.run(&client, async {
        let device = Device::open(&client, "device/vbd/51712").await.unwrap();
        let mut disk = Disk { log: &log, publish: Step::Fine, serve: Step::Hangs };
        run(&device, &mut disk, &expires_at_once, &StepLimit::new(LIMIT)).await
    });
    let message = xenstored.read("/local/domain/1/error/device/vbd/51712/error").unwrap();
    assert!(matches!(ended, Ended::Failed(_)));
    assert!(String::from_utf8(message).unwrap().starts_with("timed out while Waiting"));
}

/// Drives the disk for as long as its backend stays.
async fn drive(client: &Client, log: &Mutex<Vec<&'static str>>) -> Ended<Error> {
    let device = Device::open(client, FRONTEND).await.unwrap();
    let mut disk = Disk { log, publish: Step::Fine, serve: Step::Hangs };
    run(&device, &mut disk, &never_expires, &StepLimit::new(LIMIT)).await
}

#[test]
fn a_device_of_a_restored_domain_is_opened_again_with_nothing_written_before() {
    for state in [State::Initialising, State::InitWait, State::Connected] {
        let guest = device();
        let (before, client) = &guest;
        let after = Xenstored::new(page());
        let log = Mutex::new(Vec::new());
        let mut driver = Box::pin(drive(client, &log));
        backend(before, state);
        assert!(before.run_until_idle(client, &mut driver).is_none());
        after.write(&format!("{FRONTEND}/state"), "1");
        after.give(&format!("{FRONTEND}/state"), 1);
        client.restore(after.page());
        assert_eq!(after.run(client, driver), Ended::Restored);
        assert_eq!(frontend_state(&after), Some(State::Initialising), "the toolstack's own");
        let log = log.into_inner().unwrap();
        assert_eq!(log.contains(&"abandon"), log.contains(&"publish"), "{log:?}");
        assert!(!log.contains(&"stop") && !log.contains(&"release"), "{log:?}");
    }
}

#[test]
fn a_ring_that_was_about_to_be_told_of_is_not_told_of_in_the_restored_domain() {
    let guest = device();
    let (before, client) = &guest;
    let after = Xenstored::new(page());
    let log = Mutex::new(Vec::new());
    let mut driver = Box::pin(drive(client, &log));
    backend(before, State::InitWait);
    // The domain is about to be suspended when the ring is published.
    let mut suspended = Box::pin(std::future::poll_fn(|context| {
        let ended = driver.as_mut().poll(context);
        client.hold(log.lock().unwrap().contains(&"publish"));
        ended
    }));
    assert!(before.run_until_idle(client, &mut suspended).is_none());
    assert!(client.is_quiet() && !client.is_idle());
    drop(suspended);
    after.write(&format!("{FRONTEND}/state"), "1");
    after.give(&format!("{FRONTEND}/state"), 1);
    client.restore(after.page());
    // Before the driver runs again, which would take the request back.
    let _ = client.pump();
    after.notify();
    assert_eq!(after.read(&format!("{FRONTEND}/ring-ref")), None);
    assert_eq!(after.run(client, driver), Ended::Restored);
    assert_eq!(frontend_state(&after), Some(State::Initialising), "the toolstack's own");
    assert_eq!(*log.lock().unwrap(), ["publish", "abandon"]);
}

#[test]
fn a_backend_that_comes_and_goes_gives_others_no_more_time() {
    let (xenstored, client) = device();
    let (log, limit) = (Mutex::new(Vec::new()), StepLimit::new(LIMIT));
    let mut disk = Disk { log: &log, publish: Step::Fine, serve: Step::Hangs };
    let flood = async {
        for round in 0.. {
            backend(&xenstored, if round % 2 == 0 { State::InitWait } else { State::Closed });
            a_while().await;
        }
    };
    let ended = xenstored.run(&client, async {
        let device = Device::open(&client, FRONTEND).await.unwrap();
        match select(Box::pin(run(&device, &mut disk, &never_expires, &limit)), Box::pin(flood)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => unreachable!(),
        }
    });
    assert_eq!(ended, Ended::Failed(Failure::Closed));
    assert!(log.lock().unwrap().iter().filter(|step| **step == "publish").count() > 1);
    assert_eq!(limit.steps(), 1);
}
