// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ports of a bridge, and the packets that wait there.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use spin::Mutex;

use super::forwarding::{Forwarding, Mac, Source, Verdict, is_group};
use super::packet::Packet;
use crate::hal::nanoseconds;
use crate::net::frame::ETHERNET_HEADER;

/// Ports at most.
const MAX_PORTS: usize = 512;
/// Bytes that wait at all ports together at most, unless somebody says otherwise.
const ROOM: usize = 2 << 20;
/// Bytes that wait at a port at most, all its lanes together: some of the longest packets, about as many as
/// Linux's netback keeps (`rx_queue_max` of `drivers/net/xen-netback/interface.c`).
const MAX_WAITING: usize = 1 << 20;
/// A network at whose port so many bytes wait holds guests back that send there, until half of it is taken.
const ENOUGH: usize = 256 << 10;
/// A network that has taken nothing for so long holds nobody back any more.
pub(in crate::net) const PATIENCE: Duration = Duration::from_secs(1);
/// What a packet takes beside its bytes.
const OVERHEAD: usize = 256;
/// Bytes by which a VLAN's tag makes a frame longer.
const VLAN_TAG: usize = 4;
/// Groups that a guest is in at most, if it would have no others (`XEN_NETBK_MCAST_MAX` of Linux's
/// `drivers/net/xen-netback/common.h`).
const MAX_GROUPS: usize = 64;
/// The address of all, which is no group that a guest could leave.
const BROADCAST: Mac = [0xff; 6];

/// A bridge between ports.
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

struct State {
    /// Bytes that may wait at all ports together, and those that do.
    room: usize,
    waiting: usize,
    forwarding: Forwarding,
    /// By number.
    queues: Vec<Option<Queue>>,
    /// Guests have come or gone since somebody asked.
    is_changed: bool,
    watcher: Option<Waker>,
}

/// A port's state, and what waits there.
#[derive(Default)]
struct Queue {
    mtu: usize,
    /// If it is a guest's.
    guest: Option<Guest>,
    /// The multicast groups that it takes packets of, if not all.
    groups: Option<Vec<Mac>>,
    /// One at least.
    lanes: Vec<Lane>,
    waker: Option<Waker>,
    /// The network that holds it back, by the number of its port.
    held_by: Option<usize>,
    /// Ports of guests that it holds back, with who waits for that to end.
    holds: BTreeMap<usize, Option<Waker>>,
    /// Since when it holds others back and has taken nothing, in nanoseconds.
    since: Option<u64>,
    traffic: Traffic,
}

/// Packets of some flows that wait (Linux's `netdev_queue`).
#[derive(Default)]
struct Lane {
    packets: VecDeque<Arc<Packet>>,
    /// What they take, in bytes.
    size: usize,
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

