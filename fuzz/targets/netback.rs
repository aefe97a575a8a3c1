// SPDX-License-Identifier: MIT OR Apache-2.0

use std::task::Poll;
use std::time::Duration;

use arbitrary::Arbitrary;
use futures::future::join;
use prism_drivers::net::GsoInfo;
use prism_drivers::net::bridge::{Bridge, Checksum, Packet, Port, Source};
use prism_drivers::net::netback::NetBack;
use prism_drivers::sim::{Clock, FarEnd, SimPlatform};
use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::fake::{FrontRing, Peer};
use xen::grant::Reference;
use xen::xenbus::State;
use xen::xenbus::backend::{Device, Ended, run};
use xen::xenstore::Client;
use xen::xenstore::fake::{Xenstored, page};
use xen_sys::io::netif::*;

const BACKEND: &str = "/local/domain/1/backend/vif/7/0";
const FRONTEND: &str = "/local/domain/7/device/vif/0";
const DOMAIN: DomainId = DomainId(7);
const LIMIT: Duration = Duration::from_secs(10);
const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// What a frontend may say of itself.
const KEYS: [&str; 6] = [
    "feature-sg",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "feature-rx-notify",
];

#[derive(Arbitrary, Debug)]
enum Step {
    /// A request to transmit, of a page with a frame, or of another one.
    Request {
        page: u8,
        offset: u16,
        flags: u8,
        id: u16,
        size: u16,
    },
    Extra {
        kind: u8,
        flags: u8,
        words: [u16; 3],
    },
    /// The guest shows what it has written, and perhaps more, or less.
    Show {
        transmit: bool,
        lie: i8,
    },
    /// A page to receive into, which may be one for reading only.
    Page {
        page: u8,
        id: u16,
    },
    /// The network sends a frame, or segments that are one.
    Deliver {
        length: u16,
        size: Option<u16>,
    },
    /// The guest forges what is not its to write.
    Forge {
        transmit: bool,
        index: u32,
    },
    Notify,
    /// The guest's state.
    Be(u8),
    /// The backend's turn.
    Wait,
}

// Whatever a frontend does: nobody on the network hears of it but by its own address, there are never more
// responses than requests, and its pages are its own again when it has gone.
fuzz_target!(|input: (u8, Vec<Step>)| {
    let (keys, steps) = input;
    let xenstored = Xenstored::new(page());
    let client = Client::new(xenstored.page());
    let platform = SimPlatform::new(Clock::ExpiresAtOnce);
    let bridge = Bridge::new();
    let own = [("frontend", FRONTEND), ("frontend-id", "7"), ("online", "1"), ("mac", "02:00:00:00:00:01")];
    for (key, value) in own.into_iter().chain([("state", "1")]) {
        xenstored.write(&format!("{BACKEND}/{key}"), value);
        xenstored.give(&format!("{BACKEND}/{key}"), 1);
    }
    xenstored.give(BACKEND, 1);
    xenstored.write(&format!("{FRONTEND}/state"), "1");
    let guest = Guest::new(&xenstored, &platform, keys);
    let network = bridge.attach(Source::Any, 1500).expect("a port");
    let serve = async {
        let device = Device::open(&client, "backend/vif/7/0").await.expect("it is there");
        let mut back = NetBack::new(&platform, &bridge, |_: &_| ());
        run(&device, &mut back, &platform, LIMIT).await
    };
    let (ended, ()) = xenstored.run(&client, join(serve, guest.play(&network, &steps)));
    assert_eq!(ended, Ended::Removed);
    assert_eq!(platform.channels(), 0);
    for ring in [&guest.transmit, &guest.receive] {
        assert!(ring.references().iter().all(|page| guest.peer.withdraw(*page)));
    }
});

struct Guest<'m> {
    xenstored: &'m Xenstored,
    peer: Peer,
    transmit: FrontRing,
    receive: FrontRing,
    channel: FarEnd,
    /// Pages with a frame; the last can only be read.
    pages: Vec<Reference>,
}

