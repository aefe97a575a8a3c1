// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listeners on a real stack, against clients of all sorts.

mod net;

use std::cell::Cell;
use std::rc::Rc;

use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};
use prism_listener::{Buffers, Listener, Usage};

use net::{Net, SERVER, syn};

const PORT: u16 = 80;
const BUFFERS: Buffers = Buffers { receive: 4096, send: 4096 };
/// Connections that the tests' listener serves at once.
const MOST: usize = 64;

/// Has the server send back what comes, while it is not wanted for somebody else.
fn listen(net: &Net, most: usize) -> &'static Listener {
    let listener: &Listener = Box::leak(Box::new(Listener::new(net.server, PORT, BUFFERS, most)));
    for _ in 0..listener.tasks() {
        net.spawn(listener.serve(async |socket, slot| {
            let mut buffer = [0; 100];
            loop {
                match slot.yielding(Usage::Idle, socket.read(&mut buffer)).await {
                    Some(Ok(length @ 1..)) => drop(socket.write(&buffer[..length]).await),
                    _ => return,
                }
            }
        }));
    }
    listener
}

/// A client's socket.
fn socket(net: &Net) -> TcpSocket<'static> {
    TcpSocket::new(net.client, vec![0; 1000].leak(), vec![0; 1000].leak())
}

/// Says something and hears it again; whether that worked within the seconds given.
async fn talk(socket: &mut TcpSocket<'_>, seconds: u64) -> bool {
    let talk = async {
        let mut back = [0; 5];
        socket.write(b"hello").await == Ok(5) && socket.read(&mut back).await == Ok(5) && &back == b"hello"
    };
    with_timeout(Duration::from_secs(seconds), talk).await == Ok(true)
}

/// Starts a client that connects and talks, and returns how many such have done so.
fn visit(net: &Net, counter: &Rc<Cell<usize>>) {
    let (mut socket, counter) = (socket(net), Rc::clone(counter));
    net.spawn(async move {
        let connected = with_timeout(Duration::from_secs(5), socket.connect((SERVER, PORT))).await;
        if connected == Ok(Ok(())) && talk(&mut socket, 5).await {
            counter.set(counter.get() + 1);
        }
        std::future::pending::<()>().await;
    });
}

#[test]
fn eighty_syns_of_absent_hosts_keep_no_client_out() {
    let mut net = Net::new();
    listen(&net, MOST);
    net.run(1, || false);
    for round in 0..3 {
        for number in 0..80 {
            net.to_server.send(syn(number, PORT));
        }
        // All of them are taken in before the client begins.
        net.pool.run_until_stalled();
        let served = Rc::new(Cell::new(0));
        visit(&net, &served);
        assert!(net.run(5, || served.get() == 1), "round {round}");
    }
}

#[test]
fn an_endless_flood_keeps_no_client_out() {
    let mut net = Net::new();
    listen(&net, MOST);
    let to_server = Rc::clone(&net.to_server);
    net.spawn(async move {
        for number in 0.. {
            to_server.send(syn(number, PORT));
            embassy_time::Timer::after_millis(5).await;
        }
    });
    net.run(2, || false);
    for _ in 0..20 {
        let served = Rc::new(Cell::new(0));
        visit(&net, &served);
        assert!(net.run(5, || served.get() == 1));
    }
}

#[test]
fn half_open_connections_that_are_left_alone_end_after_seconds() {
    let mut net = Net::new();
    let listener = listen(&net, 1);
    net.run(1, || false);
    for number in 0..listener.tasks() {
        net.to_server.send(syn(number as u16, PORT));
    }
    net.run(5, || false);
    let served = Rc::new(Cell::new(0));
    visit(&net, &served);
    assert!(net.run(1, || served.get() == 1));
}

#[test]
fn an_idle_connection_gives_way_to_a_new_one_and_the_one_that_was_idle_for_longest_first() {
    let mut net = Net::new();
    let listener = listen(&net, 8);
    let served = Rc::new(Cell::new(0));
    for count in 1..=40 {
        visit(&net, &served);
        assert!(net.run(5, || served.get() == count), "client {count}");
        // As fast as people come.
        net.run(1, || false);
    }
    assert!(listener.open() <= listener.tasks());
}

#[test]
fn a_live_peer_that_says_nothing_for_minutes_stays() {
    let mut net = Net::new();
    listen(&net, MOST);
    let served = Rc::new(Cell::new(0));
    let (mut socket, counter) = (socket(&net), Rc::clone(&served));
    net.spawn(async move {
        socket.connect((SERVER, PORT)).await.unwrap();
        for _ in 0..3 {
            embassy_time::Timer::after_secs(125).await;
            counter.set(counter.get() + usize::from(talk(&mut socket, 5).await));
        }
        std::future::pending::<()>().await;
    });
    assert!(net.run(400, || served.get() == 3), "{served:?}");
}

#[test]
fn a_peer_that_vanishes_is_forgotten_within_a_minute() {
    let mut net = Net::new();
    let listener = listen(&net, MOST);
    let served = Rc::new(Cell::new(0));
    visit(&net, &served);
    assert!(net.run(5, || served.get() == 1) && listener.open() == 1);
    net.to_server.is_cut.set(true);
    assert!(net.run(70, || listener.open() == 0));
}

#[test]
fn what_is_still_sent_when_a_connection_ends_does_not_cost_the_peer_the_last_words() {
    let mut net = Net::new();
    let listener: &Listener = Box::leak(Box::new(Listener::new(net.server, PORT, BUFFERS, 1)));
    for _ in 0..listener.tasks() {
        net.spawn(listener.serve(async |socket, _| {
            let _ = socket.read(&mut [0; 10]).await;
            let _ = socket.write(b"enough").await;
        }));
    }
    let heard = Rc::new(Cell::new(false));
    let (mut socket, told) = (socket(&net), Rc::clone(&heard));
    net.spawn(async move {
        socket.connect((SERVER, PORT)).await.unwrap();
        for _ in 0..100 {
            assert!(socket.write(&[0; 200]).await.is_ok());
        }
        socket.flush().await.unwrap();
        let mut answer = [0; 10];
        told.set(socket.read(&mut answer).await == Ok(6) && answer.starts_with(b"enough"));
        std::future::pending::<()>().await;
    });
    assert!(net.run(4, || heard.get()));
}

#[test]
fn a_slow_peer_gets_the_last_bytes() {
    let mut net = Net::new();
    let listener: &Listener = Box::leak(Box::new(Listener::new(net.server, PORT, BUFFERS, 1)));
    for _ in 0..listener.tasks() {
        net.spawn(listener.serve(async |socket, _| {
            let _ = socket.write(&[7; 4000]).await;
        }));
    }
    let heard = Rc::new(Cell::new(0));
    let (mut socket, told) = (socket(&net), Rc::clone(&heard));
    net.spawn(async move {
        socket.connect((SERVER, PORT)).await.unwrap();
        embassy_time::Timer::after_secs(6).await;
        let mut bytes = [0; 1000];
        while let Ok(length @ 1..) = socket.read(&mut bytes).await {
            told.set(told.get() + length);
        }
        std::future::pending::<()>().await;
    });
    net.run(30, || false);
    assert_eq!(heard.get(), 4000);
}
