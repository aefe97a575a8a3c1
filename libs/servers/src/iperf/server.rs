// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server: one test at a time.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;

use embassy_futures::select::select;
use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};
use spin::Mutex;

use super::data;
use super::flow::{self, Flow};
use super::wire::{self, Broken, COOKIE, Carried, Cookie, Parameters, Results, State};
use crate::clock::{Clock, within};

/// Time for each step of the client's that is not the test itself.
const STEP: Duration = Duration::from_secs(10);
/// Streams that a test may have.
const MAX_STREAMS: u32 = 16;
/// Time that a client may let a test go on without any data.
const STALL: Duration = Duration::from_secs(60);
/// Time that a test may take.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How far a sender of datagrams may be ahead of what it may send before it waits.
const AHEAD: Duration = Duration::from_millis(1);

/// A server that is measured with, one test at a time. Each connection to it is
/// [served](Self::serve) by a task of its own, and [datagrams](Self::serve_datagrams) by another.
pub struct Meter<C> {
    clock: C,
    log: fn(&str),
    test: Mutex<Option<Test>>,
    /// Tests that there were.
    tests: AtomicU64,
}

/// A test that goes on.
struct Test {
    number: u64,
    cookie: Cookie,
    /// What the client wants, once it has said that.
    wanted: Option<Parameters>,
    phase: Phase,
    /// Data connections, by the bytes that went through each, and flows of datagrams.
    streams: Vec<Arc<AtomicU64>>,
    flows: Vec<Flow>,
    waiting: Vec<Waker>,
}

/// A socket for datagrams.
pub trait Datagrams {
    /// Waits for a datagram, and tells its length and whose it is.
    fn receive(&mut self, into: &mut [u8]) -> impl Future<Output = (usize, SocketAddr)>;

    /// Sends a datagram, when there is room; one that cannot be sent is lost.
    fn send(&mut self, datagram: &[u8], to: SocketAddr) -> impl Future<Output = ()>;

    /// Drops all that waits: what is for somebody who cannot be reached may be in the way of the rest.
    fn clear(&mut self);
}

/// What is to be done about a datagram.
#[derive(Default)]
struct Reaction {
    /// It begins a flow.
    welcome: bool,
    /// That is the first one of a test.
    is_first: bool,
    /// That is the last one of a test of this number, in which we send.
    send: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Preparing,
    Running,
    Over,
}

/// What a connection is.
enum Role {
    Control,
    /// Of the test of this number.
    Data {
        number: u64,
        bytes: Arc<AtomicU64>,
        reverse: bool,
    },
    Unwanted,
}

impl<C: Clock> Meter<C> {
    /// A server that tells `log` what it measured, in lines.
    pub const fn new(clock: C, log: fn(&str)) -> Self {
        Self { clock, log, test: Mutex::new(None), tests: AtomicU64::new(0) }
    }

    /// Serves a connection until it is to be closed.
    pub async fn serve<T: Read + Write>(&self, stream: &mut T) {
        let mut cookie = [0; COOKIE];
        if !matches!(within(&self.clock, STEP, wire::read(stream, &mut cookie)).await, Some(Ok(()))) {
            return;
        }
        match self.role(cookie) {
            Role::Control => {
                // A client that breaks off has nothing to be told.
                let _ = self.control(stream).await;
                self.end();
            }
            Role::Data { number, bytes, reverse } => self.data(stream, number, &bytes, reverse).await,
            Role::Unwanted => {
                let _ = self.soon(wire::tell(stream, State::AccessDenied)).await;
            }
        }
    }

    fn role(&self, cookie: Cookie) -> Role {
        let mut test = self.test.lock();
        match &mut *test {
            None => {
                *test = Some(Test {
                    number: self.tests.fetch_add(1, Ordering::Relaxed),
                    cookie,
                    wanted: None,
                    phase: Phase::Preparing,
                    streams: Vec::new(),
                    flows: Vec::new(),
                    waiting: Vec::new(),
                });
                Role::Control
            }
            Some(test) => match test.wanted.filter(|wanted| wanted.tcp) {
                Some(wanted) if test.cookie == cookie && !test.is_complete() => {
                    let bytes = Arc::new(AtomicU64::new(0));
                    test.streams.push(Arc::clone(&bytes));
                    test.wake();
                    Role::Data { number: test.number, bytes, reverse: wanted.reverse }
                }
                _ => Role::Unwanted,
            },
        }
    }