impl<'m> Guest<'m> {
    fn new(xenstored: &'m Xenstored, platform: &SimPlatform, keys: u8) -> Self {
        let peer = platform.peer(DOMAIN);
        let transmit = FrontRing::make(&peer, 1, size_of::<netif_tx_request>());
        let receive = FrontRing::make(&peer, 1, size_of::<netif_rx_request>());
        let write = |key: &str, value: String| xenstored.write(&format!("{FRONTEND}/{key}"), value);
        write("tx-ring-ref", transmit.references()[0].to_string());
        write("rx-ring-ref", receive.references()[0].to_string());
        write("event-channel", "5".into());
        write("request-rx-copy", "1".into());
        for (bit, key) in KEYS.into_iter().enumerate() {
            write(key, (keys >> bit & 1).to_string());
        }
        let frame = segments(OTHER, GUEST, 4000);
        let mut pages: Vec<_> = (0..3).map(|_| peer.offer_to_write(&frame)).collect();
        pages.push(peer.offer_to_read(&frame));
        let channel = platform.open_port(DOMAIN, 5);
        Self { xenstored, peer, transmit, receive, channel, pages }
    }

    fn be(&self, state: u32) {
        self.xenstored.write(&format!("{FRONTEND}/state"), state.to_string());
    }

    fn page(&self, page: u8) -> u32 {
        self.pages.get(usize::from(page % 6)).map_or(u32::from(page), |page| page.number())
    }

    async fn play(&self, network: &Port<'_>, steps: &[Step]) {
        self.wait(20).await;
        self.be(State::Connected.number());
        self.wait(20).await;
        let (mut sent, mut offered) = (0_u32, 0_u32);
        for step in steps.iter().take(200) {
            match *step {
                Step::Request { page, offset, flags, id, size } => {
                    let gref = self.page(page);
                    let flags = u16::from(flags);
                    self.transmit.request(sent, netif_tx_request { gref, offset, flags, id, size });
                    sent = sent.wrapping_add(1);
                }
                Step::Extra { kind, flags, words } => {
                    self.transmit.request(sent, netif_extra_info { r#type: kind, flags, u: words });
                    sent = sent.wrapping_add(1);
                }
                Step::Page { page, id } => {
                    let gref = self.page(page);
                    self.receive.request(offered, netif_rx_request { id, pad: 0, gref });
                    offered = offered.wrapping_add(1);
                }
                Step::Show { transmit, lie } => {
                    let off = if (-100..100).contains(&lie) { 0 } else { i32::from(lie) };
                    let (ring, count) =
                        if transmit { (&self.transmit, sent) } else { (&self.receive, offered) };
                    if ring.publish(count.wrapping_add_signed(off)) {
                        self.channel.notify();
                    }
                }
                Step::Deliver { length, size } => {
                    let bytes = segments(GUEST, OTHER, usize::from(length).min(65_000));
                    let gso = size.map(|size| GsoInfo { size, kind: XEN_NETIF_GSO_TYPE_TCPV4 });
                    Packet::new(bytes, Checksum::Blank, gso).into_iter().for_each(|all| network.send(all, 0));
                }
                Step::Forge { transmit, index } => {
                    let ring = if transmit { &self.transmit } else { &self.receive };
                    ring.forge_responses(index);
                }
                Step::Notify => self.channel.notify(),
                Step::Be(state) => self.be(u32::from(state % 8)),
                Step::Wait => self.wait(5).await,
            }
            while let Some(packet) = network.take() {
                assert_eq!(packet.bytes()[6..12], GUEST);
                assert!(packet.longest() <= 1514 + 4);
            }
        }
        self.be(State::Closed.number());
        self.xenstored.write(&format!("{BACKEND}/online"), "0");
        self.xenstored.write(&format!("{BACKEND}/state"), "5");
    }

    async fn wait(&self, turns: usize) {
        for _ in 0..turns {
            yield_now().await;
        }
    }
}

/// TCP segments over IPv4 with so much payload.
fn segments(to: [u8; 6], from: [u8; 6], payload: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[8, 0, 0x45, 0]].concat();
    frame.extend((40 + payload as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0, 80, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    frame.resize(54 + payload, 7);
    frame
}

/// Lets the others go on.
async fn yield_now() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
