// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host: an interface, the task that drives it, the stack, and what keeps that configured.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, ConfigV6, Ipv6Cidr, Stack, StackResources, StaticConfigV6};
use embassy_time::{Instant, Timer};
use prism_drivers::hal::Interrupt;
use prism_drivers::net::{Error, Interface, NetDevice, Properties, StackPort, StackShim, serve};

use super::clock;
use super::network::Network;

pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PROPERTIES: Properties = Properties { mac: MAC, mtu: 1500, segments: 8 };

/// Polls in which time does not pass: more are a loop without end.
const MAX_AT_ONCE: usize = 1000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A host.
pub(crate) struct Host {
    pub(crate) interface: Arc<Interface<'static>>,
    pub(crate) stack: Stack<'static>,
    /// How often tasks were polled, but for the one that drives the interface.
    pub(crate) polls: usize,
    cable: Cable,
    tasks: Vec<(Task, Arc<Flag>)>,
    driver: Option<(Task, Arc<Flag>)>,
}

/// What is on the other side of the interface.
#[derive(Clone)]
struct Cable {
    network: Arc<Mutex<Network>>,
    is_cut: Arc<AtomicBool>,
    waker: Rc<RefCell<Option<Waker>>>,
}

/// Whether a task was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Host {
    /// A host whose stack begins with `config`, and asks routers, in `network`.
    pub(crate) fn new(config: Config, network: Network) -> Self {
        let interface = Arc::new(Interface::new());
        let resources = Box::leak(Box::new(StackResources::<8>::new()));
        let shim = StackShim::new([7; 16], clock::now);
        let port = StackPort::new(Arc::clone(&interface), PROPERTIES, shim).unwrap();
        let (stack, runner) = embassy_net::new(port, config, resources, 7);
        let runner = Box::leak(Box::new(runner));
        let cable =
            Cable { network: Arc::new(Mutex::new(network)), is_cut: Arc::default(), waker: Rc::default() };
        let (tasks, driver) = (Vec::new(), None);
        let mut host = Self { interface, stack, polls: 0, cable, tasks, driver };
        host.connect();
        host.run(Duration::ZERO);
        host.interface.autoconfigure_ipv6(7);
        host.spawn(async { runner.run().await });
        let interface = Arc::clone(&host.interface);
        host.spawn(keep(interface, stack));
        host
    }

    /// Connects it to its network.
    pub(crate) fn connect(&mut self) {
        self.cable.is_cut.store(false, Ordering::Relaxed);
        let (interface, cable) = (Arc::clone(&self.interface), self.cable.clone());
        let wire = Plug(Arc::clone(&cable.network), Arc::clone(&cable.is_cut));
        let drive = async move { drop(serve(&interface, wire, PROPERTIES, &cable).await) };
        self.driver = Some(task(drive));
    }

    /// Ends what drives it.
    pub(crate) fn disconnect(&mut self) {
        self.cable.is_cut.store(true, Ordering::Relaxed);
        self.cable.raise();
    }

    /// The network that it is in.
    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.cable.network.lock().unwrap()
    }

    /// Has it receive `frame`.
    pub(crate) fn receive(&mut self, frame: Vec<u8>) {
        self.network().inbox.push_back(frame);
        self.cable.raise();
    }

    /// Has it send a datagram to a host that only a gateway reaches, and listen for answers.
    pub(crate) fn send_far_away(&mut self) {
        let stack = self.stack;
        self.spawn(async move {
            let (mut metadata, mut others) = ([PacketMetadata::EMPTY; 2], [PacketMetadata::EMPTY; 2]);
            let (mut received, mut sent) = ([0; 64], [0; 64]);
            let mut socket = UdpSocket::new(stack, &mut metadata, &mut received, &mut others, &mut sent);
            socket.bind(1000).unwrap();
            let far = (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 2000);
            let _ = socket.send_to(b"hello", far).await;
            Timer::after_secs(100).await;
        });
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.tasks.push(task(future));
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = clock::now() + time.as_nanos() as u64;
        let (mut since, mut at_once) = (clock::now(), 0);
        loop {
            while self.poll() {
                at_once += 1;
                assert!(at_once < MAX_AT_ONCE, "tasks are never done");
            }
            at_once += 1;
            if !clock::advance(end) && clock::now() >= end {
                return;
            }
            if clock::now() != since {
                (since, at_once) = (clock::now(), 0);
            }
        }
    }

    /// Polls the tasks that were woken; false if there were none.
    fn poll(&mut self) -> bool {
        let mut woken = 0;
        self.tasks.retain_mut(|task| poll(task, &mut woken));
        self.polls += woken;
        self.driver.as_mut().is_some_and(|driver| {
            let is_done = !poll(driver, &mut woken);
            is_done && woken > 0
        }) || woken > 0
    }
}

