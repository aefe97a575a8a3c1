// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network interface: the state that the network stack and the driver share.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr};
use core::task::{Poll, Waker};
use core::time::Duration;

use spin::{Mutex, MutexGuard};

use super::checksum::Transport;
use super::config::{self, Due, HostConfig};
use super::device::NetDevice;
use super::error::Error;
use super::frame::ETHERNET_HEADER;
use super::gso::GsoInfo;
use super::hook::Hook;
use super::multicast::Groups;
use super::properties::Properties;
use super::segment::Segment;
use super::segmentation;

/// A network interface, connected or not. It outlives the devices that it is connected to.
pub struct Interface<'k> {
    state: Mutex<State<'k>>,
}

/// What has gone through an interface, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets handed to the stack.
    pub received: u64,
    /// Packets received with a wrong checksum, and dropped.
    pub damaged: u64,
    /// Packets that the stack sent.
    pub sent: u64,
    /// Of those, frames of TCP segments that left in the packet of another one.
    pub merged: u64,
    /// Packets that the stack sent while there was no backend, and that are lost.
    pub lost: u64,
    /// Parts of packets that the backend says it could not send.
    pub failed: u64,
    /// Times that the interface was connected.
    pub connections: u64,
}

/// What is to be woken once nobody holds the lock.
pub(super) type Wakers = [Option<Waker>; 2];

/// What the lock guards.
pub(super) struct State<'k> {
    pub(super) device: Option<Box<dyn NetDevice + 'k>>,
    pub(super) properties: Option<Properties>,
    groups: Groups,
    /// Of a frame that was divided, what there was no room for yet.
    pieces: VecDeque<Vec<u8>>,
    pub(super) config: HostConfig,
    /// The MTU of the first device: the stack's for good.
    mtu: Option<usize>,
    pub(super) counters: Counters,
    /// What the stack found wrong with the device.
    pub(super) error: Option<Error>,
    /// The stack put something into the device.
    pub(super) unpublished: bool,
    /// The stack waits for room to send.
    pub(super) is_full: bool,
    /// The driver asks to be told of frames, once it has looked for them: the stack leaves that to it.
    pub(super) polls: bool,
    pub(super) stack: Option<Waker>,
    /// Who sends beside the stack, and found no room.
    forwarder: Option<Waker>,
    pub(super) hook: Option<Arc<dyn Hook + 'k>>,
    driver: Option<Waker>,
    arrival: Option<Waker>,
}