    async fn control<T: Read + Write>(&self, stream: &mut T) -> Result<(), Broken> {
        self.soon(wire::tell(stream, State::ParamExchange)).await?;
        let wanted: Parameters = self.soon(wire::read_json(stream)).await?;
        if !is_possible(&wanted) {
            (self.log)("refused: only TCP or UDP in one direction, with at most 16 streams");
            self.soon(wire::tell(stream, State::ServerError)).await?;
            return self.soon(wire::write(stream, &[0; 8])).await; // its error numbers
        }
        self.change(|test| test.wanted = Some(wanted));
        self.soon(wire::tell(stream, State::CreateStreams)).await?;
        let all = self.until(Test::is_complete);
        within(&self.clock, STEP, all).await.ok_or(Broken)?;
        self.soon(wire::tell(stream, State::TestStart)).await?;
        self.soon(wire::tell(stream, State::TestRunning)).await?;
        let start = self.clock.now();
        self.change(|test| test.phase = Phase::Running);

        let seconds = u64::from(wanted.time) + u64::from(wanted.omit);
        // A client that wants so many bytes has no time.
        let limit =
            if wanted.time == 0 { LONGEST } else { Duration::from_secs(seconds).min(LONGEST) + 3 * STEP };
        let heard = within(&self.clock, limit, self.end_of_test(stream)).await.ok_or(Broken)??;
        let seconds = (self.clock.now() - start).as_secs_f32();
        if heard != State::TestEnd {
            return Err(Broken);
        }
        let carried = self.over();
        self.soon(wire::tell(stream, State::ExchangeResults)).await?;
        let _: Results = self.soon(wire::read_json(stream)).await?;
        let results = Results::new(&carried, seconds);
        self.soon(wire::write_json(stream, &results)).await?;
        self.soon(wire::tell(stream, State::DisplayResults)).await?;
        let way = if wanted.reverse { "sent" } else { "received" };
        let megabits = results.bytes() as f32 * 8e-6 / seconds.max(0.001);
        (self.log)(&alloc::format!(
            "{way} {} bytes in {seconds:.2} s: {megabits:.1} Mbit/s",
            results.bytes()
        ));
        let _ = self.soon(wire::receive_state(stream)).await; // done
        Ok(())
    }

    async fn soon<R>(&self, step: impl Future<Output = Result<R, Broken>>) -> Result<R, Broken> {
        within(&self.clock, STEP, step).await.ok_or(Broken)?
    }

    /// What the client says when data flows no more; an error also if none has for long.
    async fn end_of_test(&self, stream: &mut impl Read) -> Result<State, Broken> {
        let bytes = || self.test.lock().as_ref().map(Test::bytes);
        let mut before = bytes();
        loop {
            if let Some(heard) = within(&self.clock, STALL, wire::receive_state(stream)).await {
                return heard;
            }
            let carried = bytes();
            if core::mem::replace(&mut before, carried) == carried {
                return Err(Broken);
            }
        }
    }

    async fn data<T: Read + Write>(&self, stream: &mut T, number: u64, bytes: &AtomicU64, reverse: bool) {
        // The next test may have begun before this is told that its own is over.
        self.until(|test| test.number != number || test.phase >= Phase::Running).await;
        let flow = async {
            if reverse {
                data::give(stream, bytes).await;
            } else {
                data::take(stream, bytes).await;
            }
        };
        select(flow, self.until(|test| test.number != number || test.phase == Phase::Over)).await;
    }

    /// Serves datagrams, for ever.
    pub async fn serve_datagrams(&self, socket: &mut impl Datagrams) {
        let mut datagram = vec![0; flow::LONGEST as usize];
        loop {
            let (length, from) = socket.receive(&mut datagram).await;
            let reaction = self.react(datagram.get(..length).unwrap_or_default(), from);
            if reaction.is_first {
                socket.clear();
            }
            if reaction.welcome {
                within(&self.clock, STEP, socket.send(&flow::WELCOME, from)).await;
            }
            if let Some(number) = reaction.send {
                let is_over = |test: &Test| test.number != number || test.phase == Phase::Over;
                select(self.send(number, socket, &mut datagram), self.until(is_over)).await;
                socket.clear();
            }
        }
    }

    fn react(&self, datagram: &[u8], from: SocketAddr) -> Reaction {
        let mut test = self.test.lock();
        let Some(test) = &mut *test else { return Reaction::default() };
        let Some(wanted) = test.wanted.filter(|wanted| wanted.udp) else { return Reaction::default() };
        let is_hello = datagram == flow::HELLO.as_slice();
        let is_complete = test.is_complete();
        match test.flows.iter_mut().find(|flow| flow.peer == from) {
            Some(_) if is_hello => Reaction { welcome: true, ..Reaction::default() },
            Some(flow) if test.phase == Phase::Running && !wanted.reverse => {
                flow.take(datagram, wanted.udp_counters_64bit != 0, self.clock.now());
                Reaction::default()
            }
            None if is_hello && !is_complete => {
                let is_first = test.flows.is_empty();
                test.flows.push(Flow::new(from));
                test.wake();
                let send = (test.is_complete() && wanted.reverse).then_some(test.number);
                Reaction { welcome: true, is_first, send }
            }
            _ => Reaction::default(),
        }
    }

