// SPDX-License-Identifier: MIT OR Apache-2.0
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use embassy_net_driver::{Driver, LinkState, RxToken, TxToken};
use futures::future::{Either, select};
use prism_drivers::hal::Platform;
use prism_drivers::net::netfront::{NetFront, RingPages};
use prism_drivers::net::{Error, Interface, Properties, StackPort, StackShim};
use prism_drivers::sim::{Clock, SimPlatform};
use xen::fake::Config;
use xen::grant::Reference;
use xen::xenbus::{self, Device, Ended, Failure, State, StepLimit};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::netif::{NETIF_RSP_OKAY, NETRXF_more_data, XEN_NETIF_EXTRA_TYPE_MCAST_ADD};

use crate::backend::{Backend, DOMAIN, PAGES, frame, platform};
use crate::failing;
use crate::segments::datagram;

const FRONTEND: &str = "/local/domain/1/device/vif/0";
const BACKEND: &str = "/local/domain/3/backend/vif/1/0";
const MAC: [u8; 6] = [0, 0x16, 0x3e, 0, 0, 1];

/// Changes a frontend that is to be run.
type Configure = fn(NetFront<'_, SimPlatform>) -> NetFront<'_, SimPlatform>;

/// Times to look for packets: longer than any test, and shorter than it.
const LONG: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_micros(20);

struct Guest {
    xenstored: Xenstored,
    client: Client,
    platform: SimPlatform,
}

impl Guest {
    fn new() -> Self {
        let xenstored = Xenstored::new(page());
        let client = Client::new(xenstored.page());
        let guest = Self { xenstored, client, platform: platform() };
        guest.plug_in();
        guest
    }

    /// One whose grant table has so many frames.
    fn with_grant_frames(max_grant_frames: u32) -> Self {
        let config = Config { max_grant_frames, max_grant_version: 1, ..Config::default() };
        let mut guest = Self::new();
        guest.platform = SimPlatform::with(Clock::Stopped, config);
        guest
    }

    /// What toolstack and backend do for a new interface.
    fn plug_in(&self) {
        let write = |path: String, value: &str| self.xenstored.write(&path, value);
        write(format!("{FRONTEND}/backend"), BACKEND);
        write(format!("{FRONTEND}/backend-id"), "3");
        write(format!("{FRONTEND}/state"), "1");
        write(format!("{FRONTEND}/mac"), "00:16:3e:00:00:01");
        self.xenstored.give(FRONTEND, 1);
        self.xenstored.give(&format!("{FRONTEND}/state"), 1);
        write(format!("{BACKEND}/online"), "1");
        write(format!("{BACKEND}/feature-rx-copy"), "1");
        self.be(State::InitWait);
    }

    /// Saves the guest, and restores it where its interface is made anew.
    fn migrate(&self) {
        self.platform.migrate();
        self.xenstored.migrate();
        self.plug_in();
        self.client.restore(self.xenstored.page());
    }

    fn be(&self, state: State) {
        self.xenstored.write(&format!("{BACKEND}/state"), state.number().to_string());
    }

    fn read(&self, key: &str) -> Option<String> {
        let value = self.xenstored.read(&format!("{FRONTEND}/{key}"))?;
        Some(String::from_utf8(value).unwrap())
    }

    /// Has the backend connect, and returns the stack's end.
    async fn connect<'k>(&self, interface: &Arc<Interface<'k>>) -> StackPort<'k> {
        self.be(State::Connected);
        let port = StackPort::new(Arc::clone(interface), interface.connected().await, shim()).unwrap();
        a_while().await;
        port
    }

    /// Waits for the frontend, and has a backend connect to it; returns that and the stack's end.
    async fn connected<'k>(&self, interface: &Arc<Interface<'k>>) -> (Backend, StackPort<'k>) {
        self.until(State::Connected).await;
        let backend = self.backend();
        (backend, self.connect(interface).await)
    }

    /// Has the backend, which the frontend has left, come back.
    async fn restart(&self) {
        self.be(State::Closed);
        self.until(State::Initialising).await;
        self.be(State::InitWait);
    }

    /// Takes the interface away: the backend does not come back.
    async fn unplug(&self) {
        self.xenstored.write(&format!("{BACKEND}/online"), "0");
        self.be(State::Closed);
        a_while().await;
    }

    async fn until(&self, state: State) {
        for _ in 0..20_000 {
            if self.read("state") == Some(state.number().to_string()) {
                return;
            }
            yield_now().await;
        }
        panic!("the frontend is {:?}, not {state:?}", self.read("state"));
    }

    /// Connects to the rings that the frontend tells of.
    fn backend(&self) -> Backend {
        self.backend_of("")
    }

    /// Connects to the rings of which it tells by keys that begin with `prefix`.
    fn backend_of(&self, prefix: &str) -> Backend {
        let number = |key: &str| self.read(&format!("{prefix}{key}")).unwrap().parse().unwrap();
        let [transmit, receive] = ["tx-ring-ref", "rx-ring-ref"].map(number);
        let reference = |number: u32| Reference::new(number).unwrap();
        Backend::new(self.platform.peer(DOMAIN), reference(transmit), reference(receive))
    }

    fn port(&self) -> u32 {
        self.read("event-channel").unwrap().parse().unwrap()
    }

    /// Runs the driver beside `script`, which is given the interface, and says how it ended, if it
    /// did before the script.
    fn play(&self, script: impl AsyncFnOnce(&Arc<Interface<'_>>)) -> Option<Ended<Error>> {
        self.play_with(RingPages { transmit: 32, ..PAGES }, |front| front, script)
    }

    fn play_with(
        &self,
        pages: RingPages,
        configure: Configure,
        script: impl AsyncFnOnce(&Arc<Interface<'_>>),
    ) -> Option<Ended<Error>> {
        let interface = Arc::new(Interface::new());
        let driver = async {
            let limit = StepLimit::new(Duration::from_secs(10));
            loop {
                let device = Device::open(&self.client, FRONTEND).await.unwrap();
                let mut front = configure(NetFront::new(&self.platform, Arc::clone(&interface), pages));
                let run = xenbus::run(&device, &mut front, &self.platform, &limit);
                let ended = failing::driver(run).await;
                if ended != Ended::Restored {
                    break ended;
                }
            }
        };
        self.xenstored.run(&self.client, async {
            match select(Box::pin(driver), Box::pin(script(&interface))).await {
                Either::Left((ended, script)) => {
                    script.await;
                    Some(ended)
                }
                Either::Right(((), driver)) => {
                    drop(driver);
                    None
                }
            }
        })
    }
}

fn shim() -> StackShim<'static> {
    StackShim::new([7; 16], || 0)
}

fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
}

async fn a_while() {
    for _ in 0..50 {
        yield_now().await;
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn send(port: &mut StackPort<'_>, payload: &[u8]) {
    send_frame(port, &frame(payload));
}

fn send_frame(port: &mut StackPort<'_>, packet: &[u8]) {
    port.transmit(&mut context()).unwrap().consume(packet.len(), |buffer| buffer.copy_from_slice(packet));
}

fn received(port: &mut StackPort<'_>) -> Option<Vec<u8>> {
    let (packet, _) = port.receive(&mut context())?;
    Some(packet.consume(|bytes| bytes.to_vec()))
}

#[test]
fn a_small_grant_table_is_left_to_others_by_half() {
    let guest = Guest::with_grant_frames(1);
    let pages = RingPages { receive: 256, transmit: 256 };
    let ended = guest.play_with(
        pages,
        |front| front,
        async |interface| {
            let (backend, mut port) = guest.connected(interface).await;
            assert_eq!(backend.room(), 128);
            assert!(guest.platform.grants().report().available() >= 504 / 2);
            send(&mut port, b"a frame");
            a_while().await;
            assert!(backend.take().unwrap().bytes.ends_with(b"a frame"));
        },
    );
    assert_eq!(ended, None);
}

#[test]
fn an_interface_is_connected_and_packets_go_both_ways() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{FRONTEND}/mtu"), "9000");
    guest.xenstored.write(&format!("{BACKEND}/feature-sg"), "1");
    let ended = guest.play(async |interface| {
        guest.until(State::Connected).await;
        for key in
            ["request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6"]
        {
            assert_eq!(guest.read(key).as_deref(), Some("1"), "{key}");
        }
        let backend = guest.backend();
        guest.be(State::Connected);
        let properties = interface.connected().await;
        assert_eq!(properties, Properties { mac: MAC, mtu: 9000, segments: 8 });
        let mut port = StackPort::new(Arc::clone(interface), properties, shim()).unwrap();
        assert_eq!(port.capabilities().max_transmission_unit, 14 + 65535, "the stack divides nothing");
        assert!(port.link_state(&mut context()) == LinkState::Up);

        let far = guest.platform.far_end(guest.port());
        a_while().await;
        let told = far.events();
        send(&mut port, b"one");
        send(&mut port, b"two");
        a_while().await;
        assert_eq!(far.events(), told + 1, "two packets in one go");
        assert_eq!(backend.take().unwrap().bytes.last(), Some(&b'e'));
        assert_eq!(backend.take().unwrap().bytes.last(), Some(&b'o'));

        assert_eq!(received(&mut port), None);
        backend.deliver(&frame(b"answer"));
        far.notify();
        a_while().await;
        assert_eq!(received(&mut port), Some(frame(b"answer")));
        assert_eq!((interface.counters().sent, interface.counters().received), (2, 1));

        guest.be(State::Closing);
        guest.until(State::Closed).await;
        assert!(port.link_state(&mut context()) == LinkState::Up, "backends come back");
        drop(backend);
        guest.unplug().await;
    });
    assert_eq!(ended, Some(Ended::Gone));
}

#[test]
fn a_backend_with_split_event_channels_is_notified_on_each_alone() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/feature-split-event-channels"), "1");
    guest.play(async |interface| {
        guest.until(State::Connected).await;
        let [transmit, receive] = ["event-channel-tx", "event-channel-rx"]
            .map(|key| guest.platform.far_end(guest.read(key).unwrap().parse().unwrap()));
        assert_eq!(guest.read("event-channel"), None);
        let backend = guest.backend();
        let mut port = guest.connect(interface).await;
        let before = (transmit.events(), receive.events());
        send(&mut port, b"out");
        a_while().await;
        assert!(backend.take().is_some());
        assert_eq!((transmit.events(), receive.events()), (before.0 + 1, before.1));
        assert_eq!(received(&mut port), None);
        backend.deliver(&frame(b"in"));
        receive.notify();
        a_while().await;
        assert_eq!(received(&mut port), Some(frame(b"in")));
    });
}

