// SPDX-License-Identifier: MIT OR Apache-2.0
//! The measuring server and client, with each other.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::block_on;
use futures::future::{Either, join, join3, select};
use prism_servers::clock::Clock;
use prism_servers::iperf::{Failure, Meter, State, measure};

/// A clock whose seconds are a number of turns.
struct Turns(u32);

impl Clock for Turns {
    async fn pause(&self, time: Duration) {
        let mut turns = self.0 * time.as_secs() as u32;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            turns = turns.saturating_sub(1);
            if turns == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
}

/// An end of a connection: what the one writes the other reads.
struct End {
    from: Rc<RefCell<Pipe>>,
    to: Rc<RefCell<Pipe>>,
}

fn connection() -> (End, End) {
    let (one, other) = (Rc::<RefCell<Pipe>>::default(), Rc::<RefCell<Pipe>>::default());
    (End { from: one.clone(), to: other.clone() }, End { from: other, to: one })
}

impl Drop for End {
    fn drop(&mut self) {
        self.to.borrow_mut().closed = true;
        self.from.borrow_mut().closed = true;
    }
}

impl ErrorType for End {
    type Error = Infallible;
}

fn turn<T>(mut step: impl FnMut() -> Option<T>) -> impl Future<Output = T> {
    poll_fn(move |context| {
        context.waker().wake_by_ref();
        step().map_or(Poll::Pending, Poll::Ready)
    })
}

impl Read for End {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        Ok(turn(|| {
            let mut pipe = self.from.borrow_mut();
            let length = pipe.bytes.len().min(into.len());
            if length == 0 && !pipe.closed && !into.is_empty() {
                return None;
            }
            into.iter_mut().zip(pipe.bytes.drain(..length)).for_each(|(place, byte)| *place = byte);
            Some(length)
        })
        .await)
    }
}

impl Write for End {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(turn(|| {
            let mut pipe = self.to.borrow_mut();
            let length = bytes.len().min(10_000 - pipe.bytes.len().min(10_000));
            if length == 0 && !pipe.closed {
                return None;
            }
            pipe.bytes.extend(&bytes[..length]);
            Some(length)
        })
        .await)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn meter() -> Meter<Turns> {
    Meter::new(Turns(1000), |_| ())
}

#[test]
fn client_and_server_agree_on_what_went_through_in_both_directions() {
    for reverse in [false, true] {
        let meter = meter();
        let ((mut control, mut far_control), (data, mut far_data)) = (connection(), connection());
        let client = async {
            let open = async || Some(data);
            measure(&Turns(1000), &mut control, open, [7; 16], 2, reverse).await
        };
        let (measured, (), ()) =
            block_on(join3(client, meter.serve(&mut far_control), meter.serve(&mut far_data)));
        let (theirs, ours) = measured.unwrap();
        assert!(ours > 100_000, "{ours}");
        assert!(theirs.bytes() > 100_000);
        let (sent, received) = if reverse { (theirs.bytes(), ours) } else { (ours, theirs.bytes()) };
        assert!(received <= sent && sent - received <= 50_000, "{sent} sent, {received} received");
    }
}

#[test]
fn a_second_client_is_told_that_the_server_is_busy() {
    let meter = meter();
    let ((mut first, mut far_first), (mut second, mut far_second)) = (connection(), connection());
    let answers = block_on(async {
        let busy = async {
            first.write_all(&[1; 37]).await.unwrap();
            let mut state = [0];
            first.read_exact(&mut state).await.unwrap();
            let open = async || None::<End>;
            let refused = measure(&Turns(1000), &mut second, open, [2; 16], 1, false).await;
            drop(first);
            (state[0], refused)
        };
        join3(busy, meter.serve(&mut far_first), meter.serve(&mut far_second)).await.0
    });
    assert_eq!(answers, (State::ParamExchange.byte(), Err(Failure::Busy)));
    // It is free again.
    let (mut third, mut far_third) = connection();
    let asked = async {
        third.write_all(&[3; 37]).await.unwrap();
        let mut state = [0];
        third.read_exact(&mut state).await.unwrap();
        drop(third);
        state[0]
    };
    assert_eq!(block_on(join(asked, meter.serve(&mut far_third))).0, State::ParamExchange.byte());
}

#[test]
fn what_the_server_cannot_do_and_what_makes_no_sense_ends_the_test() {
    let texts: [&[u8]; 5] = [
        br#"{"udp":true}"#,
        br#"{"tcp":true,"bidirectional":true}"#,
        br#"{"tcp":true,"parallel":1000}"#,
        b"[",
        b"",
    ];
    for text in texts {
        let meter = meter();
        let (mut near, mut far) = connection();
        let client = async {
            near.write_all(&[1; 37]).await.unwrap();
            near.write_all(&(text.len() as u32).to_be_bytes()).await.unwrap();
            near.write_all(text).await.unwrap();
            let mut heard = [0; 2];
            let _ = near.read(&mut heard[..1]).await;
            let served = turn(|| near.from.borrow_mut().bytes.pop_front());
            let patience = Turns(1000);
            match select(Box::pin(served), Box::pin(patience.pause(Duration::from_secs(1)))).await {
                Either::Left((state, _)) => Some(state),
                Either::Right(_) => None,
            }
        };
        let refused = block_on(join(client, meter.serve(&mut far))).0;
        assert!(refused.is_none() || refused == Some(State::ServerError.byte()), "{refused:?}");
    }
}

#[test]
fn a_text_that_says_it_is_huge_is_not_waited_for() {
    let meter = meter();
    let (mut near, mut far) = connection();
    let client = async {
        near.write_all(&[1; 37]).await.unwrap();
        near.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    };
    block_on(join(client, meter.serve(&mut far)));
}
