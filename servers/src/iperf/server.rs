// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server: one test at a time.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;

use embassy_futures::select::select;
use embedded_io_async::{Read, Write};
use spin::Mutex;

use super::data;
use super::wire::{self, Broken, COOKIE, Cookie, Parameters, Results, State};
use crate::clock::{Clock, within};

/// Time for each step of the client's that is not the test itself.
const STEP: Duration = Duration::from_secs(10);
/// Data connections that a test may have.
const MOST_STREAMS: u32 = 16;

/// A server that is measured with, one test at a time. Each connection to it is
/// [served](Self::serve) by a task of its own.
pub struct Meter<C> {
    clock: C,
    log: fn(&str),
    test: Mutex<Option<Test>>,
}

/// A test that goes on.
struct Test {
    cookie: Cookie,
    /// Data connections, once they are asked for: how many there are to be, and who sends.
    wanted: u32,
    reverse: bool,
    phase: Phase,
    streams: Vec<Arc<AtomicU64>>,
    waiting: Vec<Waker>,
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
    Data { bytes: Arc<AtomicU64>, reverse: bool },
    Unwanted,
}

impl<C: Clock> Meter<C> {
    /// A server that tells `log` what it measured, in lines.
    pub const fn new(clock: C, log: fn(&str)) -> Self {
        Self { clock, log, test: Mutex::new(None) }
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
            Role::Data { bytes, reverse } => self.data(stream, &bytes, reverse).await,
            Role::Unwanted => {
                let _ = wire::tell(stream, State::AccessDenied).await;
            }
        }
    }

    fn role(&self, cookie: Cookie) -> Role {
        let mut test = self.test.lock();
        match &mut *test {
            None => {
                *test = Some(Test {
                    cookie,
                    wanted: 0,
                    reverse: false,
                    phase: Phase::Preparing,
                    streams: Vec::new(),
                    waiting: Vec::new(),
                });
                Role::Control
            }
            Some(test) if test.cookie == cookie && (test.streams.len() as u32) < test.wanted => {
                let bytes = Arc::new(AtomicU64::new(0));
                test.streams.push(Arc::clone(&bytes));
                test.wake();
                Role::Data { bytes, reverse: test.reverse }
            }
            Some(_) => Role::Unwanted,
        }
    }

    async fn control<T: Read + Write>(&self, stream: &mut T) -> Result<(), Broken> {
        wire::tell(stream, State::ParamExchange).await?;
        let wanted: Parameters = self.soon(wire::read_json(stream)).await?;
        if !wanted.tcp || wanted.bidirectional || !(1..=MOST_STREAMS).contains(&wanted.parallel) {
            (self.log)("refused: only TCP in one direction, with at most 16 streams");
            wire::tell(stream, State::ServerError).await?;
            return wire::write(stream, &[0; 8]).await; // its error numbers
        }
        self.change(|test| (test.wanted, test.reverse) = (wanted.parallel, wanted.reverse));
        wire::tell(stream, State::CreateStreams).await?;
        let all = self.until(|test| test.streams.len() as u32 == test.wanted);
        within(&self.clock, STEP, all).await.ok_or(Broken)?;
        wire::tell(stream, State::TestStart).await?;
        wire::tell(stream, State::TestRunning).await?;
        let start = self.clock.now();
        self.change(|test| test.phase = Phase::Running);

        let limit = Duration::from_secs(u64::from(wanted.time) + u64::from(wanted.omit)) + 3 * STEP;
        let heard = within(&self.clock, limit, wire::hear(stream)).await.ok_or(Broken)??;
        let seconds = (self.clock.now() - start).as_secs_f32();
        if heard != State::TestEnd {
            return Err(Broken);
        }
        let bytes = self.over();
        wire::tell(stream, State::ExchangeResults).await?;
        let _: Results = self.soon(wire::read_json(stream)).await?;
        let results = Results::new(&bytes, seconds);
        wire::write_json(stream, &results).await?;
        wire::tell(stream, State::DisplayResults).await?;
        let way = if wanted.reverse { "sent" } else { "received" };
        let megabits = results.bytes() as f32 * 8e-6 / seconds.max(0.001);
        (self.log)(&alloc::format!(
            "{way} {} bytes in {seconds:.2} s: {megabits:.1} Mbit/s",
            results.bytes()
        ));
        let _ = self.soon(wire::hear(stream)).await; // done
        Ok(())
    }

    async fn soon<R>(&self, step: impl Future<Output = Result<R, Broken>>) -> Result<R, Broken> {
        within(&self.clock, STEP, step).await.ok_or(Broken)?
    }

    async fn data<T: Read + Write>(&self, stream: &mut T, bytes: &AtomicU64, reverse: bool) {
        self.until(|test| test.phase >= Phase::Running).await;
        let flow = async {
            if reverse {
                data::give(stream, bytes).await;
            } else {
                data::take(stream, bytes).await;
            }
        };
        select(flow, self.until(|test| test.phase == Phase::Over)).await;
    }

    /// Has the data connections end, and says what went through them.
    fn over(&self) -> Vec<u64> {
        let mut bytes = Vec::new();
        self.change(|test| {
            test.phase = Phase::Over;
            bytes = test.streams.iter().map(|stream| stream.load(Ordering::Relaxed)).collect();
        });
        bytes
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
                test.waiting.push(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
    }
}

impl Test {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}