#[test]
fn events_without_work_are_told_of_until_one_comes_with_a_packet() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        let far = guest.platform.far_end(guest.port());
        let before = far.in_vain();
        for storm in 1..=10 {
            far.notify();
            a_while().await;
            assert_eq!(far.in_vain(), before + storm);
        }
        backend.deliver(&frame(b"in"));
        far.notify();
        a_while().await;
        assert_eq!(far.in_vain(), 0);
        far.notify();
        a_while().await;
        // The stack takes it, then sends, before the event is looked at.
        assert_eq!(received(&mut port), Some(frame(b"in")));
        send(&mut port, b"out");
        far.notify();
        a_while().await;
        assert_eq!(far.in_vain(), 0);
    });
}

#[test]
fn an_interface_of_a_restored_guest_connects_to_a_backend_that_offers_less() {
    let guest = Guest::new();
    for key in ["feature-split-event-channels", "feature-sg", "feature-gso-tcpv4"] {
        guest.xenstored.write(&format!("{BACKEND}/{key}"), "1");
    }
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        send(&mut port, b"before");
        a_while().await;
        assert!(backend.take().is_some());
        // What is under way is lost, as on any network.
        backend.deliver(&frame(b"lost"));
        send(&mut port, b"lost");
        guest.migrate();
        drop(backend);
        assert!(port.link_state(&mut context()) == LinkState::Up, "the stack's addresses stay");
        guest.until(State::Connected).await;
        let backend = guest.backend();
        guest.be(State::Connected);
        a_while().await;
        assert_eq!((guest.platform.channels(), interface.counters().connections), (1, 2));
        send(&mut port, b"after");
        a_while().await;
        assert_eq!(backend.take().unwrap().bytes.last(), Some(&b'r'));
        assert_eq!(received(&mut port), None);
        backend.deliver(&frame(b"in"));
        guest.platform.far_end(guest.port()).notify();
        a_while().await;
        assert_eq!(received(&mut port), Some(frame(b"in")));
    });
}

