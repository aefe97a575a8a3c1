// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients, honest and other ones, at a server with several sockets on a port. The stack gives a segment to
//! the first socket that takes it: the ones that stand first here listen while others have connections.

use std::net::Ipv4Addr;
use std::time::Duration;

use embassy_net::tcp::TcpSocket;
use embassy_time::with_timeout;

use super::host::Host;
use super::network::{Network, Segment};
use super::{OWN, SECOND, by_hand};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 9);

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PUSH_ACK: u8 = 0x18;
const ACK: u8 = 0x10;

/// A server with so many sockets, which sends back what comes; where nothing comes for a minute, it forgets
/// the connection without a word.
pub(crate) fn server(sockets: usize) -> Host {
    let network = Network { gateway: Some(CLIENT), ..Network::default() };
    let mut host = Host::new(by_hand(OWN, 24, None), network);
    let stack = host.stack;
    for _ in 0..sockets {
        host.spawn(async move {
            loop {
                let (mut received, mut sent) = ([0; 512], [0; 512]);
                let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
                if socket.accept(80).await.is_err() {
                    continue;
                }
                let mut buffer = [0; 100];
                let silence = embassy_time::Duration::from_secs(60);
                loop {
                    match with_timeout(silence, socket.read(&mut buffer)).await {
                        Ok(Ok(length @ 1..)) => drop(socket.write(&buffer[..length]).await),
                        Ok(Ok(0)) => {
                            socket.close();
                            let _ = socket.flush().await;
                            break;
                        }
                        Ok(Err(_)) | Err(_) => break,
                    }
                }
            }
        });
    }
    host.run(SECOND);
    host
}

/// A server with so many sockets, which leaves half-open connections after four seconds, as images do.
pub(crate) fn impatient_server(sockets: usize) -> Host {
    let network = Network { gateway: Some(CLIENT), ..Network::default() };
    let mut host = Host::new(by_hand(OWN, 24, None), network);
    let stack = host.stack;
    for _ in 0..sockets {
        host.spawn(async move {
            loop {
                let (mut received, mut sent) = ([0; 512], [0; 512]);
                let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
                let limit = embassy_time::Duration::from_secs(4);
                if !matches!(with_timeout(limit, socket.accept(80)).await, Ok(Ok(()))) {
                    continue;
                }
                let mut buffer = [0; 100];
                while let Ok(length @ 1..) = socket.read(&mut buffer).await {
                    let _ = socket.write(&buffer[..length]).await;
                }
                socket.close();
                let _ = socket.flush().await;
            }
        });
    }
    host.run(SECOND);
    host
}

/// A client's end of a connection.
pub(crate) struct Client {
    port: u16,
    next: u32,
    received: u32,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, next: 700, received: 0 }
    }

    /// Sends a segment of this kind, and returns what is answered at once.
    fn send(&mut self, host: &mut Host, flags: u8, payload: &[u8]) -> Vec<Segment> {
        let acknowledged = if flags & ACK != 0 { self.received } else { 0 };
        let segment =
            Segment { port: self.port, flags, sequence: self.next, acknowledged, payload: payload.to_vec() };
        self.next += payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        host.receive(segment.frame(CLIENT, OWN));
        host.run(Duration::from_millis(20));
        answers(host, self.port)
    }

    /// Takes the answer to the SYN, which is the only one.
    pub(crate) fn take_answer(&mut self, answers: &[Segment]) {
        let [answer] = answers else { panic!("{answers:?}") };
        assert_eq!((answer.flags, answer.acknowledged), (SYN | ACK, self.next));
        self.received = answer.sequence.wrapping_add(1);
    }

    /// Sends a SYN, or sends it again.
    pub(crate) fn begin(&mut self, host: &mut Host) -> Vec<Segment> {
        self.next = 700;
        self.send(host, SYN, &[])
    }

    /// Acknowledges the answer.
    pub(crate) fn acknowledge(&mut self, host: &mut Host) {
        assert_eq!(self.send(host, ACK, &[]), []);
    }

    pub(crate) fn connect(host: &mut Host, port: u16) -> Self {
        let mut client = Self::new(port);
        let answers = client.send(host, SYN, &[]);
        client.take_answer(&answers);
        assert_eq!(client.send(host, ACK, &[]), []);
        client
    }

    /// Ends the connection, as both sides agree.
    pub(crate) fn close(&mut self, host: &mut Host) {
        let ends = self.send(host, FIN | ACK, &[]);
        assert!(ends.iter().any(|segment| segment.flags & FIN != 0), "{ends:?}");
        self.received = self.received.wrapping_add(1);
        assert_eq!(self.send(host, ACK, &[]), []);
    }

    /// Ends the connection at once.
    pub(crate) fn reset(&mut self, host: &mut Host) {
        assert_eq!(self.send(host, RST, &[]), []);
    }

    /// Whether the server sends back what it is told, and nothing else.
    pub(crate) fn talk(&mut self, host: &mut Host) {
        let answers = self.send(host, PUSH_ACK, b"hello");
        let spoken: Vec<u8> = answers.iter().flat_map(|answer| answer.payload.clone()).collect();
        assert_eq!(spoken, b"hello", "{answers:?}");
        assert!(answers.iter().all(|answer| answer.flags & (SYN | RST | FIN) == 0), "{answers:?}");
        self.received = self.received.wrapping_add(5);
        assert_eq!(self.send(host, ACK, &[]), []);
    }
}

