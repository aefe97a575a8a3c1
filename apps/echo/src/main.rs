// SPDX-License-Identifier: MIT OR Apache-2.0
//! An echo server on TCP and UDP port 7. With client=HOST, a name or an address, it is the client of another
//! one.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use core::net::{IpAddr, SocketAddr};

use prism::embassy_net::Stack;
use prism::embassy_net::dns::DnsQueryType;
use prism::embassy_net::tcp::TcpSocket;
use prism::embassy_net::udp::{PacketMetadata, UdpSocket};
use prism::embassy_time::{Duration, with_timeout};
use prism::network::{Buffers, Listener};
use prism_servers::clock::{Clock, KernelClock};
use prism_servers::echo::{self, PORT, Responder};

prism::app!(main, params: ["client"]);

/// Connections at once.
const CONNECTIONS: usize = 16;
const BUFFERS: Buffers = Buffers { receive: 32 << 10, send: 32 << 10 };
/// Time that a client waits for each thing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which a datagram that does not leave is for nobody.
const UNREACHABLE: Duration = Duration::from_millis(500);
/// Blocks that a client sends by TCP: 1 MiB.
const BLOCKS: u32 = 256;
/// Lengths of the datagrams that a client sends: one that is empty, and one in fragments, among them.
const DATAGRAMS: [usize; 5] = [0, 1, 512, 1472, 8000];

async fn main(context: prism::Context) -> prism::Result {
    let stack = context.network(0).await?;
    if let Some(host) = context.command_line().get("client") {
        return client(stack, host).await;
    }
    context.spawn(datagrams(stack))?;
    let listener = Box::leak(Box::new(Listener::new(stack, PORT, BUFFERS, CONNECTIONS)));
    for _ in 0..listener.tasks() {
        context.spawn(listener.serve(async |socket, slot| {
            // A connection that breaks is over: there is nobody to be told.
            let _ = echo::stream(socket, slot).await;
        }))?;
    }
    listener.listening().await;
    prism::println!("echo: ready on port {PORT}");
    context.shutdown_requested().await;
    Ok(())
}

/// Sends back datagrams of clients, for ever. What cannot be sent back is dropped.
async fn datagrams(stack: Stack<'static>) {
    let mut metadata = [[PacketMetadata::EMPTY; 32]; 2];
    let [received, sent] = &mut metadata;
    let mut buffers = [vec![0; 128 << 10], vec![0; 128 << 10]];
    let [receive, send] = &mut buffers;
    let mut socket = UdpSocket::new(stack, received, receive, sent, send);
    let mut datagram = vec![0; 64 << 10];
    if let Err(error) = socket.bind(PORT) {
        prism::println!("no datagrams: {error:?}");
        return;
    }
    let mut responder = Responder::default();
    loop {
        // An error is of a datagram that is too long for any.
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        let peer = SocketAddr::new(from.endpoint.addr.into(), from.endpoint.port);
        let Some(to) = from.local_address else { continue };
        let prefix = stack.config_v4().map_or(32, |config| config.address.prefix_len());
        if responder.answers(peer, to.into(), prefix, KernelClock.now()) {
            let _ = socket.send_to(datagram.get(..length).unwrap_or_default(), from).await;
        }
        if with_timeout(UNREACHABLE, socket.flush()).await.is_err() {
            // What is for a host that is not there would be in the way of the rest.
            socket.close();
            let _ = socket.bind(PORT); // as before
        }
    }
}

async fn client(stack: Stack<'static>, host: &str) -> prism::Result {
    let server = resolve(stack, host).await?;
    let mut buffers = [vec![0; BUFFERS.receive], vec![0; BUFFERS.send]];
    let [receive, send] = &mut buffers;
    let mut socket = TcpSocket::new(stack, receive, send);
    socket.set_nagle_enabled(false);
    socket.set_timeout(Some(TIMEOUT));
    let connected = with_timeout(TIMEOUT, socket.connect((server, PORT))).await;
    connected.map_err(|_| "nobody answers")?.map_err(|error| format!("{error:?}"))?;
    let came = echo::converse(&mut socket, BLOCKS).await;
    prism::println!("echo: {came} of {BLOCKS} blocks came back from {server} by TCP");
    socket.close();
    let _ = with_timeout(TIMEOUT, socket.flush()).await;
    let datagrams = converse_in_datagrams(stack, server).await;
    prism::println!("echo: {datagrams} of {} datagrams came back by UDP", DATAGRAMS.len());
    match came == BLOCKS && datagrams == DATAGRAMS.len() {
        true => Ok(()),
        false => Err("not all came back".into()),
    }
}

/// The address of a host, by DNS if it is a name.
async fn resolve(stack: Stack<'static>, host: &str) -> prism::Result<IpAddr> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let query = with_timeout(TIMEOUT, stack.dns_query(host, DnsQueryType::A)).await;
    let addresses = query.map_err(|_| "no DNS server answers")?.map_err(|error| format!("{error:?}"))?;
    let address = *addresses.first().ok_or_else(|| format!("{host} has no address"))?;
    prism::println!("echo: {host} is {address}");
    Ok(address.into())
}

/// Sends the datagrams, each a few times if need be, and returns how many came back as they were.
async fn converse_in_datagrams(stack: Stack<'static>, server: IpAddr) -> usize {
    let mut metadata = [[PacketMetadata::EMPTY; 8]; 2];
    let [received, sent] = &mut metadata;
    let mut buffers = [vec![0; 32 << 10], vec![0; 32 << 10]];
    let [receive, send] = &mut buffers;
    let mut socket = UdpSocket::new(stack, received, receive, sent, send);
    if socket.bind(0).is_err() {
        return 0;
    }
    let mut back = vec![0; 16 << 10];
    let mut same = 0;
    for (length, number) in DATAGRAMS.into_iter().zip(0..) {
        let datagram = echo::block(number, length);
        for _ in 0..3 {
            let _ = socket.send_to(&datagram, (server, PORT)).await;
            let answer = with_timeout(TIMEOUT / 3, socket.recv_from(&mut back)).await;
            if matches!(answer, Ok(Ok((length, _))) if back.get(..length) == Some(&datagram)) {
                same += 1;
                break;
            }
        }
    }
    same
}