/// How often somebody was woken.
#[derive(Default)]
struct Wakes(AtomicU32);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Pages for four queues.
const MANY: RingPages = RingPages { receive: 256, transmit: 128 };

#[test]
fn flows_are_spread_over_the_queues_that_both_sides_have() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/multi-queue-max-queues"), "3");
    guest.play_with(
        MANY,
        |front| front.with_queues(8),
        async |interface| {
            guest.until(State::Connected).await;
            assert_eq!(guest.read("multi-queue-num-queues").as_deref(), Some("3"));
            assert_eq!((guest.read("tx-ring-ref"), guest.read("event-channel")), (None, None));
            let prefixes = ["queue-0/", "queue-1/", "queue-2/"];
            let backends = prefixes.map(|prefix| guest.backend_of(prefix));
            let far = prefixes
                .map(|prefix| guest.read(&format!("{prefix}event-channel")).unwrap().parse().unwrap())
                .map(|port| guest.platform.far_end(port));
            let mut port = guest.connect(interface).await;

            let flow = |port: u8| {
                let mut packet = frame(b"payload");
                packet[35] = port;
                packet
            };
            for round in 0..3 {
                for flow in (0..9).map(flow) {
                    let token = port.transmit(&mut context()).unwrap();
                    token.consume(flow.len(), |buffer| buffer.copy_from_slice(&flow));
                }
                a_while().await;
                let mut ports = backends.each_ref().map(|backend| {
                    std::iter::from_fn(|| backend.take()).map(|sent| sent.bytes[35]).collect::<Vec<_>>()
                });
                assert!(ports.iter().all(|ports| ports.len() >= 2), "round {round}: {ports:?}");
                ports.iter_mut().for_each(|ports| assert!(ports.is_sorted(), "they were sent in this order"));
            }

            for (number, backend) in backends.iter().enumerate() {
                backend.deliver(&flow(number as u8));
            }
            far[2].notify();
            a_while().await;
            let mut all: Vec<_> =
                std::iter::from_fn(|| received(&mut port)).map(|packet| packet[35]).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        },
    );
}

#[test]
fn a_packet_in_parts_of_one_queue_is_not_mixed_with_those_of_another() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/multi-queue-max-queues"), "2");
    guest.play_with(
        MANY,
        |front| front.with_queues(2),
        async |interface| {
            guest.until(State::Connected).await;
            let [one, other] = ["queue-0/", "queue-1/"].map(|prefix| guest.backend_of(prefix));
            let mut port = guest.connect(interface).await;
            let (first, second) = (frame(&[1; 100]), frame(&[2; 100]));
            one.part(0, &first[..50], |response| response.flags |= NETRXF_more_data);
            one.publish();
            other.deliver(&second);
            assert_eq!(received(&mut port), None, "the first has to be whole before");
            one.part(0, &first[50..], |_| {});
            one.publish();
            let mut all = [received(&mut port).unwrap(), received(&mut port).unwrap()];
            all.sort();
            assert_eq!(all, [first, second]);
            assert_eq!(received(&mut port), None);
        },
    );
}