    /// Sends datagrams on all flows of a test, as fast as the client wants.
    async fn send(&self, number: u64, socket: &mut impl Datagrams, memory: &mut [u8]) {
        self.until(|test| test.number != number || test.phase >= Phase::Running).await;
        let start = self.clock.now();
        let mut sent = 0_u32;
        while let Some(each) = self.time_each(number) {
            let mut index = 0;
            while let Some((length, to)) = self.next_datagram(number, index, memory) {
                socket.send(memory.get(..length).unwrap_or_default(), to).await;
                index += 1;
            }
            sent = sent.saturating_add(1);
            let due = each.saturating_mul(sent);
            match due.checked_sub(self.clock.now() - start) {
                Some(early) if early > AHEAD => self.clock.pause(early).await,
                _ => yield_now().await,
            }
        }
    }

    /// Makes the next datagram of a flow; `None` if there is no such flow, or the test is over.
    fn next_datagram(&self, number: u64, index: usize, memory: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let mut test = self.test.lock();
        let test = test.as_mut().filter(|test| test.is_running(number))?;
        let wanted = test.wanted?;
        let datagram = memory.get_mut(..wanted.len as usize)?;
        let flow = test.flows.get_mut(index)?;
        flow.fill(datagram, wanted.udp_counters_64bit != 0, self.clock.now());
        Some((datagram.len(), flow.peer))
    }

    /// Time that each datagram of a flow may take; `None` if the test is over.
    fn time_each(&self, number: u64) -> Option<Duration> {
        let test = self.test.lock();
        let wanted = test.as_ref().filter(|test| test.is_running(number))?.wanted?;
        let bits = u64::from(wanted.len) * 8;
        let nanos = bits.saturating_mul(1_000_000_000).checked_div(wanted.bandwidth);
        Some(Duration::from_nanos(nanos.unwrap_or(0)))
    }

    /// Has the streams end, and says what they carried.
    fn over(&self) -> Vec<Carried> {
        let mut carried = Vec::new();
        self.change(|test| {
            test.phase = Phase::Over;
            let bytes = test.streams.iter().map(|stream| stream.load(Ordering::Relaxed));
            let streams = bytes.map(|bytes| Carried { bytes, ..Carried::default() });
            carried = streams.chain(test.flows.iter().map(|flow| flow.carried)).collect();
        });
        carried
    }

    /// There is no test any more.
    fn end(&self) {
        let test = self.test.lock().take();
        if let Some(mut test) = test {
            test.wake();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Test)) {
        if let Some(test) = &mut *self.test.lock() {
            change(test);
            test.wake();
        }
    }

    /// Waits until `condition` holds, or there is no test any more.
    async fn until(&self, condition: impl Fn(&Test) -> bool) {
        poll_fn(|context| match &mut *self.test.lock() {
            Some(test) if !condition(test) => {
                if !test.waiting.iter().any(|known| known.will_wake(context.waker())) {
                    test.waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }
}

/// Whether we can do what a client wants.
fn is_possible(wanted: &Parameters) -> bool {
    let is_fit = match (wanted.tcp, wanted.udp) {
        (true, false) => true,
        (false, true) => (flow::SHORTEST..=flow::LONGEST).contains(&wanted.len),
        _ => false,
    };
    is_fit && !wanted.bidirectional && (1..=MAX_STREAMS).contains(&wanted.parallel)
}

impl Test {
    /// Whether there are as many streams as the client wants.
    fn is_complete(&self) -> bool {
        self.wanted.is_some_and(|wanted| self.streams.len() + self.flows.len() >= wanted.parallel as usize)
    }

    /// Bytes that all streams have carried.
    fn bytes(&self) -> u64 {
        let streams = self.streams.iter().map(|stream| stream.load(Ordering::Relaxed));
        streams.chain(self.flows.iter().map(|flow| flow.carried.bytes)).fold(0, u64::saturating_add)
    }

    /// Whether this is the test of this number, and data flows.
    fn is_running(&self, number: u64) -> bool {
        self.number == number && self.phase == Phase::Running
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}
