// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore for tasks: the client of crate `xen`, and the task that moves its ring.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use log::warn;
use prism_arch::hypercall::Hypervisor;
use prism_boot::{PAGE_SIZE, SharedRing};
use spin::Once;
use xen::event::{self, Port};
use xen::shared::Shared;
use xen::xenstore::{Client, Disconnect, Error, Result};
use xen_sys::io::xs_wire::xenstore_domain_interface;

use crate::hypervisor::event::EventChannel;
use crate::time::Deadline;

static CLIENT: Once<Client> = Once::new();

/// The client, if the toolstack gave this domain a xenstore.
pub(crate) fn client() -> Option<&'static Client> {
    CLIENT.get()
}

/// The page of the ring.
static PAGE: Once<Shared<xenstore_domain_interface>> = Once::new();

/// Opens the ring at guest frame `frame`, which is mapped.
pub(crate) fn init(frame: u64) {
    // SAFETY: the page that the toolstack set aside for xenstore: aligned, mapped for good, and
    // used through this value only.
    let page = PAGE.call_once(|| unsafe { Shared::at(frame * PAGE_SIZE) });
    CLIENT.call_once(|| Client::new(*page));
}

/// Goes on with the ring of the domain that this one was restored into.
pub(crate) fn resume() {
    if let (Some(client), Some(page)) = (CLIENT.get(), PAGE.get()) {
        client.restore(*page);
    }
}

/// Moves requests and responses between the client and the ring, for ever. The ring's port is open from the
/// call on.
pub(crate) fn pump(ring: SharedRing) -> impl Future<Output = ()> {
    let channel = EventChannel::of_toolstack(Port(ring.port));
    async move {
        let Some(client) = client() else { return };
        let channel = match channel {
            Ok(channel) => channel,
            Err(errno) => {
                return warn!(
                    "xenstore: its event channel cannot be used ({errno}); no device of the toolstack will work"
                );
            }
        };
        let mut by_event = false;
        let mut broken = None;
        loop {
            let pumped = client.pump();
            if pumped.notify {
                // Fails only if the toolstack closed the port: then there is no one to notify.
                let _ = channel.notify();
            }
            if pumped.progress {
                channel.found_work();
            } else if by_event {
                channel.found_nothing();
            }
            let reason = client.disconnect_reason();
            if let Some(reason) = reason {
                reconnect(client, reason, broken).await;
            }
            broken = reason;
            let woken = select(channel.wait(), client.wait_for_work()).await;
            by_event = matches!(woken, Either::First(()));
        }
    }
}

/// How long the boot waits for xenstored.
const TIMEOUT: core::time::Duration = core::time::Duration::from_secs(5);
/// How long one sleep of that wait may last.
const POLL_INTERVAL: core::time::Duration = core::time::Duration::from_millis(10);

/// Runs `work` before there are tasks, and moves the ring meanwhile. `None` if xenstored takes too long.
pub(crate) fn run_at_boot<T>(client: &Client, port: Port, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut deadline = Deadline::after(TIMEOUT);
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(result);
        }
        let pumped = client.pump();
        if pumped.notify {
            let _ = event::send(&Hypervisor, port);
        }
        if deadline.passed() {
            return None;
        }
        if !pumped.progress {
            crate::hypervisor::event::poll_port(port, POLL_INTERVAL);
        }
    }
}

/// Pause before a reconnection: an xenstored that always breaks the connection must not keep the guest busy.
const PAUSE: Duration = Duration::from_millis(500);

/// Reconnects, if xenstored supports that; a new version of it may come at any time. Until then requests
/// fail.
async fn reconnect(client: &Client, reason: Disconnect, known: Option<Disconnect>) {
    if known.is_none() {
        warn!("xenstore: {reason}");
    }
    Timer::after(PAUSE).await;
    let renewed = client.reconnect();
    if !renewed && known.is_none() {
        warn!("xenstore: xenstored does not support reconnection; requests fail until it does");
    }
}

/// Pause before work on a broken connection is retried. It doubles each time, so that a broken connection
/// does not keep waking the guest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs `work`, and retries it each time the connection dies. Returns any other result.
pub(crate) async fn persist<T>(client: &Client, mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let resets = client.counters().resets;
        match work().await {
            Err(Error::Disconnected(_)) => {}
            ended => return ended,
        }
        // The connection may come back now, later or never.
        Timer::after(pause).await;
        let is_new = client.counters().resets != resets;
        pause = if is_new { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}