#[test]
fn only_a_full_queue_is_waited_for() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/multi-queue-max-queues"), "2");
    guest.play_with(
        MANY,
        |front| front.with_queues(2),
        async |interface| {
            guest.until(State::Connected).await;
            let backends = ["queue-0/", "queue-1/"].map(|prefix| guest.backend_of(prefix));
            let mut port = guest.connect(interface).await;
            let mut flows = [frame(b"one"), frame(b"two")];
            flows[1][35] += 2;
            let mut send = |flow: &Vec<u8>| match port.transmit(&mut context()) {
                Some(token) => {
                    token.consume(flow.len(), |buffer| buffer.copy_from_slice(flow));
                    true
                }
                None => false,
            };
            // Each queue's backend is through with a packet, which nobody has taken back.
            assert!(flows.iter().all(&mut send));
            a_while().await;
            for backend in &backends {
                let sent = backend.take().unwrap();
                backend.answer(0, sent.ids[0], NETIF_RSP_OKAY);
            }
            while send(&flows[0]) {
                a_while().await;
            }
            let wakes = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&wakes));
            assert!(port.transmit(&mut Context::from_waker(&waker)).is_none());
            a_while().await;
            assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "the queue that is full has no news");
            assert_eq!(backends.iter().filter(|backend| backend.take().is_some()).count(), 1);
        },
    );
}

#[test]
fn a_stack_without_room_is_woken_for_room_and_for_no_frames() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let woken = || wakes.0.swap(0, Ordering::Relaxed);
        while let Some(token) = port.transmit(&mut Context::from_waker(&waker)) {
            let flow = frame(b"one");
            token.consume(flow.len(), |buffer| buffer.copy_from_slice(&flow));
        }
        let far = guest.platform.far_end(guest.port());
        a_while().await;
        let sent: Vec<_> = core::iter::from_fn(|| backend.take()).collect();
        let mut told = 0;
        for (packet, index) in sent.iter().zip(0..) {
            backend.deliver(&frame(b"an acknowledgement"));
            backend.answer(index, packet.ids[0], NETIF_RSP_OKAY);
            far.notify();
            a_while().await;
            told += u32::from(woken() != 0);
            assert_eq!(told != 0, index + 1 >= sent.len() as u32 / 2, "{index} of {}", sent.len());
        }
        assert_eq!(told, 1, "who was told is not told again before it looks");
        assert!(port.receive(&mut Context::from_waker(&waker)).is_some());
    });
}

#[test]
fn polled_packets_need_no_event_until_a_poll_fails() {
    let cases: [(Configure, bool); 2] = [(|front| front, false), (|front| front.with_poll(LONG), true)];
    for (configure, is_found) in cases {
        let guest = Guest::new();
        guest.play_with(PAGES, configure, async |interface| {
            let (backend, mut port) = guest.connected(interface).await;
            // An event for the first packet is asked for before anybody looks.
            backend.deliver(&frame(b"first"));
            assert!(received(&mut port).is_some());
            for number in 0..10 {
                let wakes = Arc::new(Wakes::default());
                let waker = Waker::from(Arc::clone(&wakes));
                assert!(port.receive(&mut Context::from_waker(&waker)).is_none());
                a_while().await;
                backend.part(0, &frame(&[number]), |_| ());
                assert_eq!(backend.publish(), !is_found, "whether it wants to be told");
                a_while().await;
                assert_eq!(wakes.0.load(Ordering::Relaxed) > 0, is_found);
                assert_eq!(received(&mut port), Some(frame(&[number])));
            }
        });
    }
    let guest = Guest::new();
    guest.play_with(
        PAGES,
        |front| front.with_poll(SHORT),
        async |interface| {
            let (backend, mut port) = guest.connected(interface).await;
            backend.deliver(&frame(b"first"));
            assert!(received(&mut port).is_some());
            assert_eq!(received(&mut port), None);
            a_while().await;
            backend.part(0, &frame(b"late"), |_| ());
            assert!(backend.publish(), "it is not looked for any more");
        },
    );
}

