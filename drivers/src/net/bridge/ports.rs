// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ports of a bridge, and the packets that wait there.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

use super::forwarding::{Forwarding, Mac, Source, Verdict};
use super::packet::Packet;
use crate::net::frame::ETHERNET_HEADER;

/// Ports at most.
const MAX_PORTS: usize = 512;
/// Bytes that wait at a port at most: some of the longest packets, or some tens of frames.
const MAX_WAITING: usize = 256 << 10;
/// What a packet takes beside its bytes.
const OVERHEAD: usize = 256;
/// Bytes by which a VLAN's tag makes a frame longer.
const VLAN_TAG: usize = 4;

/// A bridge between ports.
#[derive(Default)]
pub struct Bridge {
    state: Mutex<State>,
}

/// A port of a bridge. Dropping it detaches it.
pub struct Port<'b> {
    bridge: &'b Bridge,
    number: usize,
}

/// A guest's interface, as the toolstack has configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its Ethernet address.
    pub mac: Mac,
    /// The longest IP packet that it takes, in bytes.
    pub mtu: usize,
    /// Its IP addresses, if the toolstack gave it any.
    pub addresses: Vec<IpAddr>,
}

/// Packets that have gone through a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent to the bridge.
    pub sent: u64,
    /// Of those, sent from a wrong address, or for nobody else, or too long: dropped.
    pub refused: u64,
    /// Taken from the bridge.
    pub taken: u64,
    /// For this port, and dropped as too much waited, or as they were too long.
    pub lost: u64,
}

#[derive(Default)]
struct State {
    forwarding: Forwarding,
    /// By number.
    queues: Vec<Option<Queue>>,
    /// Guests have come or gone since somebody asked.
    is_changed: bool,
    watcher: Option<Waker>,
}

/// What waits at a port.
#[derive(Default)]
struct Queue {
    mtu: usize,
    /// If it is a guest's.
    guest: Option<Guest>,
    packets: VecDeque<Arc<Packet>>,
    /// What they take, in bytes.
    size: usize,
    waker: Option<Waker>,
    traffic: Traffic,
}

impl Bridge {
    /// Without ports.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State::new(Forwarding::new())) }
    }

    /// The same, whose guests will not reach each other.
    pub const fn isolated() -> Self {
        Self { state: Mutex::new(State::new(Forwarding::isolated())) }
    }

    /// A new port for `source`, to a network of `mtu`; `None` if there are too many.
    pub fn attach(&self, source: Source, mtu: usize) -> Option<Port<'_>> {
        let mut state = self.state.lock();
        if state.forwarding.ports().count() >= MAX_PORTS {
            return None;
        }
        let number = state.forwarding.attach(source);
        if state.queues.len() <= number {
            state.queues.resize_with(number + 1, || None);
        }
        if let Some(queue) = state.queues.get_mut(number) {
            *queue = Some(Queue { mtu, ..Queue::default() });
        }
        Some(Port { bridge: self, number })
    }

    /// A new port for a guest; `None` if there are too many.
    pub fn attach_guest(&self, guest: Guest) -> Option<Port<'_>> {
        let port = self.attach(Source::Only(guest.mac), guest.mtu)?;
        port.with_queue(|queue| queue.guest = Some(guest));
        self.note_change();
        Some(port)
    }

    /// The guests that have a port.
    pub fn guests(&self) -> Vec<Guest> {
        let state = self.state.lock();
        state.queues.iter().flatten().filter_map(|queue| queue.guest.clone()).collect()
    }

    /// Waits until guests have come or gone since it was awaited last. One task waits at a time.
    pub async fn guests_changed(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if core::mem::take(&mut state.is_changed) {
                return Poll::Ready(());
            }
            state.watcher = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn note_change(&self) {
        let mut state = self.state.lock();
        state.is_changed = true;
        let watcher = state.watcher.take();
        drop(state);
        watcher.into_iter().for_each(Waker::wake);
    }
}

impl State {
    const fn new(forwarding: Forwarding) -> Self {
        Self { forwarding, queues: Vec::new(), is_changed: false, watcher: None }
    }
}

