// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use arbitrary::Arbitrary;
use embassy_net_driver::{Driver, RxToken, TxToken};
use prism_drivers::hal::Interrupt;
use prism_drivers::net::{
    Error, Interface, NetDevice, Properties, StackPort, StackShim, fill_checksum, serve, verify_checksum,
};
use prism_fuzz::fuzz_target;

const SECOND: u64 = 1_000_000_000;
const MTU: usize = 1500;
/// Kinds of ICMP messages: errors and echoes of both, and what neighbors say.
const KINDS: [u8; 12] = [0, 1, 2, 3, 4, 8, 128, 129, 133, 134, 135, 136];
const PROPERTIES: Properties = Properties { mac: [2, 0, 0, 0, 0, 1], mtu: MTU, segments: 8 };

#[derive(Arbitrary, Debug)]
enum Step {
    /// The network sends a frame.
    Receive(Frame),
    /// The stack does.
    Send(Frame),
    /// Time passes, and what is due is done.
    Wait(u8),
}

#[derive(Arbitrary, Debug)]
enum Frame {
    /// Whatever it is.
    Bytes(Vec<u8>),
    /// A packet between two of a few addresses, with a byte that is another one than it should be.
    Packet { is_ipv4: bool, ends: u8, content: Content, damage: Option<(u8, u8)> },
}

#[derive(Arbitrary, Debug)]
enum Content {
    Segment {
        ports: [u8; 2],
        flags: u8,
        numbers: [u8; 2],
        window: u16,
        options: Vec<u8>,
        payload: u16,
    },
    Datagram {
        ports: [u8; 2],
        payload: Vec<u8>,
    },
    /// A router's, or by IPv4 nothing.
    Advertisement {
        lifetime: u8,
        prefixes: Vec<(u8, u8)>,
    },
    Icmp {
        kind: u8,
        code: u8,
        word: u32,
        quoted: Option<Box<(u8, [u8; 2], u8)>>,
        rest: Vec<u8>,
    },
}

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (has_prefixes, steps) = input;
    let clock = Arc::new(AtomicU64::new(SECOND));
    let interface = Arc::new(Interface::new());
    let network = Arc::new(Mutex::new(Network::default()));
    let mut driver = Box::pin(serve(&interface, Cable(Arc::clone(&network)), PROPERTIES, &Line));
    drive(&mut driver);
    let now = Arc::clone(&clock);
    let shim = StackShim::new([7; 16], move || now.load(Ordering::Relaxed));
    let mut port = StackPort::new(Arc::clone(&interface), PROPERTIES, shim).unwrap();
    interface.autoconfigure_ipv6(7);
    if has_prefixes {
        let content = Content::Advertisement { lifetime: 255, prefixes: vec![(1, 255), (2, 255), (3, 255)] };
        let frame = Frame::Packet { is_ipv4: false, ends: 0, content, damage: None };
        receive(&mut port, &network, frame.bytes(false));
        for second in 1..4 {
            let _ = interface.configure(&[], Duration::from_secs(second));
        }
        clock.store(3 * SECOND, Ordering::Relaxed);
    }
    for step in steps.iter().take(300) {
        match step {
            Step::Receive(frame) => receive(&mut port, &network, frame.bytes(false)),
            Step::Send(frame) => send(&mut port, &network, &frame.bytes(true)),
            Step::Wait(tenths) => {
                clock.fetch_add(u64::from(*tenths) * SECOND / 10, Ordering::Relaxed);
                let now = Duration::from_nanos(clock.load(Ordering::Relaxed));
                let due = interface.configure(&[], now);
                assert!(due.ipv6.is_some() || due.next.is_none_or(|next| next > now));
            }
        }
        drive(&mut driver);
    }
});