    /// The same with packets of so many bytes at most, all ports together, that wait. A port has no more of
    /// them than are still free, so that there are some for others while one takes nothing.
    #[must_use]
    pub fn with_room(mut self, bytes: usize) -> Self {
        self.state.get_mut().room = bytes;
        self
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
            *queue = Some(Queue { mtu, lanes: vec![Lane::default()], ..Queue::default() });
        }
        Some(Port { bridge: self, number })
    }

    /// A new port for a guest, where what is for it waits in so many lanes, one at least: the packets of a
    /// flow in the same one. `None` if there are too many ports.
    pub fn attach_guest(&self, guest: Guest, lanes: usize) -> Option<Port<'_>> {
        let port = self.attach(Source::Only(guest.mac), guest.mtu)?;
        port.with_queue(|queue| {
            queue.guest = Some(guest);
            queue.lanes.resize_with(lanes.max(1), Lane::default);
        });
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
        Self { room: ROOM, waiting: 0, forwarding, queues: Vec::new(), is_changed: false, watcher: None }
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
        let destination = packet.bytes().first_chunk().copied().unwrap_or(BROADCAST);
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
        let is_guest = own.guest.is_some();
        let (mut wakers, mut holder) = (Vec::new(), None);
        for (port, source) in state.forwarding.ports().filter(|(port, source)| is_for(*port, *source)) {
            if let Some(Some(queue)) = state.queues.get_mut(port)
                && queue.wants(destination)
            {
                state.waiting += queue.add(&packet, state.room.saturating_sub(state.waiting));
                wakers.extend(queue.waker.take());
                let holds = is_guest && source == Source::Any && matches!(verdict, Verdict::To(_));
                if holds && queue.size() > ENOUGH && !queue.is_stuck(now) {
                    queue.holds.insert(self.number, None);
                    holder = Some(port);
                }
            }
        }
        if let (Some(Some(own)), Some(holder)) = (state.queues.get_mut(self.number), holder) {
            own.held_by = Some(holder);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Has it take no packets of multicast groups from now on but of those that it [joins](Self::join).
    pub fn leave_all_groups(&self) {
        self.with_queue(|queue| queue.groups = Some(Vec::new()));
    }

    /// Has it take the packets of a multicast group, too; false if it is in too many, or that is no group.
    pub fn join(&self, group: Mac) -> bool {
        let join = |queue: &mut Queue| match &mut queue.groups {
            _ if !is_group(group) => false,
            Some(groups) if groups.contains(&group) => true,
            Some(groups) if groups.len() >= MAX_GROUPS => false,
            Some(groups) => {
                groups.push(group);
                true
            }
            None => true,
        };
        self.with_queue(join) == Some(true)
    }

    /// Has it take the packets of a multicast group no more, unless it takes those of all.
    pub fn leave(&self, group: Mac) {
        self.with_queue(|queue| {
            queue.groups.iter_mut().for_each(|groups| groups.retain(|joined| *joined != group));
        });
    }

    /// The next packet that is for this port, which has one lane.
    pub fn take(&self) -> Option<Arc<Packet>> {
        self.take_of(0)
    }

    /// The next packet of a lane, by its number.
    pub fn take_of(&self, lane: usize) -> Option<Arc<Packet>> {
        let mut state = self.bridge.state.lock();
        let queue = state.queues.get_mut(self.number)?.as_mut()?;
        let lane = queue.lanes.get_mut(lane)?;
        let packet = lane.packets.pop_front()?;
        let cost = cost(&packet);
        lane.size = lane.size.saturating_sub(cost);
        queue.traffic.taken += 1;
        queue.since = None;
        let is_over = !queue.holds.is_empty() && queue.size() <= ENOUGH / 2;
        let held = if is_over { core::mem::take(&mut queue.holds) } else { BTreeMap::new() };
        state.waiting = state.waiting.saturating_sub(cost);
        drop(state);
        held.into_values().flatten().for_each(Waker::wake);
        Some(packet)
    }

    /// Whether a network holds this guest back, at time `now` in nanoseconds: more waits at the network's
    /// port than it takes for the moment. What the guest sends nevertheless may be lost.
    pub fn is_held(&self, now: u64) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        self.poll_room(context, now).is_pending()
    }

    /// Waits until no network holds this guest back. It has to be asked again at a later time, as a network
    /// that takes nothing holds nobody back for long. One task waits at a time.
    pub fn room(&self, now: u64) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(move |context| self.poll_room(context, now))
    }

    fn poll_room(&self, context: &mut Context<'_>, now: u64) -> Poll<()> {
        let mut state = self.bridge.state.lock();
        let state = &mut *state;
        let Some(Some(own)) = state.queues.get_mut(self.number) else { return Poll::Ready(()) };
        let Some(holder) = own.held_by else { return Poll::Ready(()) };
        if let Some(Some(network)) = state.queues.get_mut(holder)
            && !network.is_stuck(now)
            && let Some(waker) = network.holds.get_mut(&self.number)
        {
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.release(state);
        Poll::Ready(())
    }

    /// No network holds it back any more.
    fn release(&self, state: &mut State) {
        let own = state.queues.get_mut(self.number).and_then(Option::as_mut);
        let holder = own.and_then(|own| own.held_by.take());
        let network = holder.and_then(|holder| state.queues.get_mut(holder)).and_then(Option::as_mut);
        network.into_iter().for_each(|network| drop(network.holds.remove(&self.number)));
    }

    /// Waits until there is a packet to [take](Self::take). One task waits at a time.
    pub fn arrival(&self) -> impl Future<Output = ()> + Send + '_ {
        self.arrival_of(0)
    }

    /// The same of a lane. One task waits for all lanes.
    pub fn arrival_of(&self, lane: usize) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(move |context| self.poll_arrival_of(lane, context))
    }

    /// Whether there is a packet; if not, the task is woken when there is.
    pub fn poll_arrival(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_arrival_of(0, context)
    }

    fn poll_arrival_of(&self, lane: usize, context: &mut Context<'_>) -> Poll<()> {
        let is_there = self.with_queue(|queue| {
            let is_there = queue.lanes.get(lane).is_some_and(|lane| !lane.packets.is_empty());
            if !is_there {
                queue.waker = Some(context.waker().clone());
            }
            is_there
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
        self.release(&mut state);
        let queue = state.queues.get_mut(self.number).and_then(Option::take).unwrap_or_default();
        state.waiting = state.waiting.saturating_sub(queue.size());
        drop(state);
        queue.holds.into_values().flatten().for_each(Waker::wake);
        if queue.guest.is_some() {
            self.bridge.note_change();
        }
    }
}

impl Queue {
    /// What all that waits takes, in bytes.
    fn size(&self) -> usize {
        self.lanes.iter().map(|lane| lane.size).sum()
    }

    /// Whether it takes what is sent to this address.
    fn wants(&self, destination: Mac) -> bool {
        let is_filtered = is_group(destination) && destination != BROADCAST;
        !is_filtered || self.groups.as_ref().is_none_or(|groups| groups.contains(&destination))
    }

    /// Whether a packet fits the port's network.
    fn takes(&self, packet: &Packet) -> bool {
        let is_tagged = packet.bytes().get(12..ETHERNET_HEADER) == Some(&[0x81, 0x00]);
        let tag = if is_tagged { VLAN_TAG } else { 0 };
        packet.longest() <= ETHERNET_HEADER + tag + self.mtu
    }

    /// Adds a packet, if it has a place among those that wait, for all of which there are `free` bytes more;
    /// returns how many it takes.
    fn add(&mut self, packet: &Arc<Packet>, free: usize) -> usize {
        let cost = cost(packet);
        let is_taken = self.takes(packet);
        let count = self.lanes.len();
        match self.lanes.get_mut(packet.choose(count)) {
            Some(lane) if is_taken && lane.size + cost <= free.min(MAX_WAITING / count.max(1)) => {
                lane.size += cost;
                lane.packets.push_back(Arc::clone(packet));
                cost
            }
            _ => {
                self.traffic.lost += 1;
                0
            }
        }
    }

    /// Whether it has taken nothing for long, at time `now` in nanoseconds, while it holds others back.
    fn is_stuck(&mut self, now: u64) -> bool {
        now.saturating_sub(*self.since.get_or_insert(now)) >= nanoseconds(PATIENCE)
    }
}

impl Default for Bridge {
    fn default() -> Self {
        Self::new()
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
    use crate::net::samples;

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

    /// A guest's port, as the toolstack would have it.
    fn guest(bridge: &Bridge, mac: Mac) -> Port<'_> {
        bridge.attach_guest(Guest { mac, mtu: 1500, addresses: Vec::new() }, 1).unwrap()
    }

    /// A network, where `OTHER` is.
    fn network(bridge: &Bridge) -> Port<'_> {
        let network = bridge.attach(Source::Any, 1500).unwrap();
        network.send(packet([8; 6], OTHER, 60), 0);
        network
    }

    /// Has a guest send to the network until it is held back, at time `now`; how many packets that took.
    fn fill(guest: &Port<'_>, mac: Mac, now: u64) -> usize {
        let mut count = 0;
        while !guest.is_held(now) {
            guest.send(packet(OTHER, mac, 1514), now);
            count += 1;
        }
        count
    }

    /// A segment to a guest, from that port.
    fn segment(port: u16, payload: usize) -> Packet {
        let mut bytes = samples::tcp(&vec![7; payload]);
        bytes[..12].copy_from_slice(&[GUESTS[0], OTHER].concat());
        bytes[34..36].copy_from_slice(&port.to_be_bytes());
        Packet::new(bytes, Checksum::Blank, None).unwrap()
    }

    /// All that waits in a lane.
    fn all_of(port: &Port<'_>, lane: usize) -> Vec<Arc<Packet>> {
        core::iter::from_fn(|| port.take_of(lane)).collect()
    }

    #[test]
    fn flows_are_shared_out_among_lanes_and_each_stays_in_its_own() {
        let (bridge, guest) = (Bridge::new(), Guest { mac: GUESTS[0], mtu: 1500, addresses: Vec::new() });
        let (guest, network) = (bridge.attach_guest(guest, 2).unwrap(), network(&bridge));
        // Linux's clients choose ports of one parity.
        for round in 0..2 {
            (0..64).for_each(|number| network.send(segment(40_000 + 2 * number, round), 0));
        }
        assert!(guest.take_of(2).is_none());
        for lane in [0, 1] {
            let ports: Vec<_> =
                all_of(&guest, lane).iter().map(|one| [one.bytes()[34], one.bytes()[35]]).collect();
            assert!((32..=96).contains(&ports.len()), "{} of 128 are in lane {lane}", ports.len());
            let (first, second) = ports.split_at(ports.len() / 2);
            assert_eq!(first, second);
        }
    }

    #[test]
    fn a_lane_that_nobody_takes_from_leaves_the_others_their_room() {
        let (bridge, guest) = (Bridge::new(), Guest { mac: GUESTS[0], mtu: 1500, addresses: Vec::new() });
        let (guest, network) = (bridge.attach_guest(guest, 2).unwrap(), network(&bridge));
        let port_of = |lane: usize| {
            let is_there = |port: &u16| {
                network.send(segment(*port, 10), 0);
                let found = all_of(&guest, lane).len();
                all_of(&guest, 1 - lane);
                found == 1
            };
            (1..100).find(is_there).unwrap()
        };
        let [first, second] = [port_of(0), port_of(1)];
        for _ in 0..2000 {
            network.send(segment(first, 1000), 0);
        }
        network.send(segment(second, 1000), 0);
        assert!(pin!(guest.arrival_of(1)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(all_of(&guest, 1).len(), 1);
        assert_eq!(all_of(&guest, 0).len(), MAX_WAITING / 2 / (54 + 1000 + OVERHEAD));
    }

    #[test]
    fn who_takes_nothing_leaves_some_room_to_others() {
        let bridge = Bridge::new().with_room(100 << 10);
        let [one, two] = GUESTS.map(|mac| guest(&bridge, mac));
        let network = network(&bridge);
        for _ in 0..1000 {
            network.send(packet(GUESTS[0], OTHER, 1514), 0);
            network.send(packet(GUESTS[1], OTHER, 1514), 0);
            assert!(two.take().is_some());
        }
        assert_eq!((two.traffic().lost, one.traffic().lost), (0, 1000 - (50 << 10) / (1514 + 256) - 1));
        for _ in 0..100 {
            network.send(packet(GUESTS[1], OTHER, 1514), 0);
        }
        let kept = |port: &Port<'_>| core::iter::from_fn(|| port.take()).count();
        assert_eq!(kept(&two), (25 << 10) / (1514 + 256));
        drop(one);
        for _ in 0..100 {
            network.send(packet(GUESTS[1], OTHER, 1514), 0);
        }
        assert_eq!(kept(&two), (50 << 10) / (1514 + 256) + 1, "what waited for a port that is gone");
    }

    #[test]
    fn a_network_holds_back_guests_that_send_faster_than_it_takes_and_loses_nothing() {
        let bridge = Bridge::new();
        let [one, two] = GUESTS.map(|mac| guest(&bridge, mac));
        let network = network(&bridge);
        let sent = fill(&one, GUESTS[0], 0);
        assert_eq!(sent, ENOUGH / (1514 + OVERHEAD) + 1);
        assert!(!two.is_held(0), "it has sent nothing there");
        two.send(packet(GUESTS[0], GUESTS[1], 1514), 0);
        assert!(!two.is_held(0), "guests hold nobody back");
        two.send(packet(OTHER, GUESTS[1], 60), 0);
        let count = [(); 2].map(|()| Arc::new(Count::default()));
        let wakers = [0, 1].map(|index| Waker::from(Arc::clone(&count[index])));
        for (port, waker) in [&one, &two].into_iter().zip(&wakers) {
            assert!(pin!(port.room(0)).poll(&mut Context::from_waker(waker)).is_pending());
        }
        let mut taken = 0;
        while count[0].0.load(Ordering::Relaxed) == 0 {
            assert!(network.take().is_some());
            taken += 1;
        }
        assert!((sent / 2..sent / 2 + 3).contains(&taken), "{taken} of {sent}");
        assert_eq!(count[1].0.load(Ordering::Relaxed), 1);
        assert!(!one.is_held(0) && !two.is_held(0));
        let rest = fill(&one, GUESTS[0], 0);
        assert!(rest > sent / 3);
        assert_eq!(network.traffic().lost, 0);
    }

    #[test]
    fn a_network_that_takes_nothing_holds_nobody_back_for_long() {
        let (bridge, second) = (Bridge::new(), nanoseconds(PATIENCE));
        let (one, network) = (guest(&bridge, GUESTS[0]), network(&bridge));
        fill(&one, GUESTS[0], 5);
        assert!(one.is_held(4 + second) && !one.is_held(5 + second));
        for _ in 0..1000 {
            one.send(packet(OTHER, GUESTS[0], 1514), 5 + second);
            assert!(!one.is_held(5 + second));
        }
        assert!(network.traffic().lost > 0);
        network.take();
        one.send(packet(OTHER, GUESTS[0], 60), 6 + second);
        assert!(one.is_held(6 + second), "it takes again");
    }

    #[test]
    fn a_port_that_goes_holds_nobody_back_and_one_that_comes_is_not_held() {
        let bridge = Bridge::new();
        let (one, network) = (guest(&bridge, GUESTS[0]), network(&bridge));
        fill(&one, GUESTS[0], 0);
        drop(one);
        let one = guest(&bridge, GUESTS[0]);
        assert!(!one.is_held(0));
        assert!(fill(&one, GUESTS[0], 0) > 0);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(pin!(one.room(0)).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(network);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(!one.is_held(0));
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
        let port = bridge.attach_guest(guest.clone(), 1).unwrap();
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