impl<'k> Interface<'k> {
    /// An interface that is not connected.
    pub fn new() -> Self {
        let state = State {
            device: None,
            properties: None,
            groups: Groups::new(),
            pieces: VecDeque::new(),
            config: HostConfig::default(),
            mtu: None,
            counters: Counters::default(),
            error: None,
            unpublished: false,
            is_full: false,
            polls: false,
            stack: None,
            forwarder: None,
            hook: None,
            driver: None,
            arrival: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// What has gone through it.
    pub fn counters(&self) -> Counters {
        let state = self.state();
        state.counters.with(state.device.as_deref())
    }

    /// The name of the driver that it is connected to.
    pub fn driver(&self) -> Option<&'static str> {
        self.state().device.as_ref().map(|device| device.driver())
    }

    /// How many packets the stack was given, or has made, however they ended.
    pub fn packets(&self) -> u64 {
        let Counters { received, sent, lost, .. } = self.state().counters;
        received + sent + lost
    }

    /// Waits until it is connected, and returns what is known of it then. One task waits at a time.
    pub fn connected(&self) -> impl Future<Output = Properties> + Send + '_ {
        poll_fn(|context| {
            let mut state = self.state();
            match (&state.device, state.properties) {
                (Some(_), Some(properties)) => Poll::Ready(properties),
                _ => {
                    state.arrival = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    /// What is known of it, if it was connected before.
    pub fn properties(&self) -> Option<Properties> {
        self.state().properties
    }

    /// Has [`configure`](Self::configure) configure IPv6 by what routers advertise, too; `seed` is random.
    /// Addresses are made from the Ethernet address that the interface has now.
    pub fn autoconfigure_ipv6(&self, seed: u64) {
        let mut state = self.state();
        if let Some(properties) = state.properties {
            state.config.autoconfigure(properties.mac, seed);
        }
    }

    /// Makes `gateway` reachable for a stack with `address`, and returns prefix and gateway that the stack is
    /// to be given. They are others if the gateway is outside of `prefix`: the stack only knows it by an
    /// alias then.
    #[must_use = "the stack does not know the gateway by its address"]
    pub fn reach_gateway(&self, address: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> (u8, Ipv4Addr) {
        self.state().config.reach(address, prefix, gateway)
    }

    /// Prefix and IPv4 gateway in truth, if the stack was given others, by hand or by DHCP.
    pub fn reached_gateway(&self) -> Option<(u8, Ipv4Addr)> {
        self.state().config.reached()
    }

    /// Does what is due of the configuration of an interface whose stack has `addresses`: asks for routers,
    /// tells neighbors. `now` is the time since some start, the same each time.
    pub fn configure(&self, addresses: &[IpAddr], now: Duration) -> Due {
        let mut state = self.state();
        let Some(properties) = state.properties else { return Due::default() };
        let mut frames = Vec::new();
        let due = state.config.poll(properties.mac, addresses, now, |frame| frames.push(frame));
        frames.retain(|frame: &Vec<u8>| properties.takes_ipv6() || !config::is_ipv6(frame));
        let mut wakers: Vec<_> = frames.iter_mut().flat_map(|frame| state.send_if_room(frame)).collect();
        if state.is_full && !frames.is_empty() {
            // Room was asked for less than the stack waits for: it has to ask again.
            wakers.push(state.stack.take());
        }
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        due
    }

    /// The next frame, in memory of its own - which is empty if it was dropped - and what there is to tell of
    /// it if it is several TCP segments; or else has `waker` woken when there is one. For who has no stack on
    /// the interface. `buffer` is one of [`MAX_FRAME`](super::frame::MAX_FRAME) bytes, which may be used on
    /// the way.
    pub(super) fn take(&self, buffer: &mut [u8], waker: &Waker) -> Option<(Vec<u8>, Option<GsoInfo>)> {
        let mut state = self.state();
        state.stack = Some(waker.clone());
        state.is_full = false;
        let polls = state.polls;
        let wake = loop {
            let device = state.device.as_mut()?;
            match device.receive_owned(buffer) {
                Ok(Some(frame)) => {
                    let gso = device.gso();
                    let count = match frame.is_empty() {
                        true => &mut state.counters.damaged,
                        false => &mut state.counters.received,
                    };
                    *count += 1;
                    // The other side gets back what it was in.
                    let driver = state.call_driver();
                    drop(state);
                    driver.into_iter().for_each(Waker::wake);
                    return Some((frame, gso));
                }
                Ok(None) if polls => break state.call_driver(),
                Ok(None) => match device.request_event() {
                    Ok(true) => {}
                    // The driver looks now and then.
                    Ok(false) if device.coalesces() => break state.call_driver(),
                    Ok(false) => break None,
                    Err(error) => break state.fail(error),
                },
                Err(error) => break state.fail(error),
            }
        };
        let wake = wake.or_else(|| state.call_driver_if_needed());
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        None
    }

    /// Sends `frame`, as [`NetDevice::send_within`] does, or loses it if there is no device; false if there
    /// is no room, and `waker` will be woken when there is. For who has no stack on the interface.
    pub(super) fn put(&self, frame: &mut [u8], mtu: usize, waker: &Waker) -> bool {
        let mut state = self.state();
        state.stack = Some(waker.clone());
        let room = state.has_room(frame.len());
        state.is_full = room == Ok(false);
        let is_full = state.is_full;
        let driver = match room {
            Ok(true) => state.transmit(frame, mtu),
            Ok(false) => state.call_driver(),
            Err(error) => state.fail(error),
        };
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        !is_full
    }

    /// Has `hook` see what comes before the stack does, from now on.
    pub fn set_hook(&self, hook: Arc<dyn Hook + 'k>) {
        let before = self.state().hook.replace(hook);
        drop(before);
    }

    /// Sends `frame` beside the stack, as [`NetDevice::send_within`] does, or loses it if there is no device.
    /// Waits for room. One task sends at a time.
    pub async fn forward(&self, frame: &mut [u8], mtu: usize) {
        poll_fn(|context| {
            let mut state = self.state();
            state.forwarder = None;
            let driver = match state.has_room(frame.len()) {
                Ok(true) => state.transmit(frame, mtu),
                Ok(false) => {
                    state.forwarder = Some(context.waker().clone());
                    state.call_driver_if_needed()
                }
                Err(error) => state.fail(error),
            };
            let is_waiting = state.forwarder.is_some();
            drop(state);
            driver.into_iter().for_each(Waker::wake);
            if is_waiting { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Waits until [`configure`](Self::configure) has something to do that it did not know of. One task waits
    /// at a time.
    pub fn configuration_news(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(
            |context| {
                if self.state().config.poll_news(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
    }

    /// Has the stack look at what it has to send: it was configured.
    pub fn wake_stack(&self) {
        let stack = self.state().stack.take();
        stack.into_iter().for_each(Waker::wake);
    }

    /// Waits until the stack has been woken, if it found no room to send: until then it neither sends nor
    /// receives, however often it is polled.
    pub fn room(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|context| {
            let mut state = self.state();
            if !state.is_full || state.stack.is_none() {
                return Poll::Ready(());
            }
            state.stack = Some(context.waker().clone());
            Poll::Pending
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<'k>> {
        self.state.lock()
    }

    /// What is used of a device's MTU, which is to be connected: no more than the first one had, as peers
    /// were told of that.
    pub(super) fn usable(&self, mtu: usize) -> usize {
        self.state().mtu.map_or(mtu, |first| first.min(mtu))
    }

    /// Connects it.
    pub(super) fn connect(&self, mut device: Box<dyn NetDevice + 'k>, properties: Properties) {
        let mut state = self.state();
        state.groups.all().iter().for_each(|group| device.join(*group));
        state.counters.connections += 1;
        state.properties = Some(properties);
        state.mtu.get_or_insert(properties.mtu);
        state.device = Some(device);
        state.error = None;
        // Pages to receive into have been put into the ring.
        state.unpublished = true;
        let (stack, forwarder) = (state.stack.take(), state.forwarder.take());
        let wakers = [stack, forwarder, state.arrival.take(), state.config.connected()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Disconnects it, and returns what it was connected with.
    pub(super) fn disconnect(&self) -> Option<Box<dyn NetDevice + 'k>> {
        let mut state = self.state();
        let device = state.device.take();
        state.pieces.clear();
        state.counters = state.counters.with(device.as_deref());
        state.is_full = false;
        let wakers = [state.stack.take(), state.forwarder.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        device
    }

    /// Shows the other side what the stack did, and the stack what the other side did, at time `now` in
    /// nanoseconds; true if that was anything.
    ///
    /// # Errors
    ///
    /// [`Error`] if the other side broke the protocol.
    pub(super) fn exchange(&self, now: u64) -> Result<bool, Error> {
        let mut state = self.state();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        // Room was asked for and found for the pieces: nothing else tells the stack, which waits behind them.
        let had_pieces = !state.pieces.is_empty();
        let is_next = state.send_pieces_left()? && had_pieces && state.is_full;
        state.unpublished = false;
        let is_full = state.waits_for_room();
        let Some(device) = &mut state.device else { return Ok(false) };
        device.publish(now);
        let news = device.needs_poll(is_full)? || is_next;
        // There may be room now. If there is not, it asks for an event again.
        let wakers = [if news { state.stack.take() } else { None }, state.forwarder.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        Ok(news)
    }

    /// Leaves it to the driver to [listen](Self::request_event), or to the stack.
    pub(super) fn set_polls(&self, polls: bool) {
        self.state().polls = polls;
    }

    /// Whether the stack waits for frames, and for nothing else.
    pub(super) fn awaits_frames(&self) -> bool {
        let state = self.state();
        state.stack.is_some() && !state.is_full
    }

    /// Whether the other side, or the stack, has done something.
    ///
    /// # Errors
    ///
    /// [`Error`] if the other side broke the protocol.
    pub(super) fn has_work(&self) -> Result<bool, Error> {
        let mut state = self.state();
        let (called, is_full) = (state.is_called(), state.waits_for_room());
        let Some(device) = &mut state.device else { return Ok(called) };
        // Frames that the stack does not take yet are work, too.
        Ok(called || device.needs_poll(is_full)? || is_full && device.needs_poll(false)?)
    }

    /// A number that has grown when frames were exchanged.
    pub(super) fn progress(&self) -> u64 {
        let Counters { received, damaged, sent, .. } = self.state().counters;
        received + damaged + sent
    }

    /// Asks to be told of the other side's frames; true if there is one already.
    ///
    /// # Errors
    ///
    /// [`Error`] if the other side broke the protocol.
    pub(super) fn request_event(&self) -> Result<bool, Error> {
        self.state().device.as_mut().map_or(Ok(false), |device| device.request_event())
    }

    /// Whether [`poll_deferred`](Self::poll_deferred) is to be called each
    /// [`POLL_INTERVAL`](super::coalescing::POLL_INTERVAL).
    pub(super) fn coalesces(&self) -> bool {
        self.state().device.as_ref().is_some_and(|device| device.coalesces())
    }

    /// Looks after frames that we were not told of, see [`NetDevice::poll_deferred`].
    ///
    /// # Errors
    ///
    /// [`Error`] if the other side broke the protocol.
    pub(super) fn poll_deferred(&self) -> Result<(), Error> {
        self.state().device.as_mut().map_or(Ok(()), |device| device.poll_deferred())
    }

    /// Waits until the stack has done something.
    pub(super) fn stack_work(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|context| {
            let mut state = self.state();
            if state.is_called() {
                return Poll::Ready(());
            }
            state.driver = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Counters {
    /// These, and what `device` has counted.
    fn with(self, device: Option<&dyn NetDevice>) -> Self {
        let (failed, merged) = device.map_or((0, 0), |device| (device.failed(), device.merged()));
        Self { failed: self.failed + failed, merged: self.merged + merged, ..self }
    }
}

impl Default for Interface<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl State<'_> {
    /// Sends a frame, if there is something to send it with, in pieces if it is longer than the `mtu` of its
    /// path; what it returns is to be woken, the driver's task among them.
    pub(super) fn send(&mut self, frame: &mut [u8], mtu: usize) -> Wakers {
        let config = self.config.egress(frame);
        [config, self.transmit(frame, mtu)]
    }

    /// The same with a frame that is not to be looked at for what configures the interface.
    fn transmit(&mut self, frame: &mut [u8], mtu: usize) -> Option<Waker> {
        let device = &mut self.device;
        self.groups.snoop(frame, |group| {
            if let Some(device) = device {
                device.join(group);
            }
        });
        let Some(device) = device else {
            self.counters.lost += 1;
            return None;
        };
        let is_long = frame.len().saturating_sub(ETHERNET_HEADER) > mtu;
        // Room was asked for TCP segments. What is longer takes more, whatever the ring has.
        let is_tcp = || Transport::find(frame).is_some_and(|transport| transport.is_tcp());
        if is_long && !(device.divides() && is_tcp()) {
            self.send_pieces(frame, mtu);
        } else {
            device.send_within(frame, mtu);
        }
        self.counters.sent += 1;
        self.call_driver()
    }

    /// Whether a frame of `length` bytes can be sent now, see [`NetDevice::can_send`]; or lost, if there is
    /// no device.
    pub(super) fn has_room(&mut self, length: usize) -> Result<bool, Error> {
        let is_next = self.send_pieces_left()?;
        let Some(device) = &mut self.device else { return Ok(true) };
        Ok(is_next && device.can_send(length)?)
    }

    /// Sends the pieces that are left of a frame, as far as there is room for them; whether all of them.
    fn send_pieces_left(&mut self) -> Result<bool, Error> {
        let Some(device) = &mut self.device else { return Ok(true) };
        while let Some(piece) = self.pieces.front_mut() {
            if !device.can_send(piece.len())? {
                return Ok(false);
            }
            device.send(piece);
            self.pieces.pop_front();
            self.unpublished = true;
        }
        Ok(true)
    }

    /// Sends a frame in pieces; those for which there is no room go before the next frame.
    fn send_pieces(&mut self, frame: &mut [u8], mtu: usize) {
        let segment = Transport::find(frame).and_then(|transport| Segment::find(frame, transport, mtu));
        let pieces = &mut self.pieces;
        segmentation::divide(frame, segment.as_ref(), mtu, |piece| pieces.push_back(piece.to_vec()));
        // What is wrong is found when the next frame is to be sent.
        let _ = self.send_pieces_left();
    }

    /// Sends a frame that is not the stack's, unless there is no room.
    fn send_if_room(&mut self, frame: &mut [u8]) -> Wakers {
        match self.has_room(frame.len()) {
            Ok(true) => self.send(frame, usize::MAX),
            Ok(false) => [None, None],
            Err(error) => [None, self.fail(error)],
        }
    }

    /// Whether somebody waits for room to send: the stack, or pieces of what it has sent.
    fn waits_for_room(&self) -> bool {
        self.is_full || !self.pieces.is_empty()
    }

    /// The driver's task has something to do.
    fn is_called(&self) -> bool {
        self.unpublished || self.error.is_some()
    }

    /// Has the driver's task publish what was put into the device, once the stack is done.
    pub(super) fn call_driver(&mut self) -> Option<Waker> {
        self.unpublished = true;
        self.driver.take()
    }

    /// The same if something was put into the device that nobody has been told of.
    pub(super) fn call_driver_if_needed(&mut self) -> Option<Waker> {
        if self.unpublished { self.driver.take() } else { None }
    }

    /// Has the driver's task give the device up.
    pub(super) fn fail(&mut self, error: Error) -> Option<Waker> {
        self.error = Some(error);
        self.driver.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::Wake;

    use core::pin::pin;
    use core::task::Context;

    use embassy_net_driver::Driver as _;

    use super::super::config::tests::router;
    use super::super::{StackPort, StackShim};
    use super::*;

    const PROPERTIES: Properties = Properties { mac: [2, 0, 0, 0, 0, 1], mtu: 1500, segments: 1 };

    /// A NIC that has room for so many frames, and receives so many that are damaged. It tells of room once,
    /// to who has found none.
    #[derive(Default)]
    struct Nic {
        room: AtomicUsize,
        is_asked: AtomicBool,
        divides: AtomicBool,
        sent: AtomicUsize,
        damaged: AtomicUsize,
        /// Frames of these lengths are received after those.
        frames: Mutex<VecDeque<usize>>,
    }

    impl Nic {
        fn takes(&self, count: &AtomicUsize) -> bool {
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
        }
    }

    impl NetDevice for Arc<Nic> {
        fn driver(&self) -> &'static str {
            "test"
        }

        fn receive(&mut self, _buffer: &mut [u8]) -> Result<Option<usize>, Error> {
            if self.takes(&self.damaged) { Ok(Some(0)) } else { Ok(self.frames.lock().pop_front()) }
        }

        fn request_event(&mut self) -> Result<bool, Error> {
            Ok(false)
        }

        fn can_send(&mut self, _length: usize) -> Result<bool, Error> {
            let has_room = self.room.load(Ordering::Relaxed) != 0;
            self.is_asked.store(!has_room, Ordering::Relaxed);
            Ok(has_room)
        }

        fn divides(&self) -> bool {
            self.divides.load(Ordering::Relaxed)
        }

        fn send(&mut self, _frame: &mut [u8]) {
            assert!(self.takes(&self.room));
            self.sent.fetch_add(1, Ordering::Relaxed);
        }

        fn publish(&mut self, _now: u64) {}

        fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
            let is_asked = is_full && self.is_asked.load(Ordering::Relaxed);
            Ok(is_asked && self.room.load(Ordering::Relaxed) != 0)
        }

        fn failed(&self) -> u64 {
            0
        }
    }

    /// Counts how often it is woken, and looks whether the interface's lock is free then.
    struct Flag {
        interface: Arc<Interface<'static>>,
        woken: AtomicUsize,
    }

    impl Flag {
        fn on(interface: &Arc<Interface<'static>>) -> Arc<Self> {
            Arc::new(Self { interface: Arc::clone(interface), woken: AtomicUsize::new(0) })
        }

        fn woken(&self) -> usize {
            self.woken.load(Ordering::Relaxed)
        }
    }

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            assert!(self.interface.state.try_lock().is_some(), "it is woken with the lock held");
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn connected() -> (Arc<Interface<'static>>, Arc<Nic>) {
        let (interface, nic) = (Arc::new(Interface::new()), Arc::new(Nic::default()));
        interface.connect(Box::new(Arc::clone(&nic)), PROPERTIES);
        interface.exchange(0).unwrap();
        (interface, nic)
    }

    fn port(interface: &Arc<Interface<'static>>) -> StackPort<'static> {
        StackPort::new(Arc::clone(interface), PROPERTIES, StackShim::new([7; 16], || 0)).unwrap()
    }

    /// A datagram over IPv4 of 1400 bytes: three pieces of 600.
    fn datagram() -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 5, 0x78, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0, 7, 0, 9, 5, 0x64, 0, 0]);
        frame.resize(14 + 1400, 1);
        frame
    }

    #[test]
    fn pieces_that_are_left_leave_when_there_is_room_without_the_stack() {
        let (interface, nic) = connected();
        nic.room.store(1, Ordering::Relaxed);
        drop(interface.state().send(&mut datagram(), 600));
        assert_eq!(nic.sent.load(Ordering::Relaxed), 1);
        assert!(!interface.exchange(0).unwrap());
        nic.room.store(10, Ordering::Relaxed);
        assert!(interface.has_work().unwrap(), "there is room for what waits");
        interface.exchange(0).unwrap();
        assert_eq!(nic.sent.load(Ordering::Relaxed), 3);
        assert!(!interface.has_work().unwrap());
    }

    #[test]
    fn a_stack_that_waits_behind_pieces_is_woken_when_they_have_left() {
        let (interface, nic) = connected();
        nic.room.store(1, Ordering::Relaxed);
        drop(interface.state().send(&mut datagram(), 600));
        let stack = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&stack));
        assert!(port(&interface).transmit(&mut Context::from_waker(&waker)).is_none());
        interface.exchange(0).unwrap();
        assert_eq!(stack.woken(), 0);
        nic.room.store(10, Ordering::Relaxed);
        assert!(interface.exchange(0).unwrap());
        assert_eq!(stack.woken(), 1);
    }

    #[test]
    fn a_stack_without_room_need_not_be_polled_before_it_is_woken() {
        let (interface, nic) = connected();
        let mut port = port(&interface);
        let idle = &mut Context::from_waker(Waker::noop());
        nic.room.store(1, Ordering::Relaxed);
        assert!(port.transmit(idle).is_some());
        assert!(pin!(interface.room()).poll(idle).is_ready());
        nic.room.store(0, Ordering::Relaxed);
        assert!(port.transmit(idle).is_none());
        let task = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&task));
        let mut room = pin!(interface.room());
        for room_found in [0, 3] {
            assert!(room.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(task.woken(), 0);
            nic.room.store(room_found, Ordering::Relaxed);
            interface.exchange(0).unwrap();
        }
        assert_eq!(task.woken(), 1);
        assert!(room.poll(idle).is_ready());
    }

    #[test]
    fn a_stack_that_waits_is_woken_when_somebody_else_has_found_room() {
        let (interface, nic) = connected();
        interface.autoconfigure_ipv6(7);
        let stack = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&stack));
        assert!(port(&interface).transmit(&mut Context::from_waker(&waker)).is_none());
        nic.room.store(10, Ordering::Relaxed);
        (1..3).for_each(|second| drop(interface.configure(&[], Duration::from_secs(second))));
        assert_ne!(nic.sent.load(Ordering::Relaxed), 0, "it asks for routers");
        assert_eq!(stack.woken(), 1);
    }

    #[test]
    fn a_long_datagram_waits_for_room_piece_by_piece_whoever_divides_segments() {
        let (interface, nic) = connected();
        nic.divides.store(true, Ordering::Relaxed);
        nic.room.store(1, Ordering::Relaxed);
        drop(interface.state().send(&mut datagram(), 600));
        nic.room.store(10, Ordering::Relaxed);
        interface.exchange(0).unwrap();
        assert_eq!(nic.sent.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn pieces_that_leave_as_the_stack_looks_for_frames_are_told_of() {
        for looks in [
            |port: &mut StackPort<'static>| port.receive(&mut Context::from_waker(Waker::noop())).is_some(),
            |port: &mut StackPort<'static>| port.transmit(&mut Context::from_waker(Waker::noop())).is_some(),
        ] {
            let (interface, nic) = connected();
            let mut port = port(&interface);
            nic.room.store(1, Ordering::Relaxed);
            drop(interface.state().send(&mut datagram(), 600));
            interface.exchange(0).unwrap();
            let driver = Flag::on(&interface);
            let waker = Waker::from(Arc::clone(&driver));
            assert!(pin!(interface.stack_work()).poll(&mut Context::from_waker(&waker)).is_pending());
            nic.room.store(10, Ordering::Relaxed);
            looks(&mut port);
            assert_eq!((nic.sent.load(Ordering::Relaxed), driver.woken()), (3, 1));
        }
    }

    #[test]
    fn a_stack_with_nothing_but_damaged_frames_is_woken_with_the_lock_free() {
        let (interface, nic) = connected();
        nic.damaged.store(1000, Ordering::Relaxed);
        nic.room.store(10, Ordering::Relaxed);
        let stack = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&stack));
        assert!(port(&interface).receive(&mut Context::from_waker(&waker)).is_none());
        assert_eq!(stack.woken(), 1);
    }

    /// Takes frames of up to 100 bytes.
    struct Short(Arc<Interface<'static>>);

    impl Hook for Short {
        fn takes(&self, frame: &[u8], _gso: Option<GsoInfo>) -> bool {
            assert!(self.0.state.try_lock().is_some(), "it is called with the lock held");
            frame.len() <= 100
        }
    }

    #[test]
    fn what_a_hook_takes_does_not_reach_the_stack_and_the_rest_does() {
        let (interface, nic) = connected();
        nic.room.store(10, Ordering::Relaxed);
        nic.frames.lock().extend([60, 200, 61, 62, 300]);
        interface.set_hook(Arc::new(Short(Arc::clone(&interface))));
        let mut port = port(&interface);
        let mut lengths = Vec::new();
        while let Some((received, _)) = port.receive(&mut Context::from_waker(Waker::noop())) {
            lengths.push(embassy_net_driver::RxToken::consume(received, |frame| frame.len()));
        }
        assert_eq!(lengths, [200, 300]);
        assert_eq!(interface.counters().received, 5);
    }

    #[test]
    fn a_hook_that_takes_all_lets_others_have_their_turn() {
        let (interface, nic) = connected();
        nic.room.store(10, Ordering::Relaxed);
        nic.frames.lock().extend([60; 1000]);
        interface.set_hook(Arc::new(Short(Arc::clone(&interface))));
        let stack = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&stack));
        assert!(port(&interface).receive(&mut Context::from_waker(&waker)).is_none());
        assert_eq!(stack.woken(), 1);
        assert!(nic.frames.lock().len() >= 900);
    }

    #[test]
    fn who_sends_beside_the_stack_waits_for_room_and_is_told_of_it() {
        let (interface, nic) = connected();
        let task = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&task));
        let mut frame = vec![0; 60];
        {
            let mut sent = pin!(interface.forward(&mut frame, usize::MAX));
            assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(task.woken(), 0);
            nic.room.store(1, Ordering::Relaxed);
            interface.exchange(0).unwrap();
            assert_eq!(task.woken(), 1);
            assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        }
        assert_eq!(nic.sent.load(Ordering::Relaxed), 1);
        let mut sent = pin!(interface.forward(&mut frame, usize::MAX));
        assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(interface.disconnect());
        assert!(sent.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(), "it is lost");
    }

    #[test]
    fn a_task_that_waits_for_a_router_is_woken_without_the_lock() {
        let (interface, nic) = connected();
        nic.room.store(10, Ordering::Relaxed);
        interface.autoconfigure_ipv6(7);
        let (mut advertisement, question) = router();
        interface.state().config.ingress(&mut advertisement);
        (1..3).for_each(|second| drop(interface.configure(&[], Duration::from_secs(second))));
        let news = Flag::on(&interface);
        let waker = Waker::from(Arc::clone(&news));
        assert!(pin!(interface.configuration_news()).poll(&mut Context::from_waker(&waker)).is_pending());
        let mut port = port(&interface);
        for _ in 0..3 {
            let sent = port.transmit(&mut Context::from_waker(Waker::noop())).unwrap();
            embassy_net_driver::TxToken::consume(sent, question.len(), |frame| {
                frame.copy_from_slice(&question);
            });
        }
        assert_eq!(news.woken(), 1);
    }
}
