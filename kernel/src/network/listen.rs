// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting TCP connections.

use alloc::vec;

use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Timer, with_timeout};

/// Time that a peer has to take the last bytes of a connection.
const FAREWELL: Duration = Duration::from_secs(5);

/// Time after which a connection whose peer is silent although it was asked counts as dead.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes that a connection keeps in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Received and not read: the window that peers are given.
    pub receive: usize,
    /// Sent and not acknowledged.
    pub send: usize,
}

/// Serves one connection to `port` at a time, for ever. Run as many of these as there are to be
/// connections at once: the stack has no queue for more, and refuses them.
///
/// What is written leaves at once, without Nagle's algorithm: the stack makes several segments as one, and
/// would hold back whatever does not fill all of them. Sockets of one's own should do without it too.
pub async fn serve(
    stack: Stack<'static>,
    port: u16,
    buffers: Buffers,
    serve: impl AsyncFn(&mut TcpSocket<'_>),
) {
    let (mut received, mut sent) = (vec![0; buffers.receive], vec![0; buffers.send]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
        socket.set_timeout(Some(SILENCE));
        socket.set_nagle_enabled(false);
        if socket.accept(port).await.is_err() {
            // Not a port that can be listened to, or the peer was gone at once.
            Timer::after_millis(100).await;
            continue;
        }
        serve(&mut socket).await;
        finish(&mut socket).await;
    }
}

/// Ends a connection: what was written is sent, unless the peer does not take it.
async fn finish(socket: &mut TcpSocket<'_>) {
    socket.close();
    if !matches!(with_timeout(FAREWELL, socket.flush()).await, Ok(Ok(()))) {
        socket.abort();
        let _ = with_timeout(FAREWELL, socket.flush()).await;
    }
}
