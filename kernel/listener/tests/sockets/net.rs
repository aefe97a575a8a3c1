// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cable with a stack at either end, frames of hosts that are not there, and a clock that goes on only
//! when nothing else does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr,
    TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static ALARMS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Each test has a thread, and each thread its time.
struct Clock;

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        NOW.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        ALARMS.with_borrow_mut(|alarms| alarms.push((at, waker.clone())));
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

/// Runs all tasks until `done`, for so many seconds at most; whether it is done.
pub(crate) fn run(pool: &mut LocalPool, seconds: u64, done: impl Fn() -> bool) -> bool {
    let end = NOW.get() + seconds * 1_000_000_000;
    loop {
        pool.run_until_stalled();
        if done() {
            return true;
        }
        let next = ALARMS.with_borrow(|alarms| alarms.iter().map(|(at, _)| *at).min());
        let Some(next) = next.filter(|next| *next <= end) else {
            NOW.set(end);
            return false;
        };
        NOW.set(NOW.get().max(next));
        let due: Vec<_> =
            ALARMS.with_borrow_mut(|alarms| alarms.extract_if(.., |(at, _)| *at <= next).collect());
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Frames on their way to one end, until the cable is cut.
#[derive(Default)]
pub(crate) struct Way {
    frames: RefCell<VecDeque<Vec<u8>>>,
    waker: RefCell<Option<Waker>>,
    pub(crate) is_cut: Cell<bool>,
}

impl Way {
    pub(crate) fn send(&self, frame: Vec<u8>) {
        if !self.is_cut.get() {
            self.frames.borrow_mut().push_back(frame);
            self.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

struct Port {
    number: u8,
    to_us: Rc<Way>,
    to_them: Rc<Way>,
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

struct Sent(Rc<Way>);

impl TxToken for Sent {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.send(frame);
        result
    }
}

impl Driver for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received, Sent)> {
        self.to_us.waker.replace(Some(context.waker().clone()));
        let frame = self.to_us.frames.borrow_mut().pop_front()?;
        Some((Received(frame), Sent(Rc::clone(&self.to_them))))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sent> {
        Some(Sent(Rc::clone(&self.to_them)))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, self.number])
    }
}

/// A server's stack and a client's, and the cable.
pub(crate) struct Net {
    pub(crate) pool: LocalPool,
    pub(crate) server: Stack<'static>,
    pub(crate) client: Stack<'static>,
    pub(crate) to_server: Rc<Way>,
}

pub(crate) const SERVER: Ipv4Address = Ipv4Address::new(192, 0, 2, 2);
const CLIENT: Ipv4Address = Ipv4Address::new(192, 0, 2, 1);

impl Net {
    pub(crate) fn new() -> Self {
        let pool = LocalPool::new();
        let (to_server, to_client) = (Rc::<Way>::default(), Rc::<Way>::default());
        let port = |number, to_us: &Rc<Way>, to_them: &Rc<Way>| Port {
            number,
            to_us: Rc::clone(to_us),
            to_them: Rc::clone(to_them),
        };
        let server = stack(&pool, port(2, &to_server, &to_client), SERVER);
        let client = stack(&pool, port(1, &to_client, &to_server), CLIENT);
        Self { pool, server, client, to_server }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.pool.spawner().spawn_local(task).unwrap();
    }

    pub(crate) fn run(&mut self, seconds: u64, done: impl Fn() -> bool) -> bool {
        run(&mut self.pool, seconds, done)
    }
}

fn stack(pool: &LocalPool, port: Port, address: Ipv4Address) -> Stack<'static> {
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(address, 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(StackResources::<160>::new()));
    let (stack, mut runner) = embassy_net::new(port, config, resources, 7);
    pool.spawner().spawn_local(async move { runner.run().await }).unwrap();
    stack
}

/// The SYN of a host that will not be there to answer; one of 100 hosts, by a number that is another one each
/// time.
pub(crate) fn syn(number: u16, port: u16) -> Vec<u8> {
    let host = (number % 100) as u8;
    let source = Ipv4Address::new(192, 0, 2, 100 + host);
    let tcp = TcpRepr {
        src_port: 10_000 + number,
        dst_port: port,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(1),
        ack_number: None,
        window_len: 1000,
        window_scale: None,
        max_seg_size: Some(1460),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: SERVER,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 1, host]),
        dst_addr: EthernetAddress([2, 0, 0, 0, 0, 2]),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
    let checksums = ChecksumCapabilities::default();
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut segment, &source.into(), &SERVER.into(), &checksums);
    bytes
}