#[test]
fn damaged_packets_do_not_use_the_pages_up() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        let mut damaged = frame(b"damaged");
        damaged[40] = 1;
        for _ in 0..5 {
            while backend.room() > 0 {
                backend.deliver(&damaged);
            }
            assert_eq!(received(&mut port), None);
            a_while().await;
        }
        assert_eq!(interface.counters().damaged, 5 * 32);
        backend.deliver(&frame(b"good"));
        assert_eq!(received(&mut port), Some(frame(b"good")));
    });
}

#[test]
fn a_backend_with_several_queues_gets_as_many_as_there_are_pages_for() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/multi-queue-max-queues"), "8");
    guest.xenstored.write(&format!("{FRONTEND}/multi-queue-num-queues"), "5");
    guest.xenstored.give(&format!("{FRONTEND}/multi-queue-num-queues"), 1);
    guest.play_with(
        PAGES,
        |front| front.with_queues(8),
        async |_| {
            guest.until(State::Connected).await;
            assert_eq!(guest.read("multi-queue-num-queues"), None, "a key of a former life");
            assert!(guest.read("tx-ring-ref").is_some());
        },
    );
}

#[test]
fn a_backend_that_takes_no_packets_in_several_pages_gets_none() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{FRONTEND}/mtu"), "9000");
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        assert_eq!(interface.connected().await.mtu, 1500);
        send(&mut port, &[b'.'; 8000]);
        a_while().await;
        let sent: Vec<_> = core::iter::from_fn(|| backend.take()).collect();
        assert!(sent.iter().all(|sent| sent.bytes.len() <= 1514), "a packet has more");
    });
}

#[test]
fn a_network_with_a_larger_mtu_does_not_get_longer_packets() {
    let guest = Guest::new();
    guest.play(async |interface| {
        for (mtu, expected) in [("1500", 1500), ("9000", 1500), ("1400", 1400)] {
            guest.xenstored.write(&format!("{FRONTEND}/mtu"), mtu);
            guest.until(State::Connected).await;
            let backend = guest.backend();
            guest.be(State::Connected);
            a_while().await;
            assert_eq!(interface.connected().await.mtu, expected);
            guest.be(State::Closing);
            guest.until(State::Closed).await;
            drop(backend);
            guest.restart().await;
        }
    });
}

/// A SYN over IPv4 whose sender takes segments of 1460 bytes.
const SYN: &[u8] = &[
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 44, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192,
    0, 2, 2, 0, 80, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 1, 0, 0, 0, 0, 0, 2, 4, 0x05, 0xb4,
];

#[test]
fn the_stack_makes_longer_segments_than_the_network_has_and_peers_do_not_know() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        let mut right = SYN.to_vec();
        prism_drivers::net::fill_checksum(&mut right);
        backend.deliver(&right);
        let raised = received(&mut port).unwrap();
        assert_eq!(raised[56..], 11680_u16.to_be_bytes());
        let (_, token) = {
            backend.deliver(&right);
            port.receive(&mut context()).unwrap()
        };
        token.consume(raised.len(), |frame| frame.copy_from_slice(&raised));
        a_while().await;
        assert_eq!(backend.take().unwrap().bytes[56..], 1460_u16.to_be_bytes());
    });
}

#[test]
fn what_is_sent_while_nobody_is_connected_is_lost_and_counted() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let mut port =
            StackPort::new(Arc::clone(interface), Properties { mac: MAC, mtu: 1500, segments: 8 }, shim())
                .unwrap();
        send(&mut port, b"lost");
        assert_eq!(interface.counters().lost, 1);
        assert_eq!(received(&mut port), None);
    });
}