/// The stack receives `frame`, perhaps several times.
fn receive(port: &mut StackPort<'_>, network: &Mutex<Network>, frame: Vec<u8>) {
    let (length, was_right) = (frame.len(), sums_are_right(&frame));
    network.lock().unwrap().inbox.push_back(frame);
    for _ in 0..8 {
        let Some((received, _)) = port.receive(&mut Context::from_waker(Waker::noop())) else { return };
        received.consume(|frame| {
            assert_eq!(frame.len(), length);
            assert!(!was_right || sums_are_right(frame));
        });
    }
    panic!("a frame comes again and again");
}

/// The stack sends `frame`.
fn send(port: &mut StackPort<'_>, network: &Mutex<Network>, frame: &[u8]) {
    let was_right = sums_are_right(frame);
    network.lock().unwrap().outbox.clear();
    let token = port.transmit(&mut Context::from_waker(Waker::noop())).expect("there is room");
    token.consume(frame.len(), |place| place.copy_from_slice(frame));
    for mut sent in network.lock().unwrap().outbox.drain(..) {
        assert!(sent.len() <= frame.len().max(14 + MTU));
        assert!(!was_right || sums_are_right(&sent));
        fill_checksum(&mut sent);
        assert!(verify_checksum(&sent));
    }
}

/// Whether the sums that the boundary has to keep right are: of IPv4's header and of ICMPv6. TCP's and UDP's
/// are not looked at by the stack, and filled in behind the boundary.
fn sums_are_right(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([8, 0]) => {
            let words = frame.get(14).map_or(0, |first| usize::from(first & 0xf));
            frame.get(14..14 + words * 4).is_some_and(|header| words >= 5 && folded(header, 0) == 0xffff)
        }
        Some([0x86, 0xdd]) if frame.get(20) == Some(&58) && frame.len() >= 54 => {
            let length = usize::from(u16::from_be_bytes([frame[18], frame[19]]));
            let message = frame.get(54..54 + length);
            message.is_some_and(|message| {
                folded(&[&frame[22..54], message].concat(), length as u32 + 58) == 0xffff
            })
        }
        _ => true,
    }
}

fn folded(bytes: &[u8], mut sum: u32) -> u32 {
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

impl Frame {
    /// Its bytes, of what we send or what a peer sends.
    fn bytes(&self, is_ours: bool) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.iter().copied().chain([0; 14]).take(1500).collect(),
            Self::Packet { is_ipv4, ends, content, damage } => {
                let (protocol, body) = content.bytes(*is_ipv4, is_ours);
                let mut frame = packet(*is_ipv4, *ends, is_ours, protocol, &body);
                if let Some((place, byte)) = damage
                    && let Some(damaged) = frame.get_mut(usize::from(*place))
                {
                    *damaged = *byte;
                }
                frame
            }
        }
    }
}

/// A packet with right sums of IPv4 and ICMPv6.
fn packet(is_ipv4: bool, ends: u8, is_ours: bool, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    let (ours, theirs) = (ends & 3, 8 + (ends >> 2 & 3));
    let [source, destination] = if is_ours { [ours, theirs] } else { [theirs, ours] };
    if is_ipv4 {
        let mut header = vec![0x45, 0];
        header.extend((20 + body.len() as u16).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, source, 192, 0, 2, destination]);
        let sum = !folded(&header, 0) as u16;
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend([8, 0]);
        frame.extend(header);
        frame.extend(body);
    } else {
        let address = |number: u8| {
            // The link-local ones, and those of a few prefixes.
            let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1];
            if number != 8 && number != 0 {
                address[..8].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, number]);
            }
            address
        };
        let addresses = [address(source), address(destination)].concat();
        let mut body = body.to_vec();
        if protocol == 58 {
            let sum = !folded(&[addresses.as_slice(), &body].concat(), body.len() as u32 + 58) as u16;
            body[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((body.len() as u16).to_be_bytes());
        frame.extend([protocol, 255]);
        frame.extend(addresses);
        frame.extend(body);
    }
    frame
}

