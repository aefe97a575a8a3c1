// SPDX-License-Identifier: MIT OR Apache-2.0
//! The measuring server and client, with each other.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::block_on;
use futures::future::{Either, join, join3, select};
use prism_servers::clock::Clock;
use prism_servers::iperf::{Datagrams, Failure, Meter, Results, State, measure};

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

/// A socket whose datagrams come from and go to memory.
#[derive(Clone, Default)]
struct Socket {
    to_server: Rc<RefCell<VecDeque<Vec<u8>>>>,
    from_server: Rc<RefCell<VecDeque<Vec<u8>>>>,
}

impl Socket {
    fn send(&self, datagram: &[u8]) {
        self.to_server.borrow_mut().push_back(datagram.to_vec());
    }

    async fn next(&self) -> Vec<u8> {
        turn(|| self.from_server.borrow_mut().pop_front()).await
    }
}

impl Datagrams for Socket {
    async fn receive(&mut self, into: &mut [u8]) -> (usize, SocketAddr) {
        let datagram = turn(|| self.to_server.borrow_mut().pop_front()).await;
        into[..datagram.len()].copy_from_slice(&datagram);
        (datagram.len(), SocketAddr::from(([192, 0, 2, 1], 7)))
    }

    async fn send(&mut self, datagram: &[u8], _: SocketAddr) {
        self.from_server.borrow_mut().push_back(datagram.to_vec());
    }

    fn clear(&mut self) {
        self.to_server.borrow_mut().clear();
        self.from_server.borrow_mut().clear();
    }
}

impl End {
    async fn hear(&mut self, state: State) {
        let mut heard = [0];
        self.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, [state.byte()]);
    }

    async fn tell(&mut self, text: &[u8]) {
        self.write_all(&(text.len() as u32).to_be_bytes()).await.unwrap();
        self.write_all(text).await.unwrap();
    }
}

/// A client's test by UDP, which wants this besides; what the server has seen.
fn by_datagrams(wanted: &str, flow: impl AsyncFnOnce(&Socket)) -> Results {
    let meter = meter();
    let (mut near, mut far) = connection();
    let socket = Socket::default();
    let client = async {
        near.write_all(&[1; 37]).await.unwrap();
        near.hear(State::ParamExchange).await;
        near.tell(format!(r#"{{"udp":true,"time":1,"parallel":1,"len":100,{wanted}}}"#).as_bytes()).await;
        near.hear(State::CreateStreams).await;
        socket.send(b"9876");
        assert_eq!(socket.next().await, b"6789");
        near.hear(State::TestStart).await;
        near.hear(State::TestRunning).await;
        flow(&socket).await;
        near.write_all(&[State::TestEnd.byte()]).await.unwrap();
        near.hear(State::ExchangeResults).await;
        near.tell(NOTHING.as_bytes()).await;
        let mut length = [0; 4];
        near.read_exact(&mut length).await.unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        near.read_exact(&mut text).await.unwrap();
        near.hear(State::DisplayResults).await;
        near.write_all(&[State::Done.byte()]).await.unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let mut theirs = socket.clone();
    let served = Box::pin(async { join(client, meter.serve(&mut far)).await.0 });
    match block_on(select(served, Box::pin(meter.serve_datagrams(&mut theirs)))) {
        Either::Left((results, _)) => results,
        Either::Right(_) => panic!("the server left"),
    }
}

const NOTHING: &str = r#"{"cpu_util_total":0,"cpu_util_user":0,"cpu_util_system":0,
    "sender_has_retransmits":0,"streams":[]}"#;

#[test]
fn datagrams_are_counted_and_missed() {
    let results = by_datagrams(r#""udp_counters_64bit":1"#, async |socket| {
        for number in [1_u64, 2, 5] {
            let mut datagram = [0; 100];
            datagram[8..16].copy_from_slice(&number.to_be_bytes());
            socket.send(&datagram);
        }
        socket.send(b"9876");
        assert_eq!(socket.next().await, b"6789");
        turn(|| socket.to_server.borrow().is_empty().then_some(())).await;
    });
    let stream = &results.streams[0];
    assert_eq!((stream.bytes, stream.packets, stream.errors), (300, 5, 2));
}

#[test]
fn datagrams_are_sent_with_their_numbers() {
    let mut count = 0;
    let results = by_datagrams(r#""reverse":true,"bandwidth":0"#, async |socket| {
        for number in 1_u32..=50 {
            let datagram = socket.next().await;
            assert_eq!(datagram.len(), 100);
            assert_eq!(datagram[8..12], number.to_be_bytes());
            count += 1;
        }
    });
    assert!(results.streams[0].packets >= count);
}

#[test]
fn a_slow_sender_leaves_when_its_test_is_over() {
    // A datagram each 800 s; the next test's hello is heard all the same.
    by_datagrams(r#""reverse":true,"bandwidth":1"#, async |socket| {
        assert_eq!(socket.next().await.len(), 100);
    });
    let meter = meter();
    let socket = Socket::default();
    let client = async {
        for _ in 0..2 {
            let (mut near, mut far) = connection();
            let test = async {
                near.write_all(&[1; 37]).await.unwrap();
                near.hear(State::ParamExchange).await;
                near.tell(br#"{"udp":true,"time":1,"len":100,"reverse":true,"bandwidth":1}"#).await;
                near.hear(State::CreateStreams).await;
                socket.send(b"9876");
                assert_eq!(socket.next().await, b"6789");
                near.hear(State::TestStart).await;
                near.hear(State::TestRunning).await;
                assert_eq!(socket.next().await.len(), 100);
                drop(near);
            };
            join(test, meter.serve(&mut far)).await;
        }
    };
    let mut theirs = socket.clone();
    let served = select(Box::pin(client), Box::pin(meter.serve_datagrams(&mut theirs)));
    assert!(matches!(block_on(served), Either::Left(_)));
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
fn unsupported_and_invalid_parameters_end_the_test() {
    let texts: [&[u8]; 7] = [
        br#"{"udp":true}"#,
        br#"{"udp":true,"len":4294967295}"#,
        br#"{"tcp":true,"udp":true,"len":1000}"#,
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
            let timeout = Turns(1000);
            match select(Box::pin(served), Box::pin(timeout.pause(Duration::from_secs(1)))).await {
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

#[test]
fn a_test_in_which_nothing_flows_does_not_keep_others_away() {
    let meter = Meter::new(Turns(10), |_| ());
    let ((mut control, mut far_control), (mut data, mut far_data)) = (connection(), connection());
    let client = async {
        let text = br#"{"tcp":true,"time":0}"#;
        control.write_all(&[1; 37]).await.unwrap();
        control.write_all(&(text.len() as u32).to_be_bytes()).await.unwrap();
        control.write_all(text).await.unwrap();
        let mut states = [0; 2];
        control.read_exact(&mut states).await.unwrap();
        data.write_all(&[1; 37]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let served = join(meter.serve(&mut far_control), meter.serve(&mut far_data));
    let timeout = Turns(10);
    let served = select(Box::pin(served), Box::pin(timeout.pause(Duration::from_secs(100))));
    let ended = block_on(select(Box::pin(client), Box::pin(served)));
    assert!(matches!(ended, Either::Right((Either::Left(_), _))));
}