#[test]
fn short_frames_beside_the_stack_leave_room_for_its_long_ones() {
    let guest = Guest::new();
    guest.play(async |interface| {
        let mut port = guest.connect(interface).await;
        // The interface tells neighbors of the address by itself.
        let _ = interface.configure(&["192.0.2.1".parse().unwrap()], Duration::ZERO);
        assert!(port.transmit(&mut context()).is_some());
    });
}

#[test]
fn a_backend_that_breaks_the_protocol_is_left_and_connected_anew() {
    let guest = Guest::new();
    let ended = guest.play(async |interface| {
        for round in 1..4 {
            guest.until(State::Connected).await;
            let backend = guest.backend();
            guest.be(State::Connected);
            while interface.counters().connections < round {
                yield_now().await;
            }
            a_while().await;
            let mut port = StackPort::new(
                Arc::clone(interface),
                Properties { mac: MAC, mtu: 1500, segments: 8 },
                shim(),
            )
            .unwrap();
            backend.deliver(&frame(b"good"));
            assert_eq!(received(&mut port), Some(frame(b"good")));
            backend.part(0, &frame(b"bad"), |response| response.id ^= 1);
            backend.publish();
            assert_eq!(received(&mut port), None);
            guest.until(State::Closed).await;
            drop(backend);
            guest.restart().await;
        }
        guest.until(State::Connected).await;
        guest.unplug().await;
    });
    assert_eq!(ended, Some(Ended::Gone));
}

#[test]
fn a_backend_that_keeps_pages_of_each_connection_is_refused_at_a_limit() {
    let guest = Guest::new();
    let mut kept = Vec::new();
    let ended = guest.play(async |interface| {
        for round in 1..=33 {
            guest.until(State::Connected).await;
            guest.be(State::Connected);
            while interface.counters().connections < round {
                yield_now().await;
            }
            a_while().await;
            kept.extend(guest.backend().keep_pages());
            guest.be(State::Closing);
            guest.until(State::Closed).await;
            guest.restart().await;
        }
        for _ in 0..5000 {
            let is_closed = guest.read("state") == Some(State::Closed.number().to_string());
            guest.be(if is_closed { State::Closed } else { State::InitWait });
            yield_now().await;
        }
    });
    let pages = 1056;
    assert_eq!(ended, Some(Ended::Failed(Failure::Driver(Error::Quarantine(pages)))));
    drop(kept);
    assert_eq!(guest.platform.grants().retry_quarantine(), pages);
}

#[test]
fn an_interface_of_a_network_with_a_small_mtu_is_connected() {
    for mtu in [68, 576, 1279] {
        let guest = Guest::new();
        guest.xenstored.write(&format!("{FRONTEND}/mtu"), mtu.to_string());
        guest.play(async |interface| {
            let (backend, mut port) = guest.connected(interface).await;
            assert!(!interface.connected().await.takes_ipv6());
            send_frame(&mut port, &datagram(220, 0, 0));
            a_while().await;
            let sent: Vec<_> = std::iter::from_fn(|| backend.take()).collect();
            assert!(sent.iter().all(|sent| sent.bytes.len() <= 14 + mtu));
            assert_eq!(sent.len(), 208_usize.div_ceil((mtu - 20) / 8 * 8));
        });
    }
}

#[test]
fn a_backend_that_cannot_copy_is_given_up_after_some_tries() {
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/feature-rx-copy"), "0");
    let ended = guest.play(async |_| {
        for _ in 0..5000 {
            let is_closed = guest.read("state") == Some(State::Closed.number().to_string());
            guest.be(if is_closed { State::Closed } else { State::InitWait });
            yield_now().await;
        }
    });
    assert_eq!(ended, Some(Ended::Failed(Failure::Driver(Error::NoCopy))));
}