fn task(future: impl Future<Output = ()> + 'static) -> (Task, Arc<Flag>) {
    (Box::pin(future), Arc::new(Flag(AtomicBool::new(true))))
}

/// Polls a task if it was woken; false if it has ended.
fn poll((task, flag): &mut (Task, Arc<Flag>), woken: &mut usize) -> bool {
    if !flag.0.swap(false, Ordering::Relaxed) {
        return true;
    }
    *woken += 1;
    let waker = Waker::from(Arc::clone(flag));
    task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
}

/// What the kernel does to keep a stack configured.
async fn keep(interface: Arc<Interface<'static>>, stack: Stack<'static>) {
    loop {
        let ipv4 = stack.config_v4().map(|config| IpAddr::from(config.address.address()));
        let ipv6 = stack.config_v6().map(|config| IpAddr::from(config.address.address()));
        let addresses: Vec<IpAddr> = [ipv4, ipv6].into_iter().flatten().collect();
        let due = interface.configure(&addresses, Duration::from_nanos(clock::now()));
        if let Some(config) = due.ipv6 {
            stack.set_config_v6(config.address.map_or(ConfigV6::None, |(address, prefix)| {
                let address = Ipv6Cidr::new(address, prefix);
                ConfigV6::Static(StaticConfigV6 {
                    address,
                    gateway: config.gateway,
                    dns_servers: Default::default(),
                })
            }));
            interface.wake_stack();
            continue;
        }
        let at = due.next.map_or(u64::MAX, |next| next.as_nanos() as u64);
        let _ = embassy_futures::select::select(
            Timer::at(Instant::from_nanos(at)),
            interface.configuration_news(),
        )
        .await;
    }
}

impl Cable {
    fn raise(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Interrupt for Cable {
    fn wait(&self, _limit: Duration) -> impl Future<Output = ()> {
        let mut is_first = true;
        poll_fn(move |context| {
            if !core::mem::replace(&mut is_first, false) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
    }

    fn now(&self) -> u64 {
        clock::now()
    }
}

/// The interface's end of a cable.
struct Plug(Arc<Mutex<Network>>, Arc<AtomicBool>);

impl NetDevice for Plug {
    fn driver(&self) -> &'static str {
        "plug"
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(frame) = self.0.lock().unwrap().inbox.pop_front() else { return Ok(None) };
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(Some(frame.len()))
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        Ok(!self.0.lock().unwrap().inbox.is_empty())
    }

    fn can_send(&mut self, _length: usize) -> Result<bool, Error> {
        Ok(true)
    }

    fn send(&mut self, frame: &mut [u8]) {
        self.0.lock().unwrap().take(frame);
    }

    fn publish(&mut self, _now: u64) {}

    fn needs_poll(&mut self, _is_full: bool) -> Result<bool, Error> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Error::Nic("its cable was cut"));
        }
        Ok(!self.0.lock().unwrap().inbox.is_empty())
    }

    fn failed(&self) -> u64 {
        0
    }
}