impl Port<'_> {
    /// Sends a packet to whom it is for, at time `now` in nanoseconds. That it does not arrive is
    /// [counted](Self::traffic).
    pub fn send(&self, packet: Packet, now: u64) {
        let mut state = self.bridge.state.lock();
        let state = &mut *state;
        let Some(Some(own)) = state.queues.get_mut(self.number) else { return };
        own.traffic.sent += 1;
        let verdict = match own.takes(&packet) {
            true => state.forwarding.decide(self.number, packet.bytes(), now),
            false => {
                own.traffic.refused += 1;
                return;
            }
        };
        let packet = Arc::new(packet);
        let is_for = |port: usize, source: Source| match verdict {
            Verdict::To(to) => port == to,
            Verdict::Flood => port != self.number,
            Verdict::FloodUnknown => port != self.number && source == Source::Any,
            Verdict::Drop(_) => false,
        };
        if let Verdict::Drop(_) = verdict {
            own.traffic.refused += 1;
            return;
        }
        let mut wakers = Vec::new();
        for (port, _) in state.forwarding.ports().filter(|(port, source)| is_for(*port, *source)) {
            if let Some(Some(queue)) = state.queues.get_mut(port) {
                queue.add(&packet);
                wakers.extend(queue.waker.take());
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The next packet that is for this port.
    pub fn take(&self) -> Option<Arc<Packet>> {
        self.with_queue(|queue| {
            let packet = queue.packets.pop_front()?;
            queue.size = queue.size.saturating_sub(cost(&packet));
            queue.traffic.taken += 1;
            Some(packet)
        })?
    }

    /// Waits until there is a packet to [take](Self::take). One task waits at a time.
    pub fn arrival(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|context| self.poll_arrival(context))
    }

    /// Whether there is a packet; if not, the task is woken when there is.
    pub fn poll_arrival(&self, context: &mut Context<'_>) -> Poll<()> {
        let is_there = self.with_queue(|queue| {
            if queue.packets.is_empty() {
                queue.waker = Some(context.waker().clone());
            }
            !queue.packets.is_empty()
        });
        if is_there == Some(true) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What has gone through it.
    pub fn traffic(&self) -> Traffic {
        self.with_queue(|queue| queue.traffic).unwrap_or_default()
    }

    fn with_queue<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        self.bridge.state.lock().queues.get_mut(self.number)?.as_mut().map(work)
    }
}

impl Drop for Port<'_> {
    fn drop(&mut self) {
        let mut state = self.bridge.state.lock();
        state.forwarding.detach(self.number);
        let queue = state.queues.get_mut(self.number).and_then(Option::take);
        drop(state);
        if queue.is_some_and(|queue| queue.guest.is_some()) {
            self.bridge.note_change();
        }
    }
}

impl Queue {
    /// Whether a packet fits the port's network.
    fn takes(&self, packet: &Packet) -> bool {
        let is_tagged = packet.bytes().get(12..ETHERNET_HEADER) == Some(&[0x81, 0x00]);
        let tag = if is_tagged { VLAN_TAG } else { 0 };
        packet.longest() <= ETHERNET_HEADER + tag + self.mtu
    }

    fn add(&mut self, packet: &Arc<Packet>) {
        let size = self.size + cost(packet);
        if !self.takes(packet) || size > MAX_WAITING {
            self.traffic.lost += 1;
            return;
        }
        self.size = size;
        self.packets.push_back(Arc::clone(packet));
    }
}

