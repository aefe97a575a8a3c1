// SPDX-License-Identifier: MIT OR Apache-2.0
//! The xenbus half of the frontend: connects an interface to its backend, and serves its events.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either3, select_slice, select3};
use embassy_futures::yield_now;
use xen::xenbus::{Device, Frontend, State};

use super::coalescing::POLL_INTERVAL;
use super::features::BackendFeatures;
use super::queue_pair::{QueuePair, RingPages};
use super::queues::{Queue, Queues};
use crate::hal::AdaptivePoll;
use crate::hal::Alarm;
use crate::hal::{Channel, Platform};
use crate::net::channels::{Channels, Events};
use crate::net::device::NetDevice;
use crate::net::error::Error;
use crate::net::interface::Interface;
use crate::net::properties::{Properties, USUAL_MTU};

/// The frontend of a paravirtual network interface (`xen/include/public/io/netif.h`).
pub struct NetFront<'p, P: Platform> {
    platform: &'p P,
    interface: Arc<Interface<'p>>,
    pages: RingPages,
    /// Pairs of rings at most.
    queues: u32,
    /// Time to look for packets before waiting for an event.
    poll: Duration,
    properties: Option<Properties>,
    channels: Vec<Arc<Channels<P::Channel>>>,
    net_device: Option<Box<dyn NetDevice + 'p>>,
}

/// Pages that a backend's domain may keep of former connections, and is connected to again: 4 MiB. One
/// connection has 2 MiB.
const MAX_QUARANTINED: u32 = 1024;

/// The backend is told of the number of queues here, if there are several.
const QUEUES: &str = "multi-queue-num-queues";
/// And here, that it is to pass on packets of those multicast groups only that it is asked for.
const GROUPS: &str = "request-multicast-control";

impl<'p, P: Platform> NetFront<'p, P> {
    /// A frontend for `interface`, with one pair of rings that has so many pages, or fewer where the grant
    /// table is small.
    pub fn new(platform: &'p P, interface: Arc<Interface<'p>>, pages: RingPages) -> Self {
        Self {
            platform,
            interface,
            pages,
            queues: 1,
            poll: Duration::ZERO,
            properties: None,
            channels: Vec::new(),
            net_device: None,
        }
    }

    /// The same with up to so many pairs of rings, if the backend has them, which share the pages.
    pub fn with_queues(self, queues: u32) -> Self {
        Self { queues: queues.max(1), ..self }
    }

    /// The same, which looks for packets for up to so long before it waits for an event: that costs time of
    /// the vCPU, and is done less and less if nothing comes.
    pub fn with_poll(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    /// Looks for packets for a while, if that is likely to be worth it, and else asks for an event; true if
    /// there is something to do at once.
    async fn poll(&mut self, adaptive: &mut AdaptivePoll) -> Result<bool, Error> {
        if adaptive.should_poll() {
            let start = self.platform.now();
            while adaptive.is_within_limit(self.platform.now().saturating_sub(start)) {
                // Others may have something to do, or to send.
                yield_now().await;
                if self.interface.has_work()? {
                    adaptive.end(true);
                    self.platform.found_by_looking();
                    return Ok(true);
                }
            }
            adaptive.end(false);
        }
        self.interface.request_event()
    }

    /// Has events that come without work waited for later and later. The stack may have done the work of one
    /// before it was taken: then there was some since the last one, which `progress` tells.
    fn note_event(&self, progress: &mut u64) -> Result<(), Error> {
        let now = self.interface.progress();
        let had_work = core::mem::replace(progress, now) != now || self.interface.has_work()?;
        self.channels.iter().for_each(|channels| channels.note_event(had_work));
        Ok(())
    }
}

impl<P: Platform> Frontend for NetFront<'_, P> {
    type Error = Error;
    const PUBLISHED: State = State::Connected;