impl Content {
    /// Its protocol and its bytes.
    fn bytes(&self, is_ipv4: bool, is_ours: bool) -> (u8, Vec<u8>) {
        let mut body = Vec::new();
        match self {
            Self::Segment { ports, flags, numbers, window, options, payload } => {
                body.extend(of_ports(*ports, is_ours));
                numbers.iter().for_each(|number| body.extend(u32::from(*number).to_be_bytes()));
                let options = &options[..(options.len() / 4 * 4).min(40)];
                body.extend([((20 + options.len()) as u8 / 4) << 4, *flags]);
                body.extend(window.to_be_bytes());
                body.extend([0; 4]);
                body.extend(options);
                // The stack's are longer than the network takes.
                body.resize(body.len() + usize::from(*payload % if is_ours { 8000 } else { 1400 }), 1);
                (6, body)
            }
            Self::Datagram { ports, payload } => {
                body.extend(of_ports(*ports, is_ours));
                body.extend((8 + payload.len() as u16).to_be_bytes());
                body.extend([0, 0]);
                body.extend(payload);
                (17, body)
            }
            Self::Advertisement { lifetime, prefixes } => {
                body.extend([134, 0, 0, 0, 64, 0, 0, *lifetime, 0, 0, 0, 0, 0, 0, 0, 0]);
                for (number, preferred) in prefixes.iter().take(20) {
                    body.extend([3, 4, 64, 0xc0, 0, 0, 0, 255, 0, 0, 0, *preferred, 0, 0, 0, 0]);
                    body.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, number & 3, 0, 0, 0, 0, 0, 0, 0, 0]);
                }
                (58, body)
            }
            Self::Icmp { kind, code, word, quoted, rest } => {
                body.extend([KINDS[usize::from(*kind) % KINDS.len()], *code, 0, 0]);
                body.extend(word.to_be_bytes());
                if let Some(quoted) = quoted {
                    let (ends, ports, sequence) = **quoted;
                    let mut transport = of_ports(ports, true).to_vec();
                    transport.extend(u32::from(sequence).to_be_bytes());
                    transport.resize(20, 0);
                    body.extend(&packet(is_ipv4, ends, true, 6, &transport)[14..]);
                }
                body.extend(rest);
                if is_ipv4 {
                    let sum = !folded(&body, 0) as u16;
                    body[2..4].copy_from_slice(&sum.to_be_bytes());
                }
                (if is_ipv4 { 1 } else { 58 }, body)
            }
        }
    }
}

/// Well-known ports and dynamic ones.
fn of_ports([ours, theirs]: [u8; 2], is_ours: bool) -> [u8; 4] {
    let port = |number: u8| match number {
        0..=127 => u16::from(number),
        _ => 49152 + u16::from(number - 128),
    };
    let [source, destination] =
        if is_ours { [ours, theirs] } else { [theirs, ours] }.map(port).map(u16::to_be_bytes);
    [source[0], source[1], destination[0], destination[1]]
}

/// Lets the driver's task do what it can.
fn drive<F: Future>(driver: &mut Pin<Box<F>>) {
    let _ = driver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

/// What is on its way.
#[derive(Default)]
struct Network {
    inbox: VecDeque<Vec<u8>>,
    outbox: Vec<Vec<u8>>,
}

/// The interface's end of a cable.
struct Cable(Arc<Mutex<Network>>);

impl NetDevice for Cable {
    fn driver(&self) -> &'static str {
        "cable"
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
        self.0.lock().unwrap().outbox.push(frame.to_vec());
    }

    fn publish(&mut self, _now: u64) {}

    fn needs_poll(&mut self, _is_full: bool) -> Result<bool, Error> {
        Ok(false)
    }

    fn failed(&self) -> u64 {
        0
    }
}

/// An interrupt that has always come.
struct Line;

impl Interrupt for Line {
    fn wait(&self, _limit: Duration) -> impl Future<Output = ()> {
        let mut is_first = true;
        std::future::poll_fn(move |_| match std::mem::replace(&mut is_first, false) {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        })
    }

    fn now(&self) -> u64 {
        0
    }
}
