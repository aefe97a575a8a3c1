// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures TCP and UDP throughput: an iperf3 server on port 5201. With client=ADDRESS it is a client of
//! iperf3's server instead (TCP).
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec;
use core::net::{IpAddr, SocketAddr};

use prism::embassy_net::Stack;
use prism::embassy_net::tcp::TcpSocket;
use prism::embassy_net::udp::{PacketMetadata, UdpSocket};
use prism::embassy_time::{Duration, Timer, with_timeout};
use prism::memory;
use prism::network::{self, Buffers, Counters, Listener};
use prism_servers::clock::KernelClock;
use prism_servers::iperf::{Datagrams, Meter, PORT, measure};

prism::app!(main, params: ["client", "time", "reverse"]);

/// Connections at once: one for control, 16 for data, and one to refuse others.
const CONNECTIONS: usize = 18;
/// Bytes that each keeps in either direction, at least.
const MIN_BUFFER: usize = 64 << 10;
/// Bytes that each sends at most without hearing of them: the more, the more leaves in one go.
const MAX_SENT: usize = 1 << 20;
/// Bytes that each is sent at most: Linux's backend lets so many wait for a guest (half of its ring in pages,
/// `drivers/net/xen-netback/common.h`). What waits before that, `fq_codel` takes for congestion, and drops.
const MAX_RECEIVED: usize = 512 << 10;
/// Time that the server has to accept a connection, tried anew while it refuses.
const CONNECTING: Duration = Duration::from_secs(10);

async fn main(context: prism::Context) -> prism::Result {
    let words = context.command_line();
    let stack = context.network(0).await?;
    if let Some(server) = words.get("client") {
        let server: IpAddr = server.parse().map_err(|_| "client= takes the address of an iperf3 server")?;
        let seconds = words.number("time")?.unwrap_or(10).min(3600) as u32;
        return client(stack, server, seconds, words.flag("reverse")?).await;
    }
    let meter: &Meter<_> = Box::leak(Box::new(Meter::new(KernelClock, |line| {
        prism::println!("iperf: {line}");
        tell_packets();
    })));
    context.spawn(datagrams(stack, meter))?;
    let buffers = buffers();
    let listener = Box::leak(Box::new(Listener::new(stack, PORT, buffers, CONNECTIONS)));
    for _ in 0..listener.tasks() {
        context.spawn(listener.serve(async |socket, _| meter.serve(socket).await))?;
    }
    listener.listening().await;
    prism::println!("iperf: ready on port {PORT}");
    context.shutdown_requested().await;
    Ok(())
}

/// Those of a connection: all of them together have half of the memory, if that is enough.
fn buffers() -> Buffers {
    let each = memory::usage().free as usize / (4 * (CONNECTIONS + Listener::queued(CONNECTIONS)));
    let up_to = |most| each.clamp(MIN_BUFFER, most);
    Buffers { receive: up_to(MAX_RECEIVED), send: up_to(MAX_SENT) }
}

/// The socket for datagrams.
struct Udp<'a>(UdpSocket<'a>);

impl Datagrams for Udp<'_> {
    async fn receive(&mut self, into: &mut [u8]) -> (usize, SocketAddr) {
        loop {
            if let Ok((length, from)) = self.0.recv_from(into).await {
                return (length, SocketAddr::new(from.endpoint.addr.into(), from.endpoint.port));
            }
        }
    }

    async fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        // To whom there is no way, nothing is sent.
        let _ = self.0.send_to(datagram, to).await;
    }

    fn clear(&mut self) {
        self.0.close();
        // It was bound to this before.
        let _ = self.0.bind(PORT);
    }
}

/// Serves datagrams, for ever.
async fn datagrams(stack: Stack<'static>, meter: &Meter<KernelClock>) {
    let mut metadata = [[PacketMetadata::EMPTY; 256]; 2];
    let [received, sent] = &mut metadata;
    let mut buffers = [vec![0; 256 << 10], vec![0; 256 << 10]];
    let [receive, send] = &mut buffers;
    let mut socket = Udp(UdpSocket::new(stack, received, receive, sent, send));
    match socket.0.bind(PORT) {
        Ok(()) => meter.serve_datagrams(&mut socket).await,
        Err(error) => prism::println!("no datagrams: {error:?}"),
    }
}

async fn client(stack: Stack<'static>, server: IpAddr, seconds: u32, reverse: bool) -> prism::Result {
    let mut cookie = [0; 16];
    prism::entropy::fill(&mut cookie);
    let mut control = connect(stack, server).await.ok_or("the server cannot be reached")?;
    let open = || connect(stack, server);
    let (theirs, ours) = measure(&KernelClock, &mut control, open, cookie, seconds, reverse).await?;
    let rate = |bytes: u64| bytes as f64 * 8e-6 / f64::from(seconds.max(1));
    let (sent, received) = if reverse { (theirs.bytes(), ours) } else { (ours, theirs.bytes()) };
    prism::println!("iperf: sent {sent} bytes, {:.1} Mbit/s", rate(sent));
    prism::println!("iperf: received {received} bytes, {:.1} Mbit/s", rate(received));
    tell_packets();
    control.close();
    let _ = with_timeout(CONNECTING, control.flush()).await;
    Ok(())
}

/// Says how many frames the stack has sent since boot, and how they left.
fn tell_packets() {
    let Counters { sent, merged, .. } = network::counters(0).unwrap_or_default();
    prism::println!("iperf: {sent} frames have left in {} packets", sent - merged);
}

/// A connection to the server. Its buffers stay: there are two in the life of the image.
async fn connect(stack: Stack<'static>, server: IpAddr) -> Option<TcpSocket<'static>> {
    let Buffers { receive, send } = buffers();
    let (receive, send) = (vec![0; receive].leak(), vec![0; send].leak());
    let mut socket = TcpSocket::new(stack, receive, send);
    socket.set_nagle_enabled(false);
    let connect = async {
        while socket.connect((server, PORT)).await.is_err() {
            Timer::after_millis(200).await;
        }
    };
    with_timeout(CONNECTING, connect).await.ok()?;
    Some(socket)
}
