// SPDX-License-Identifier: MIT OR Apache-2.0
//! A listener: the sockets of a TCP port.

use alloc::vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_net::Stack;
use embassy_net::tcp::{State, TcpReader, TcpSocket};
use embassy_time::{Duration, Timer, with_timeout};

use crate::slots::{Slot, Slots, Usage};

/// Time that a peer has to finish the handshake: ours is sent three times by then.
pub const HALF_OPEN: Duration = Duration::from_secs(4);
/// Time that a connection waits for its turn at most.
pub const QUEUED: Duration = Duration::from_secs(10);
/// Time after which a connection whose peer is silent although it was asked counts as dead.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Time after which a peer that says nothing is asked whether it is there. The stack counts all
/// silence, not only what is owed: without the question, those who have nothing to say would be cut off.
const QUESTION: Duration = Duration::from_secs(SILENCE.as_secs() / 3);
/// Time that a peer has to take the last bytes of a connection, and to end it; and bytes of those that it
/// must take in each further second.
const FAREWELL: Duration = Duration::from_secs(5);
const MIN_RATE: usize = 1024;
/// Time that it has for that even if somebody else needs the socket.
const UNDISTURBED: Duration = Duration::from_secs(1);
/// Time in which the stack has acknowledged what it was sent.
const ACKNOWLEDGED: Duration = Duration::from_millis(20);
/// Bytes that a peer may send while the connection ends.
const LEFTOVERS: usize = 1 << 20;
/// Time that a reset has to leave.
const RESET: Duration = Duration::from_secs(1);

/// Sockets that a listener has at most.
pub const MAX_SOCKETS: usize = 128;
/// Turns of other tasks until one listens, at most.
const MOST_TURNS: usize = 1000;
/// Connections that wait at most while all slots are taken.
const MAX_QUEUED: usize = 8;

/// Bytes that a connection keeps in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Received and not read: the window that peers are given.
    pub receive: usize,
    /// Sent and not acknowledged.
    pub send: usize,
}

/// A port that is listened to by several tasks, each with a socket.
pub struct Listener {
    stack: Stack<'static>,
    port: u16,
    buffers: Buffers,
    most: usize,
    slots: Slots,
}

impl Listener {
    /// A listener that serves up to `most` connections at once; fewer, if those and the ones that wait would
    /// have more than [`MAX_SOCKETS`].
    pub fn new(stack: Stack<'static>, port: u16, buffers: Buffers, most: usize) -> Self {
        let most = most.clamp(1, MAX_SOCKETS - MAX_QUEUED);
        Self { stack, port, buffers, most, slots: Slots::new(most) }
    }

    /// Connections that wait at most while `most` are served; each has its buffers.
    pub fn queued(most: usize) -> usize {
        (most / 4).clamp(1, MAX_QUEUED)
    }

    /// Tasks that are to run [`serve`](Self::serve): one for each connection that is served or waits.
    pub fn tasks(&self) -> usize {
        self.most + Self::queued(self.most)
    }

    /// Connections that can be served at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Connections that are served, wait to be, or end.
    pub fn open(&self) -> usize {
        self.slots.open()
    }

    /// Waits until a task listens: a client that is told of the port before is refused. For so many turns of
    /// the other tasks at most, as there are ports that cannot be listened to.
    pub async fn listening(&self) {
        for _ in 0..MOST_TURNS {
            if self.slots.is_listening() {
                break;
            }
            yield_now().await;
        }
    }

    /// Serves one connection at a time, for ever.
    ///
    /// What is written leaves at once, without Nagle's algorithm: the stack makes several segments as one,
    /// and would hold back whatever does not fill all of them. Sockets of one's own should do without it too.
    ///
    /// `serve` should let its [`Slot`] go to others while it has nothing to do ([`Slot::yielding`]).
    pub async fn serve(&self, serve: impl AsyncFn(&mut TcpSocket<'_>, &Slot<'_>)) {
        let slot = self.slots.take();
        let (mut received, mut sent) = (vec![0; self.buffers.receive], vec![0; self.buffers.send]);
        loop {
            slot.rest().await;
            let mut socket = TcpSocket::new(self.stack, &mut received, &mut sent);
            socket.set_timeout(Some(SILENCE));
            socket.set_keep_alive(Some(QUESTION));
            socket.set_nagle_enabled(false);
            if !self.accept(&mut socket, &slot).await {
                // Not the same socket again: the stack may have it wait for a neighbour that is not there.
                continue;
            }
            if with_timeout(QUEUED, slot.admitted()).await.is_ok() {
                serve(&mut socket, &slot).await;
                finish(&mut socket, &slot).await;
            } else {
                reset(&mut socket).await;
            }
        }
    }

