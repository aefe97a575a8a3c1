// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking a host for answers: ICMP's echo (RFC 792, RFC 4443).

use alloc::boxed::Box;
use core::net::{IpAddr, Ipv6Addr};

use prism::embassy_net::Stack;
use prism::embassy_net::icmp::{
    ChecksumCapabilities, IcmpEndpoint, IcmpSocket, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr,
    PacketMetadata,
};
use prism::task::{Either, Instant, Timer, select, with_timeout};
use prism::{entropy, network, println};

use crate::{Call, Running};

/// Requests, if nothing else is said, and at most.
const COUNT: u16 = 4;
const MAX_COUNT: u16 = 1000;
/// What an answer has to bring back, and a request's length with its header.
const DATA: &[u8; 56] = b"Prism asks for an echo: 0123456789 abcdefghijklmnopqrstu";
const LENGTH: usize = 8 + DATA.len();
/// Seconds from one request to the next, and that an answer may take.
const INTERVAL: u64 = 1;
const ANSWER: prism::task::Duration = prism::task::Duration::from_secs(2);

pub(crate) fn ping(call: Call<'_>) -> Running<'_> {
    Box::pin(async move {
        let Call { arguments, keyboard, .. } = call;
        let mut words = arguments.split_whitespace();
        let address: IpAddr = words.next().unwrap_or_default().parse().map_err(|_| "say which IP ADDRESS")?;
        let count = words.next().map_or(Ok(COUNT), str::parse).ok();
        let count = count.filter(|count| (1..=MAX_COUNT).contains(count)).ok_or("COUNT is 1 to 1000")?;
        let stack = stack_for(address).ok_or("no interface has an address of its kind")?;
        let mut answers = Answers::default();
        match select(ask(stack, address, count, &mut answers), keyboard.interrupted()).await {
            Either::First(done) => done?,
            Either::Second(()) => {}
        }
        println!("{answers}");
        Ok(())
    })
}

/// The stack of an interface whose network has the address, or else of one that knows a router.
fn stack_for(address: IpAddr) -> Option<Stack<'static>> {
    let opened = || (0..network::INTERFACES).filter_map(network::opened);
    let is_near = |stack: &Stack<'_>| match address {
        IpAddr::V4(address) => {
            stack.config_v4().is_some_and(|config| config.address.network().contains_addr(&address))
        }
        IpAddr::V6(address) => stack.config_v6().is_some_and(|config| config.address.contains_addr(&address)),
    };
    let is_able = |stack: &Stack<'_>| match address {
        IpAddr::V4(_) => stack.config_v4().is_some(),
        IpAddr::V6(_) => stack.config_v6().is_some(),
    };
    opened().find(is_near).or_else(|| opened().find(is_able))
}

async fn ask(stack: Stack<'static>, address: IpAddr, count: u16, answers: &mut Answers) -> prism::Result {
    let mut metadata = [[PacketMetadata::EMPTY; 4]; 2];
    let mut buffers = [[0; 4 * LENGTH]; 2];
    let ([received, sent], [receive, send]) = (&mut metadata, &mut buffers);
    let mut socket = IcmpSocket::new(stack, received, receive, sent, send);
    let mut ident = [0; 2];
    entropy::fill(&mut ident);
    let ident = u16::from_ne_bytes(ident);
    socket.bind(IcmpEndpoint::Ident(ident)).map_err(|error| alloc::format!("{error:?}"))?;
    for number in 1..=count {
        let begin = Instant::now();
        let request = request(address, ident, number);
        answers.sent += 1;
        let answer = async {
            socket.send_to(&request, address).await.map_err(|_| "no route")?;
            let mut packet = [0; LENGTH];
            loop {
                // What is longer is no answer.
                let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
                let packet = packet.get(..length).unwrap_or_default();
                if IpAddr::from(from) == address && is_answer(address, packet, ident, number) {
                    return Ok::<_, &str>(());
                }
            }
        };
        match with_timeout(ANSWER, answer).await {
            Ok(done) => {
                done?;
                let microseconds = begin.elapsed().as_micros();
                println!(
                    "{} bytes from {address}: number {number}, {}",
                    DATA.len(),
                    Milliseconds(microseconds)
                );
                answers.add(microseconds);
            }
            Err(_) => println!("no answer from {address}: number {number}"),
        }
        if number != count {
            Timer::at(begin + prism::task::Duration::from_secs(INTERVAL)).await;
        }
    }
    Ok(())
}

/// A request. The stack writes the checksum anew.
fn request(address: IpAddr, ident: u16, seq_no: u16) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let checksums = ChecksumCapabilities::default();
    match address {
        IpAddr::V4(_) => Icmpv4Repr::EchoRequest { ident, seq_no, data: DATA }
            .emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &checksums),
        IpAddr::V6(address) => Icmpv6Repr::EchoRequest { ident, seq_no, data: DATA }.emit(
            &Ipv6Addr::UNSPECIFIED,
            &address,
            &mut Icmpv6Packet::new_unchecked(&mut bytes[..]),
            &checksums,
        ),
    }
    bytes
}

/// Whether `packet`, whose checksum the stack has verified, answers this request.
fn is_answer(address: IpAddr, packet: &[u8], our_ident: u16, number: u16) -> bool {
    let checksums = ChecksumCapabilities::ignored();
    let echoed = match address {
        IpAddr::V4(_) => {
            let parsed = Icmpv4Packet::new_checked(packet).and_then(|packet| {
                Icmpv4Repr::parse(&packet, &checksums).map(|repr| match repr {
                    Icmpv4Repr::EchoReply { ident, seq_no, data } => Some((ident, seq_no, data == DATA)),
                    _ => None,
                })
            });
            parsed.ok().flatten()
        }
        IpAddr::V6(address) => {
            let parsed = Icmpv6Packet::new_checked(packet).and_then(|packet| {
                let to = Ipv6Addr::UNSPECIFIED;
                Icmpv6Repr::parse(&address, &to, &packet, &checksums).map(|repr| match repr {
                    Icmpv6Repr::EchoReply { ident, seq_no, data } => Some((ident, seq_no, data == DATA)),
                    _ => None,
                })
            });
            parsed.ok().flatten()
        }
    };
    echoed == Some((our_ident, number, true))
}

/// What came back, in microseconds.
#[derive(Default)]
struct Answers {
    sent: u16,
    came: u16,
    least: u64,
    sum: u64,
    most: u64,
}

impl Answers {
    fn add(&mut self, microseconds: u64) {
        self.least = if self.came == 0 { microseconds } else { self.least.min(microseconds) };
        self.most = self.most.max(microseconds);
        self.sum += microseconds;
        self.came += 1;
    }
}

impl core::fmt::Display for Answers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { sent, came, least, sum, most } = *self;
        write!(f, "{came} of {sent} came back")?;
        match sum.checked_div(came.into()) {
            Some(mean) => write!(
                f,
                "; {} at least, {} on average, {} at most",
                Milliseconds(least),
                Milliseconds(mean),
                Milliseconds(most)
            ),
            None => Ok(()),
        }
    }
}

/// Microseconds, written as milliseconds.
struct Milliseconds(u64);

impl core::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}