/// What was sent to that port of the client's since the last time.
fn answers(host: &Host, port: u16) -> Vec<Segment> {
    host.network().segments.drain(..).filter(|segment| segment.port == port).collect()
}

/// Sends a SYN with a number that has nothing to do with the connection, as anybody can.
fn disturb(host: &mut Host, port: u16) -> Vec<Segment> {
    Client { port, next: 0x1234_5678, received: 0 }.send(host, SYN, &[])
}

/// Two clients: the first has a socket that stands first, and has been let go; it listens again.
fn first_socket_listens_while_another_is_used(host: &mut Host) -> Client {
    let mut first = Client::connect(host, 1000);
    let second = Client::connect(host, 2000);
    assert_eq!(first.send(host, RST, &[]), []);
    second
}

#[test]
fn a_syn_that_comes_again_is_answered_by_one_socket() {
    let mut host = server(3);
    let mut first = Client::connect(&mut host, 1000);
    let mut second = Client::new(2000);
    // Its answer takes long on the way. Meanwhile a socket that stands before begins to listen.
    let delayed = second.send(&mut host, SYN, &[]);
    first.send(&mut host, RST, &[]);
    second.next -= 1;
    assert_eq!(second.send(&mut host, SYN, &[]), [], "two sockets would answer");
    second.take_answer(&delayed);
    assert_eq!(second.send(&mut host, ACK, &[]), []);
    second.talk(&mut host);
}

#[test]
fn a_syn_on_an_open_connection_is_challenged_once_a_second_and_changes_nothing() {
    let mut host = server(3);
    let mut client = first_socket_listens_while_another_is_used(&mut host);
    client.talk(&mut host);
    for _ in 0..5 {
        let answers: Vec<Segment> = (0..20).flat_map(|_| disturb(&mut host, client.port)).collect();
        let [challenge] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(challenge.flags & !8, ACK);
        assert_eq!((challenge.sequence, challenge.acknowledged), (client.received, client.next));
        client.talk(&mut host);
        host.run(SECOND);
    }
}

#[test]
fn a_client_that_begins_anew_resets_what_was_before_and_is_served() {
    let mut host = server(3);
    let before = first_socket_listens_while_another_is_used(&mut host);
    // It crashed, and has forgotten.
    let mut client = Client { port: before.port, next: 0x4000_0000, received: 0 };
    let challenge = client.send(&mut host, SYN, &[]);
    assert_eq!(challenge[0].flags & !8, ACK);
    let reset =
        Segment { port: client.port, flags: RST, sequence: challenge[0].acknowledged, ..Segment::default() };
    host.receive(reset.frame(CLIENT, OWN));
    client.next -= 1;
    let answers = client.send(&mut host, SYN, &[]);
    client.take_answer(&answers);
    client.send(&mut host, ACK, &[]);
    client.talk(&mut host);
}

#[test]
fn a_connection_that_the_server_has_forgotten_keeps_a_client_out_for_one_syn() {
    let mut host = server(3);
    let before = first_socket_listens_while_another_is_used(&mut host);
    host.run(SECOND * 120);
    answers(&host, before.port);
    let mut client = Client { port: before.port, next: 0x4000_0000, received: 0 };
    let refused = client.send(&mut host, SYN, &[]);
    assert_eq!(refused.iter().map(|segment| segment.flags).collect::<Vec<_>>(), [RST], "ignored by a SYN");
    client.next -= 1;
    let answers = client.send(&mut host, SYN, &[]);
    client.take_answer(&answers);
    client.send(&mut host, ACK, &[]);
    client.talk(&mut host);
}

#[test]
fn ports_of_connections_that_are_over_are_used_again_at_once() {
    let mut host = server(2);
    for _ in 0..20 {
        let mut client = Client::connect(&mut host, 2000);
        client.talk(&mut host);
        client.close(&mut host);
    }
}

#[test]
fn headers_in_tiny_fragments_open_no_connection() {
    let mut host = server(3);
    let client = Client::new(2000);
    let whole =
        Segment { port: client.port, flags: SYN, sequence: 1, ..Segment::default() }.frame(CLIENT, OWN);
    for (range, place) in [(34..42, 0x2000_u16), (42..54, 1)] {
        let mut part = [&whole[..34], &whole[range]].concat();
        let length = (part.len() - 14) as u16;
        part[16..18].copy_from_slice(&length.to_be_bytes());
        part[18..20].copy_from_slice(&[7, 7]);
        part[20..22].copy_from_slice(&place.to_be_bytes());
        part[24..26].fill(0);
        let sum = super::network::header_sum(&part[14..34]);
        part[24..26].copy_from_slice(&sum.to_be_bytes());
        host.receive(part);
    }
    host.run(SECOND);
    assert_eq!(answers(&host, client.port), []);
    Client::connect(&mut host, 3000).talk(&mut host);
}
