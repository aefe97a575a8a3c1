// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the toolstack asks of the domain as a whole: `control/shutdown` in xenstore
//! (`docs/misc/xenstore-paths.pandoc`).

use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};

use embassy_time::{Duration, Timer};
use log::{info, warn};
use spin::Mutex;
use xen::xenstore::{Client, Result};

use crate::{power, store};

/// Where requests are written, and acknowledged by emptying it.
const REQUEST: &str = "control/shutdown";

/// What we understand, as the toolstack wants it announced.
const FEATURES: [&str; 2] = ["control/feature-poweroff", "control/feature-reboot"];

/// Time that an application has to end when it has been told to.
const GRACE: Duration = Duration::from_secs(10);

/// What has been asked for, and who wants to know.
static STATE: Mutex<State> = Mutex::new(State { asked: None, waiting: Vec::new() });

struct State {
    asked: Option<Ending>,
    waiting: Vec<Waker>,
}

/// How the domain is to end.
#[derive(Clone, Copy)]
enum Ending {
    Off,
    Again,
}

/// Waits until the domain is asked to end. Whoever waits has [`GRACE`] to do so.
pub(crate) fn asked_to_end() -> impl Future<Output = ()> + Send {
    poll_fn(|context| {
        let mut state = STATE.lock();
        if state.asked.is_some() {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    })
}

/// Ends as was asked, or by switching off; a debugging QEMU gets `status` as its exit status.
pub(crate) fn end(status: u8) -> ! {
    let asked = STATE.lock().asked;
    match asked {
        Some(Ending::Again) => power::reboot(),
        _ => power::off_with(status),
    }
}

/// Ends at once if nobody waits for that, or else when they had time for it.
async fn end_in_time(ending: Ending) {
    let mut state = STATE.lock();
    state.asked = Some(ending);
    let waiting = core::mem::take(&mut state.waiting);
    drop(state);
    if !waiting.is_empty() {
        waiting.into_iter().for_each(Waker::wake);
        Timer::after(GRACE).await;
        warn!("the application did not end within {} s", GRACE.as_secs());
    }
    end(0)
}

/// Carries out the toolstack's requests, for ever, or until xenstored refuses.
pub(crate) async fn obey(store: &'static Client) {
    let Err(error) = store::persist(store, async || watch(store).await).await;
    warn!("requests to shut down will not be heard: {error}");
}

async fn watch(store: &Client) -> Result<Infallible> {
    for feature in FEATURES {
        // Some toolstacks let nobody write here; they ask all the same.
        let _ = store.write(feature, "1").await;
    }
    let mut requests = store.watch(REQUEST).await?;
    loop {
        requests.next().await?;
        // The node may not be there yet; the watch fires when it is.
        let request = store.read_str(REQUEST).await.unwrap_or_default();
        if request.is_empty() {
            continue;
        }
        info!("the toolstack asks for: {request}");
        // The acknowledgement; a toolstack that does not let us write it can do without.
        let _ = store.write(REQUEST, "").await;
        match request.as_str() {
            "poweroff" | "halt" => end_in_time(Ending::Off).await,
            "reboot" => end_in_time(Ending::Again).await,
            _ => warn!("{REQUEST}: {request} is not supported; ask for poweroff or reboot"),
        }
    }
}