/// The groups that the backend is asked for before the next packet.
fn groups(backend: &Backend) -> Vec<[u8; 6]> {
    let asked = std::iter::from_fn(|| backend.take()).map_while(|sent| {
        let extra = sent.extra?;
        assert_eq!((extra.r#type, extra.flags), (XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0));
        let bytes: Vec<u8> = extra.u.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.try_into().ok()
    });
    let mut groups: Vec<_> = asked.collect();
    groups.sort();
    groups
}

/// A report of 239.1.2.3, which the stack has joined.
const REPORT: [u8; 42] = [
    0x01, 0, 0x5e, 1, 2, 3, 0, 0x16, 0x3e, 0, 0, 1, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 192, 0, 2,
    1, 239, 1, 2, 3, 0x16, 0, 0, 0, 239, 1, 2, 3,
];

#[test]
fn a_backend_with_multicast_control_is_asked_for_the_groups_at_each_connection() {
    const OF_ALL: [[u8; 6]; 2] = [[0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]];
    const JOINED: [u8; 6] = [0x01, 0, 0x5e, 1, 2, 3];
    let guest = Guest::new();
    guest.xenstored.write(&format!("{BACKEND}/feature-multicast-control"), "1");
    guest.play(async |interface| {
        guest.until(State::Connected).await;
        assert_eq!(guest.read("request-multicast-control").as_deref(), Some("1"));
        let backend = guest.backend();
        let mut port = guest.connect(interface).await;
        assert_eq!(groups(&backend), OF_ALL);
        for _ in 0..2 {
            send_frame(&mut port, &REPORT);
        }
        a_while().await;
        assert_eq!(backend.take().unwrap().bytes, REPORT);
        assert_eq!(backend.take().unwrap().bytes, REPORT);
        assert_eq!(groups(&backend), [JOINED], "once");

        guest.be(State::Closing);
        guest.until(State::Closed).await;
        drop(backend);
        guest.be(State::InitWait);
        guest.until(State::Connected).await;
        let backend = guest.backend();
        guest.be(State::Connected);
        interface.connected().await;
        a_while().await;
        assert_eq!(groups(&backend), [OF_ALL[0], JOINED, OF_ALL[1]]);

        guest.be(State::Closing);
        guest.until(State::Closed).await;
        drop(backend);
        guest.xenstored.write(&format!("{BACKEND}/feature-multicast-control"), "0");
        guest.be(State::InitWait);
        guest.until(State::Connected).await;
        assert_eq!(guest.read("request-multicast-control"), None);
    });
}

#[test]
fn any_page_that_there_is_no_memory_for_costs_an_attempt_at_most() {
    for others in 0.. {
        let guest = Guest::new();
        guest.platform.refuse_page_after(others);
        connect_and_use(&guest);
        if !guest.platform.has_refused() {
            return assert_ne!(others, 0);
        }
    }
}

#[test]
fn any_large_allocation_of_an_interface_that_fails_costs_an_attempt_at_most() {
    for others in 0.. {
        failing::fail_after(others);
        connect_and_use(&Guest::new());
        if !failing::has_failed() {
            return;
        }
    }
}

#[test]
fn a_stack_that_there_is_no_memory_for_is_none() {
    let interface = Arc::new(Interface::new());
    let properties = Properties { mac: MAC, mtu: 1500, segments: 1 };
    for others in 0..3 {
        failing::fail_after(others);
        let port = failing::at_once(|| StackPort::new(Arc::clone(&interface), properties, shim()));
        // It has a buffer for each direction.
        assert_eq!((port.is_none(), failing::has_failed()), (others < 2, others < 2), "{others}");
    }
}

/// Packets go both ways, whatever it took.
fn connect_and_use(guest: &Guest) {
    let ended = guest.play(async |interface| {
        let (backend, mut port) = guest.connected(interface).await;
        backend.deliver(&frame(b"in"));
        assert_eq!(received(&mut port), Some(frame(b"in")));
        send(&mut port, b"out");
        a_while().await;
        assert!(backend.take().unwrap().bytes.ends_with(b"out"));
    });
    assert_eq!(ended, None);
}