    /// Waits for a connection; whether it came to be one. If not, the peer is told nothing, as it may not be
    /// there.
    async fn accept(&self, socket: &mut TcpSocket<'_>, slot: &Slot<'_>) -> bool {
        if !listen(socket, self.port).await {
            // Not a port that can be listened to.
            Timer::after_millis(100).await;
            return false;
        }
        slot.listens();
        leaves(socket, State::Listen).await;
        let opened = leaves(socket, State::SynReceived);
        let given_up = select(Timer::after(HALF_OPEN), slot.wanted(Usage::HalfOpen));
        let is_over = matches!(select(opened, given_up).await, Either::Second(_));
        !is_over && !matches!(socket.state(), State::Listen | State::Closed)
    }
}

/// Has the socket listen, whether it can.
async fn listen(socket: &mut TcpSocket<'_>, port: u16) -> bool {
    let mut accept = pin!(socket.accept(port));
    // Pending is what it is about: the wait for a connection tells too little of what happens.
    poll_fn(|context| Poll::Ready(!matches!(accept.as_mut().poll(context), Poll::Ready(Err(_))))).await
}

/// Waits until a socket that cannot be written to is in another state than `state`.
async fn leaves(socket: &TcpSocket<'_>, state: State) {
    poll_fn(|context| {
        // Every change of the state wakes who waits for room.
        let _ = pin!(socket.wait_write_ready()).poll(context);
        if socket.state() == state { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// Ends a connection: what was written is sent, unless the peer does not take it, or somebody else needs
/// the socket. What the peer still sends is taken: a reset, the answer to data for nobody, would have it lose
/// what we said last (RFC 9112, section 9.6).
async fn finish(socket: &mut TcpSocket<'_>, slot: &Slot<'_>) {
    slot.ends();
    socket.close();
    let time = FAREWELL + Duration::from_secs((socket.send_queue() / MIN_RATE) as u64);
    let closing = select(Timer::after(time), async {
        Timer::after(UNDISTURBED).await;
        slot.wanted(Usage::Closing).await;
    });
    let is_taken = matches!(select(deliver(socket), closing).await, Either::First(true));
    let lingering = select(Timer::after(FAREWELL), slot.wanted(Usage::Lingering));
    if !is_taken || !matches!(select(linger(socket), lingering).await, Either::First(true)) {
        reset(socket).await;
    }
}

/// Waits until the peer has taken all, and that it was all; whether it can have.
async fn deliver(socket: &mut TcpSocket<'_>) -> bool {
    let (mut reader, mut writer) = socket.split();
    match select(writer.flush(), take_leftovers(&mut reader)).await {
        Either::First(flushed) => flushed.is_ok(),
        Either::Second(is_at_its_end) => is_at_its_end && writer.flush().await.is_ok(),
    }
}

/// Waits until the peer has ended the connection, too; whether it did before it sent too much.
async fn linger(socket: &mut TcpSocket<'_>) -> bool {
    let is_at_its_end = take_leftovers(&mut socket.split().0).await;
    if socket.state() == State::TimeWait {
        // The peer's end is not acknowledged at once.
        Timer::after(ACKNOWLEDGED).await;
    }
    is_at_its_end
}

/// Takes what the peer sends until its end; whether that came before too much.
async fn take_leftovers(reader: &mut TcpReader<'_>) -> bool {
    let mut buffer = [0; 512];
    let mut count = 0;
    while count < LEFTOVERS {
        match reader.read(&mut buffer).await {
            Ok(length @ 1..) => count += length,
            Ok(0) | Err(_) => return true,
        }
    }
    false
}

async fn reset(socket: &mut TcpSocket<'_>) {
    socket.abort();
    let _ = with_timeout(RESET, socket.flush()).await;
}
