// SPDX-License-Identifier: MIT OR Apache-2.0
use core::time::Duration;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use embassy_net_driver::Driver;
use prism_drivers::hal::Interrupt;
use prism_drivers::net::{Error, Interface, Properties, StackPort, StackShim, serve};
use smoltcp::iface::{Config, Interface as Stack, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::network::{Cable, Network};

/// The stack's buffers of a connection, for each direction.
const BUFFER: usize = 128 * 1024;

const PROPERTIES: Properties = Properties { mac: [2, 0, 0, 0, 0, 1], mtu: 1500, segments: 8 };

/// A NIC that is looked at each time.
struct Looks;

impl Interrupt for Looks {
    async fn wait(&self, _most: Duration) {
        let mut looked = false;
        poll_fn(|_| if std::mem::replace(&mut looked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Our stack's device.
struct Ours(StackPort<'static>);

/// The peer's.
struct Theirs(Arc<Mutex<Network>>);

struct Token<T>(T);

impl<T: embassy_net_driver::RxToken> RxToken for Token<T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        self.0.consume(|frame| take(frame))
    }
}

impl<T: embassy_net_driver::TxToken> TxToken for Token<T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, make: F) -> R {
        self.0.consume(length, make)
    }
}

impl Device for Ours {
    type RxToken<'a> = Token<<StackPort<'static> as Driver>::RxToken<'a>>;
    type TxToken<'a> = Token<<StackPort<'static> as Driver>::TxToken<'a>>;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (received, sent) = self.0.receive(&mut context())?;
        Some((Token(received), Token(sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        self.0.transmit(&mut context()).map(Token)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.0.capabilities().max_transmission_unit;
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::None;
        capabilities
    }
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

struct Sender(Arc<Mutex<Network>>);

impl TxToken for Sender {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, make: F) -> R {
        let mut frame = vec![0; length];
        let result = make(&mut frame);
        self.0.lock().unwrap().send(frame);
        result
    }
}

impl Device for Theirs {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sender;

    fn receive(&mut self, _now: Instant) -> Option<(Frame, Sender)> {
        let frame = self.0.lock().unwrap().receive()?;
        Some((Frame(frame), Sender(Arc::clone(&self.0))))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sender> {
        Some(Sender(Arc::clone(&self.0)))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

struct Host<D> {
    device: D,
    stack: Stack,
    sockets: SocketSet<'static>,
}

impl<D> Host<D> {
    /// Sends what there is room for; returns how much that is.
    fn send(&mut self, socket: SocketHandle, bytes: &[u8]) -> usize {
        let socket = self.sockets.get_mut::<Socket>(socket);
        if socket.can_send() { socket.send_slice(bytes).unwrap() } else { 0 }
    }

    /// Takes all that has come.
    fn take(&mut self, socket: SocketHandle, arrived: &mut Vec<u8>) {
        let socket = self.sockets.get_mut::<Socket>(socket);
        while socket.can_recv() {
            socket.recv(|part| (part.len(), arrived.extend_from_slice(part))).unwrap();
        }
    }
}

impl<D: Device> Host<D> {
    fn new(mut device: D, number: u8) -> Self {
        let mac = EthernetAddress([2, 0, 0, 0, 0, number]);
        let mut config = Config::new(mac.into());
        config.random_seed = number.into();
        let mut stack = Stack::new(config, &mut device, Instant::ZERO);
        stack.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address(true, number), 24)).unwrap();
            addresses.push(IpCidr::new(address(false, number), 64)).unwrap();
        });
        Self { device, stack, sockets: SocketSet::new(Vec::new()) }
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        self.sockets.add(Socket::new(buffer(), buffer()))
    }
}

fn address(is_ipv4: bool, number: u8) -> IpAddress {
    match is_ipv4 {
        true => IpAddress::v4(192, 0, 2, number),
        false => IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
    }
}

/// Both hosts, and a clock that runs when they wait.
pub(crate) struct World {
    pub(crate) network: Arc<Mutex<Network>>,
    ours: Host<Ours>,
    theirs: Host<Theirs>,
    driver: Pin<Box<dyn Future<Output = Error>>>,
    clock: Arc<AtomicU64>,
    connections: u16,
}

/// Who begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    Us,
    Peer,
}

impl World {
    pub(crate) fn new(network: Arc<Mutex<Network>>) -> Self {
        let interface = Arc::new(Interface::new());
        let clock = Arc::new(AtomicU64::new(0));
        let (now, cable) = (Arc::clone(&clock), Cable(Arc::clone(&network)));
        let shim = StackShim::new([7; 16], move || now.load(Ordering::Relaxed));
        let port = StackPort::new(Arc::clone(&interface), PROPERTIES, shim).unwrap();
        let driver = Box::pin(async move { serve(&interface, cable, PROPERTIES, &Looks).await });
        let (ours, theirs) = (Host::new(Ours(port), 1), Host::new(Theirs(Arc::clone(&network)), 2));
        Self { network, ours, theirs, driver, clock, connections: 0 }
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed) / 1_000_000
    }

    fn instant(&self) -> Instant {
        Instant::from_micros((self.clock.load(Ordering::Relaxed) / 1000) as i64)
    }

    /// Has everybody do what there is to do, and the time pass until there is more: a millisecond at least.
    pub(crate) fn step(&mut self) {
        for _ in 0..4 {
            let now = self.instant();
            assert!(self.driver.as_mut().poll(&mut context()).is_pending());
            self.ours.stack.poll(now, &mut self.ours.device, &mut self.ours.sockets);
            assert!(self.driver.as_mut().poll(&mut context()).is_pending());
            self.theirs.stack.poll(now, &mut self.theirs.device, &mut self.theirs.sockets);
        }
        self.clock.fetch_add(1_000_000, Ordering::Relaxed);
        self.network.lock().unwrap().tick();
    }

    /// Makes a connection; our socket's and the peer's.
    pub(crate) fn connect(&mut self, opener: Opener, is_ipv4: bool) -> (SocketHandle, SocketHandle) {
        let (ours, theirs) = (self.ours.socket(), self.theirs.socket());
        self.connections += 1;
        let local = 50_000 + self.connections;
        match opener {
            Opener::Us => {
                self.theirs.sockets.get_mut::<Socket>(theirs).listen(80).unwrap();
                let socket = self.ours.sockets.get_mut::<Socket>(ours);
                socket.connect(self.ours.stack.context(), (address(is_ipv4, 2), 80), local).unwrap();
            }
            Opener::Peer => {
                self.ours.sockets.get_mut::<Socket>(ours).listen(80).unwrap();
                let socket = self.theirs.sockets.get_mut::<Socket>(theirs);
                socket.connect(self.theirs.stack.context(), (address(is_ipv4, 1), 80), local).unwrap();
            }
        }
        (ours, theirs)
    }

    /// Has us send `bytes` to the peer, and returns what arrived, within `most` milliseconds.
    pub(crate) fn transfer(
        &mut self,
        (ours, theirs): (SocketHandle, SocketHandle),
        bytes: &[u8],
        most: u64,
    ) -> Vec<u8> {
        let take = |world: &mut Self, arrived: &mut Vec<u8>| world.theirs.take(theirs, arrived);
        self.carry(bytes, most, |world, bytes| world.ours.send(ours, bytes), take)
    }

    /// The same in the other direction.
    pub(crate) fn receive(
        &mut self,
        (ours, theirs): (SocketHandle, SocketHandle),
        bytes: &[u8],
        most: u64,
    ) -> Vec<u8> {
        let take = |world: &mut Self, arrived: &mut Vec<u8>| world.ours.take(ours, arrived);
        self.carry(bytes, most, |world, bytes| world.theirs.send(theirs, bytes), take)
    }

    /// Has `send` send what it can of `bytes` again and again, and returns what `take` got.
    fn carry(
        &mut self,
        bytes: &[u8],
        most: u64,
        send: impl Fn(&mut Self, &[u8]) -> usize,
        take: impl Fn(&mut Self, &mut Vec<u8>),
    ) -> Vec<u8> {
        let (mut sent, mut arrived, end) = (0, Vec::new(), self.now() + most);
        while arrived.len() < bytes.len() && self.now() < end {
            sent += send(self, &bytes[sent..]);
            self.step();
            take(self, &mut arrived);
        }
        arrived
    }

    /// Closes our end, and waits until the peer has.
    pub(crate) fn close(&mut self, (ours, theirs): (SocketHandle, SocketHandle)) {
        self.ours.sockets.get_mut::<Socket>(ours).close();
        for _ in 0..100 {
            self.step();
        }
        assert!(!self.theirs.sockets.get_mut::<Socket>(theirs).may_recv());
    }
}
