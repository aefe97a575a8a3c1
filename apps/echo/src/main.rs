// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends back what it is sent, by TCP and UDP on port 7.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;

use prism::embassy_net::Stack;
use prism::embassy_net::udp::{PacketMetadata, UdpSocket};
use prism::network::{Buffers, serve};
use prism_servers::echo::{self, PORT};

prism::app!(main);

/// Connections at once.
const CONNECTIONS: usize = 16;
const BUFFERS: Buffers = Buffers { receive: 32 << 10, send: 32 << 10 };

async fn main(context: prism::Context) -> prism::Result {
    let stack = context.network(0).await?;
    context.spawn(datagrams(stack))?;
    for _ in 0..CONNECTIONS {
        context.spawn(serve(stack, PORT, BUFFERS, async |socket| {
            // A connection that breaks is over: there is nobody to be told.
            let _ = echo::stream(socket).await;
        }))?;
    }
    prism::println!("echo: ready on port {PORT}");
    context.asked_to_end().await;
    Ok(())
}

/// Sends back datagrams, for ever. What cannot be sent back is dropped.
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
    loop {
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        let _ = socket.send_to(datagram.get(..length).unwrap_or_default(), from).await;
    }
}
