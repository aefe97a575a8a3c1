// SPDX-License-Identifier: MIT OR Apache-2.0

use arbitrary::Arbitrary;
use prism_drivers::net::MAX_FRAME;
use prism_drivers::net::netfront::{BackendFeatures, QueuePair, RingPages};
use prism_drivers::sim::{Clock, SimPlatform};
use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::fake::{BackRing, Peer};
use xen::grant::Reference;
use xen_sys::io::netif::*;

const BACKEND: DomainId = DomainId(3);
const PAGES: RingPages = RingPages { receive: 32, transmit: 16 };
const MTU: usize = 1500;
/// The longest payload that the stack makes for that.
const MAX: u16 = 8 * 1460;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The backend writes into the page whose turn it is, and answers; the id is right unless it is
    /// another one.
    Answer { offset: u16, flags: u8, status: i16, other_id: Option<u16> },
    /// The backend uses the turn for extra information.
    Extra { kind: u8, flags: u8, words: [u16; 3] },
    /// The backend shows all that it has answered, and perhaps more, or less.
    Show(i8),
    /// The frontend receives.
    Receive,
    /// The frontend sends a frame, if there is room.
    Send { length: u16, fill: u8 },
    /// The frontend sends a TCP segment, if there is room: of one of a few flows, where it left off or
    /// elsewhere.
    Segment { flow: u8, gap: bool, flags: u8, length: u16 },
    /// The backend answers what was sent.
    Sent { id: u16, status: i16, right: bool },
    /// The frontend shows what it did.
    Publish,
    /// The stack joins a multicast group.
    Join([u8; 6]),
    /// The frontend asks for events.
    Listen,
    /// The frontend looks after what it was not told of.
    Look,
}

fuzz_target!(|input: (bool, bool, bool, Vec<Step>)| {
    let (checksum_ipv4, checksum_ipv6, segments, steps) = input;
    let platform = SimPlatform::new(Clock::Stopped);
    let features = BackendFeatures {
        rx_copy: true,
        scatter_gather: true,
        checksum_ipv4,
        checksum_ipv6,
        gso_ipv4: segments,
        gso_ipv6: segments,
        multicast_control: true,
        split_channels: false,
        queues: 1,
    };
    let mut pair = QueuePair::new(&platform, BACKEND, features, PAGES, MTU).expect("there is memory");
    let peer = platform.peer(BACKEND);
    let mut backend = Backend::new(&peer, pair.references().map(|reference| reference.expect("a ring")));
    let mut buffer = vec![0; MAX_FRAME];
    let mut broken = false;
    let mut sequences = [0_u32; 4];
    for step in steps.iter().take(200) {
        match step {
            Step::Receive => match pair.receive(&mut buffer) {
                Ok(Some(length)) => assert!(!broken && (length == 0 || (14..=MAX_FRAME).contains(&length))),
                Ok(None) => assert!(!broken),
                Err(_) => broken = true,
            },
            Step::Send { length, fill } => {
                let mut frame = vec![*fill; usize::from(*length).max(14)];
                if let Ok(true) = pair.can_send(frame.len()) {
                    pair.send(&mut frame);
                }
            }
            Step::Segment { flow, gap, flags, length } => {
                let sequence = &mut sequences[usize::from(flow % 4)];
                *sequence = sequence.wrapping_add(u32::from(*gap));
                let mut frame = segment(flow % 4, *sequence, *flags, (*length).min(MAX));
                *sequence = sequence.wrapping_add(u32::from((*length).min(MAX)));
                if let Ok(true) = pair.can_send(frame.len()) {
                    pair.send(&mut frame);
                }
            }
            Step::Publish => {
                let _ = pair.publish();
            }
            Step::Join(group) => pair.join(*group),
            Step::Listen => drop(pair.request_event()),
            Step::Look => drop(pair.poll_deferred()),
            step => backend.play(&peer, step),
        }
    }
});

/// A TCP segment over IPv4, or of odd flows over IPv6.
fn segment(flow: u8, sequence: u32, flags: u8, length: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    if flow & 1 == 0 {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((40 + length).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((20 + length).to_be_bytes());
        frame.extend([6; 34]);
    }
    frame.extend([0, flow, 0, 9]);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 7, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    frame.resize(frame.len() + usize::from(length), flow);
    frame
}

struct Backend {
    transmit: BackRing,
    receive: BackRing,
    received: u32,
    sent: u32,
}

impl Backend {
    fn new(peer: &Peer, [transmit, receive]: [Reference; 2]) -> Self {
        let ring = |reference, entry| BackRing::map_references(peer, [reference].into_iter(), entry);
        Self {
            transmit: ring(transmit, size_of::<netif_tx_request>()),
            receive: ring(receive, size_of::<netif_rx_request>()),
            received: 0,
            sent: 0,
        }
    }

    fn play(&mut self, peer: &Peer, step: &Step) {
        let room = self.receive.requests().wrapping_sub(self.received);
        assert!(room <= PAGES.receive as u32 || self.received > self.receive.requests());
        match step {
            Step::Answer { offset, flags, status, other_id } => {
                let request: netif_rx_request = self.receive.request(self.received);
                // Every page that is offered can be written to.
                if (1..=PAGES.receive as u32).contains(&room) {
                    let page = Reference::new(request.gref).expect("a grant");
                    peer.map_to_write(page).expect("granted").write(0, &[0x55; 64]);
                }
                let id = other_id.unwrap_or(request.id);
                let (offset, flags) = (*offset, u16::from(*flags));
                self.receive.respond(self.received, netif_rx_response { id, offset, flags, status: *status });
                self.received = self.received.wrapping_add(1);
            }
            Step::Extra { kind, flags, words } => {
                let extra = netif_extra_info { r#type: *kind, flags: *flags, u: *words };
                self.receive.respond(self.received, extra);
                self.received = self.received.wrapping_add(1);
            }
            Step::Show(lie) => {
                let off = if (-100..100).contains(lie) { 0 } else { i32::from(*lie) };
                self.receive.publish(self.received.wrapping_add_signed(off));
                self.transmit.publish(self.sent.wrapping_add_signed(off));
            }
            Step::Sent { id, status, right } => {
                let request: netif_tx_request = self.transmit.request(self.sent);
                let id = if *right { request.id } else { *id };
                let status = if *right { NETIF_RSP_OKAY } else { *status };
                self.transmit.respond(self.sent, netif_tx_response { id, status });
                self.sent = self.sent.wrapping_add(1);
            }
            _ => {}
        }
    }
}