fn cost(packet: &Packet) -> usize {
    packet.bytes().len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::super::Mac;
    use super::super::packet::Checksum;
    use super::*;

    const GUESTS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    const OTHER: Mac = [6, 0, 0, 0, 0, 9];
    const BROADCAST: Mac = [0xff; 6];

    fn packet(to: Mac, from: Mac, length: usize) -> Packet {
        let mut bytes = [&to[..], &from, &[0x88, 0xb5]].concat();
        bytes.resize(length, 7);
        Packet::new(bytes, Checksum::Right, None).unwrap()
    }

    #[test]
    fn packets_reach_whom_they_are_for() {
        let bridge = Bridge::new();
        let [one, two] = GUESTS.map(|mac| bridge.attach(Source::Only(mac), 1500).unwrap());
        let network = bridge.attach(Source::Any, 1500).unwrap();
        one.send(packet(GUESTS[1], GUESTS[0], 60), 0);
        assert_eq!(*two.take().unwrap(), packet(GUESTS[1], GUESTS[0], 60));
        assert!(two.take().is_none() && one.take().is_none() && network.take().is_none());
        network.send(packet(BROADCAST, OTHER, 60), 0);
        assert!(one.take().is_some() && two.take().is_some() && network.take().is_none());
        one.send(packet([8; 6], GUESTS[0], 60), 0);
        assert!(network.take().is_some() && two.take().is_none(), "nobody knows it");
        two.send(packet(OTHER, GUESTS[0], 60), 0);
        assert!(network.take().is_none() && one.take().is_none());
        assert_eq!(two.traffic(), Traffic { sent: 1, refused: 1, taken: 2, lost: 0 });
        drop(network);
        one.send(packet(OTHER, GUESTS[0], 60), 0);
        assert_eq!(one.traffic(), Traffic { sent: 3, refused: 0, taken: 1, lost: 0 });
    }

    #[test]
    fn who_takes_nothing_loses_what_is_too_much_and_nobody_else_does() {
        let bridge = Bridge::new();
        let [one, two] = GUESTS.map(|mac| bridge.attach(Source::Only(mac), 1500).unwrap());
        let network = bridge.attach(Source::Any, 1500).unwrap();
        for _ in 0..1000 {
            network.send(packet(BROADCAST, OTHER, 1514), 0);
            assert!(two.take().is_some());
        }
        let kept = core::iter::from_fn(|| one.take()).count();
        assert_eq!(kept, MAX_WAITING / (1514 + OVERHEAD));
        assert_eq!(one.traffic().lost, 1000 - kept as u64);
        network.send(packet(BROADCAST, OTHER, 1514), 0);
        assert!(one.take().is_some());
    }

    #[test]
    fn what_is_longer_than_a_network_takes_goes_nowhere() {
        let bridge = Bridge::new();
        let one = bridge.attach(Source::Only(GUESTS[0]), 9000).unwrap();
        let two = bridge.attach(Source::Only(GUESTS[1]), 1500).unwrap();
        one.send(packet(GUESTS[1], GUESTS[0], 1514), 0);
        one.send(packet(GUESTS[1], GUESTS[0], 1515), 0);
        assert!(two.take().is_some() && two.take().is_none());
        two.send(packet(GUESTS[0], GUESTS[1], 1515), 0);
        assert!(one.take().is_none());
        assert_eq!((two.traffic().lost, two.traffic().refused), (1, 1));
        let mut bytes = [&GUESTS[1][..], &GUESTS[0], &[0x81, 0, 0, 7]].concat();
        bytes.resize(1518, 0);
        one.send(Packet::new(bytes, Checksum::Unverified, None).unwrap(), 0);
        assert!(two.take().is_some(), "with the tag of a VLAN");
    }

    #[test]
    fn who_watches_guests_is_told_when_they_come_and_go() {
        let bridge = Bridge::isolated();
        let context = &mut Context::from_waker(Waker::noop());
        let guest = Guest { mac: GUESTS[0], mtu: 1500, addresses: vec![[10, 0, 0, 1].into()] };
        assert!(pin!(bridge.guests_changed()).poll(context).is_pending());
        let port = bridge.attach_guest(guest.clone()).unwrap();
        let network = bridge.attach(Source::Any, 1500).unwrap();
        assert!(pin!(bridge.guests_changed()).poll(context).is_ready());
        assert_eq!(bridge.guests(), [guest]);
        drop(network);
        assert!(pin!(bridge.guests_changed()).poll(context).is_pending());
        drop(port);
        assert!(pin!(bridge.guests_changed()).poll(context).is_ready());
        assert!(bridge.guests().is_empty());
    }

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_by_a_packet() {
        let bridge = Bridge::new();
        let [one, two] = GUESTS.map(|mac| bridge.attach(Source::Only(mac), 1500).unwrap());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert!(one.poll_arrival(&mut context).is_pending());
        two.send(packet([8; 6], GUESTS[1], 60), 0);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        two.send(packet(BROADCAST, GUESTS[1], 60), 0);
        two.send(packet(BROADCAST, GUESTS[1], 60), 0);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(one.poll_arrival(&mut context).is_ready());
    }

    #[test]
    fn there_are_no_more_ports_than_there_may_be() {
        let bridge = Bridge::new();
        let mut ports: Vec<_> = (0..MAX_PORTS).map(|_| bridge.attach(Source::Any, 1500).unwrap()).collect();
        assert!(bridge.attach(Source::Any, 1500).is_none());
        ports.pop();
        assert!(bridge.attach(Source::Any, 1500).is_some());
    }
}