    async fn publish(&mut self, device: &Device) -> Result<(), Error> {
        let grants = self.platform.grants();
        grants.retry_quarantine();
        let quarantined = grants.quarantined_for(device.backend_id());
        if quarantined > MAX_QUARANTINED {
            return Err(Error::Quarantine(quarantined));
        }
        let (properties, features) = join(Properties::read(device), BackendFeatures::read(device)).await;
        let (properties, features) = (properties?, features?);
        if !features.rx_copy {
            return Err(Error::NoCopy);
        }
        let pages = self.pages.within(grants.report().available());
        let count = self.queues.min(features.queues).min(pages.max_queues());
        let pages = pages.share(count);
        let usable = self.interface.usable(properties.mtu);
        // A packet that is longer may lie in two pages, which such a backend does not take.
        let mtu = if features.scatter_gather { usable } else { usable.min(USUAL_MTU) };
        let properties = Properties { mtu, ..properties };
        let (mut queues, mut keys) = (Vec::new(), Vec::new());
        for number in 0..count {
            let prefix = if count == 1 { String::new() } else { format!("queue-{number}/") };
            let pair = QueuePair::new(self.platform, device.backend_id(), features, pages, properties.mtu)?;
            let channels = Channels::open(self.platform, device.backend_id(), features.split_channels)?;
            for (key, reference) in ["tx-ring-ref", "rx-ring-ref"].into_iter().zip(pair.references()) {
                if let Some(reference) = reference {
                    keys.push((format!("{prefix}{key}"), Some(format!("{}", reference.number()))));
                }
            }
            keys.extend(channels.keys(&prefix));
            queues.push(Queue::new(pair, channels));
        }
        keys.push((QUEUES.to_owned(), (count > 1).then(|| format!("{count}"))));
        keys.push((GROUPS.to_owned(), features.multicast_control.then(|| "1".to_owned())));
        keys.extend(WANTED.map(|key| (key.to_owned(), Some("1".to_owned()))));
        device.update(keys).await?;
        self.properties = Some(properties);
        self.channels = queues.iter().map(|queue| Arc::clone(&queue.channels)).collect();
        self.net_device = Some(Box::new(Queues::new(queues)));
        Ok(())
    }

    async fn connect(&mut self, _device: &Device) -> Result<(), Error> {
        if let (Some(net_device), Some(properties)) = (self.net_device.take(), self.properties) {
            self.interface.connect(net_device, properties);
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), Error> {
        // Whatever happened to events while the backend connected.
        self.channels.iter().for_each(|channels| channels.notify(Events { transmit: true, receive: true }));
        let mut adaptive = AdaptivePoll::new(self.poll);
        let polls = !self.poll.is_zero();
        self.interface.set_polls(polls);
        let mut alarm = Alarm::default();
        let mut progress = 0;
        loop {
            // What came has been handed to applications by now. In the first turn they take it, in the second
            // the stack has more to send: it leaves with the same event.
            for _ in 0..2 {
                yield_now().await;
            }
            self.interface.exchange(self.platform.now())?;
            if polls && self.interface.awaits_frames() && self.poll(&mut adaptive).await? {
                continue;
            }
            if self.interface.coalesces() {
                alarm.set(|| self.platform.delay(POLL_INTERVAL));
            } else {
                alarm.clear();
            }
            let (events, work) = (event(&self.channels), self.interface.stack_work());
            match select3(events, work, alarm.ring()).await {
                Either3::First(()) => self.note_event(&mut progress)?,
                Either3::Second(()) => {}
                Either3::Third(()) => self.interface.poll_deferred()?,
            }
        }
    }

    fn stop(&mut self) {
        if let Some(net_device) = self.interface.disconnect() {
            self.net_device = Some(net_device);
        }
    }

    async fn release(&mut self) {
        self.abandon();
    }

    fn abandon(&mut self) {
        drop(self.interface.disconnect());
        self.net_device = None;
        self.channels.clear();
    }
}

/// Waits for an event of any queue's.
async fn event<C: Channel>(queues: &[Arc<Channels<C>>]) {
    match queues {
        [channels] => channels.wait().await,
        queues => {
            let waits: Vec<_> = queues.iter().map(|channels| channels.wait()).collect();
            select_slice(Box::into_pin(waits.into_boxed_slice()).as_mut()).await;
        }
    }
}

/// What we ask the backend for: to copy into our pages, to tell us when it has nothing to copy
/// into, and packets in several parts, put together from segments, or with blank checksums.
const WANTED: [&str; 6] = [
    "request-rx-copy",
    "feature-rx-notify",
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-ipv6-csum-offload",
];
