// SPDX-License-Identifier: MIT OR Apache-2.0
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join;
use prism_servers::http::{
    GRACE, HEAD_LIMIT, HEAD_TIME, IDLE_TIME, MIN_RATE, PIECE, RESUMED_TIME, SITE_TIME, Server,
};

use prism_listener::Slots;

use crate::client::{Act, Client, PASSED, Stuck, Turns, ask, body, serve, serve_site, site, status};

fn passed() -> Vec<Duration> {
    PASSED.take()
}

#[test]
fn a_head_that_is_too_long_or_has_too_many_fields_is_refused() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(HEAD_LIMIT));
    assert_eq!(status(&ask(&long)), 414);
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(status(&ask(&many)), 431);
    let endless = Client::new((0..100_000).map(|_| Act::Says(b"x: y\r\n".to_vec())));
    let mut client = Client::new([Act::Says(b"GET / HTTP/1.1\r\n".to_vec())]);
    client.append(endless);
    assert_eq!(status(&serve(&mut client)), 431);
    assert!(client.has_more_to_say(), "it was not listened to for ever");
}

#[test]
fn a_client_that_says_nothing_is_left() {
    let mut client = Client::new([Act::IsSilent]);
    assert_eq!(serve(&mut client), "");
    assert_eq!(passed(), [IDLE_TIME]);
}

#[test]
fn a_client_that_is_waited_for_while_the_domain_is_suspended_has_longer() {
    for (said, limit, answer) in [("", IDLE_TIME, 0), ("GET /ten.txt HTTP/1.1\r\nHo", HEAD_TIME, 408)] {
        let server = Server::new(site(), Turns);
        let said = (!said.is_empty()).then(|| Act::Says(said.into()));
        let mut client = Client::new(said.into_iter().chain([Act::IsSilent]));
        let (slots, resume) = (Slots::new(1), async { server.note_resume() });
        block_on(join(server.serve(&mut client, &slots.take()), resume));
        assert_eq!(status(&String::from_utf8_lossy(&client.heard)), answer);
        assert_eq!(passed(), [limit, RESUMED_TIME], "and not for ever");
    }
}

#[test]
fn a_client_that_says_half_a_request_is_told_that_it_took_too_long() {
    let mut client = Client::new([Act::Says(b"GET / HTTP/1.1\r\nHo".to_vec()), Act::IsSilent]);
    assert_eq!(status(&serve(&mut client)), 408);
    assert_eq!(passed(), [HEAD_TIME]);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_left() {
    let mut client = Client::saying("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    client.appetite = Some(50_000);
    let answer = serve(&mut client);
    assert_eq!(status(&answer), 200);
    assert!(body(&answer).len() < 50_000);
    assert_eq!(passed(), [GRACE + Duration::from_secs(PIECE as u64 / MIN_RATE)]);
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let text = b"GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut client = Client::new(text.iter().map(|byte| Act::Says(vec![*byte])));
    assert_eq!(body(&serve(&mut client)), "0123456789");
}

#[test]
fn between_requests_and_within_one_a_client_gives_way_to_another() {
    for (said, answer) in [("", 0), ("GET /ten.txt HTTP/1.1\r\nHo", 408)] {
        let slots = Slots::new(1);
        let (held, wanted) = (slots.take(), slots.take());
        let server = Server::new(site(), Turns);
        let said = (!said.is_empty()).then(|| Act::Says(said.into()));
        let mut client = Client::new(said.into_iter().chain([Act::IsSilent]));
        let served = async {
            let held = held;
            held.admitted().await;
            server.serve(&mut client, &held).await;
        };
        block_on(join(served, wanted.admitted()));
        assert_eq!((status(&String::from_utf8_lossy(&client.heard)), passed()), (answer, vec![]));
    }
}

#[test]
fn a_slow_client_gives_way_to_another() {
    let slots = Slots::new(1);
    let (held, wanted) = (slots.take(), slots.take());
    let server = Server::new(site(), Turns);
    let mut client = Client::saying("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    (client.appetite, client.delay) = (Some(50_000), Duration::from_secs(6));
    let served = async {
        let held = held;
        held.admitted().await;
        server.serve(&mut client, &held).await;
    };
    block_on(join(served, wanted.admitted()));
    let answer = String::from_utf8_lossy(&client.heard).into_owned();
    assert!(status(&answer) == 200 && body(&answer).len() < 50_000);
    assert_eq!(passed(), []);
}

#[test]
fn a_disk_that_does_not_answer_blocks_no_task_for_ever() {
    let mut client = Client::saying(&"GET /unopened HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    let answer = serve_site(Stuck, &mut client);
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 503").count()), (503, 2));
    assert_eq!(passed(), [SITE_TIME; 2]);
    let mut client = Client::saying(&"GET /unread HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    let answer = serve_site(Stuck, &mut client);
    assert_eq!((status(&answer), body(&answer)), (200, ""), "the answer had begun: the connection ends");
    assert_eq!(passed(), [SITE_TIME]);
}
