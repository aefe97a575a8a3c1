// SPDX-License-Identifier: MIT OR Apache-2.0
//! Simulated event channels.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};

use spin::Mutex;
use xen::DomainId;
use xen::event::Port;

use crate::hal::Channel;

/// All channels.
#[derive(Clone, Default)]
pub(super) struct Channels {
    /// Those that are open, by their ports.
    open: Arc<Mutex<Pairs<u32>>>,
    /// Those that other domains have opened, and nobody has connected to, by domain and port.
    offered: Arc<Mutex<Pairs<(u16, u32)>>>,
}

type Pairs<K> = BTreeMap<K, Arc<Mutex<Pair>>>;

impl Channels {
    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.lock().len()
    }

    /// Has another domain open a channel.
    pub(super) fn offer(&self, domain: DomainId, port: u32) -> FarEnd {
        let pair = Arc::<Mutex<Pair>>::default();
        self.offered.lock().insert((domain.0, port), Arc::clone(&pair));
        FarEnd { pair }
    }
}

/// Both ends of a channel.
#[derive(Default)]
pub(super) struct Pair {
    near: End,
    far: End,
    /// Events in a row of which the driver says that they came without work.
    in_vain: u64,
}

/// What one end has heard.
#[derive(Default)]
struct End {
    arrived: bool,
    events: u64,
    waker: Option<Waker>,
}

impl End {
    fn raise(&mut self) -> Option<Waker> {
        self.arrived = true;
        self.events += 1;
        self.waker.take()
    }

    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if core::mem::take(&mut self.arrived) {
            return Poll::Ready(());
        }
        self.waker = Some(waker.clone());
        Poll::Pending
    }
}

/// The driver's end.
pub struct SimChannel {
    channels: Channels,
    pair: Arc<Mutex<Pair>>,
    port: u32,
}

impl SimChannel {
    pub(super) fn open(channels: &Channels) -> Self {
        Self::of(channels, Arc::default())
    }

    /// Connects to what another domain has opened; `None` if it has not. There is an event at once.
    pub(super) fn connect(channels: &Channels, domain: DomainId, port: Port) -> Option<Self> {
        let pair = channels.offered.lock().remove(&(domain.0, port.0))?;
        pair.lock().near.raise();
        Some(Self::of(channels, pair))
    }

    fn of(channels: &Channels, pair: Arc<Mutex<Pair>>) -> Self {
        let mut open = channels.open.lock();
        let port = (1..).find(|port| !open.contains_key(port)).expect("a free port");
        open.insert(port, Arc::clone(&pair));
        Self { channels: channels.clone(), pair, port }
    }
}

impl Channel for SimChannel {
    fn port(&self) -> Port {
        Port(self.port)
    }

    fn notify(&self) {
        let waker = self.pair.lock().far.raise();
        waker.into_iter().for_each(Waker::wake);
    }

    fn found_work(&self) {
        self.pair.lock().in_vain = 0;
    }

    fn found_nothing(&self) {
        self.pair.lock().in_vain += 1;
    }

    fn wait(&self) -> impl Future<Output = ()> + Send {
        poll_fn(|context| self.pair.lock().near.poll(context.waker()))
    }
}

impl Drop for SimChannel {
    fn drop(&mut self) {
        self.channels.open.lock().remove(&self.port);
    }
}

/// The backend's end.
pub struct FarEnd {
    pair: Arc<Mutex<Pair>>,
}

impl FarEnd {
    pub(super) fn connect(channels: &Channels, port: u32) -> Self {
        let pair = channels.open.lock().get(&port).cloned();
        Self { pair: pair.expect("a port that the driver has open") }
    }

    /// Raises an event at the driver.
    pub fn notify(&self) {
        let waker = self.pair.lock().near.raise();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for an event from the driver.
    pub fn wait(&self) -> impl Future<Output = ()> + Send {
        poll_fn(|context| self.pair.lock().far.poll(context.waker()))
    }

    /// Events in a row of which the driver says that they came without work.
    pub fn in_vain(&self) -> u64 {
        self.pair.lock().in_vain
    }

    /// Events that the driver has raised so far.
    pub fn events(&self) -> u64 {
        self.pair.lock().far.events
    }
}
