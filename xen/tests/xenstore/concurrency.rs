// SPDX-License-Identifier: MIT OR Apache-2.0
use std::pin::pin;

use futures::future::{join_all, try_join_all};

use crate::{connected, done, is_ready};

#[test]
fn a_hundred_requests_at_once_each_get_their_own_answer() {
    for reverse in [false, true] {
        let (xenstored, client) = connected();
        xenstored.reverse(reverse);
        let requests = (0..100).map(|i| {
            let client = &client;
            async move {
                let path = format!("data/{i}");
                client.write(&path, i.to_string()).await?;
                assert_eq!(client.read_str(&path).await?, i.to_string());
                done()
            }
        });
        xenstored.run(&client, try_join_all(requests)).unwrap();
        assert_eq!(client.counters(), Default::default());
    }
}

#[test]
fn a_hundred_requests_are_not_all_before_xenstored_at_once() {
    let (xenstored, client) = connected();
    xenstored.hold(true);
    let mut requests = pin!(join_all((0..100).map(|_| client.read("name"))));
    assert!(xenstored.run_until_idle(&client, &mut requests).is_none());
    assert_eq!(xenstored.most_outstanding(), 12);
    xenstored.hold(false);
    let answers = xenstored.run(&client, requests);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().is_not_found()));
}

#[test]
fn those_who_ask_first_are_served_first() {
    let (xenstored, client) = connected();
    let order = std::sync::Mutex::new(Vec::new());
    let requests = (0..50).map(|i| {
        let (client, order) = (&client, &order);
        async move {
            let _ = client.read("name").await;
            order.lock().unwrap().push(i);
        }
    });
    xenstored.run(&client, join_all(requests));
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[test]
fn dropping_a_queued_request_cancels_it() {
    let (xenstored, client) = connected();
    let mut write = Box::pin(client.write("data/x", "1"));
    assert!(!is_ready(&mut write));
    drop(write);
    assert!(xenstored.run(&client, client.read("data/x")).unwrap_err().is_not_found());
    assert_eq!(xenstored.most_outstanding(), 1);
}

#[test]
fn dropping_a_request_that_was_sent_frees_its_place_and_drops_the_answer() {
    let (xenstored, client) = connected();
    xenstored.hold(true);
    let mut requests: Vec<_> = (0..12).map(|_| Box::pin(client.read("name"))).collect();
    requests.iter_mut().for_each(|request| assert!(!is_ready(request)));
    assert!(client.pump().notify);
    xenstored.notify();
    requests.truncate(8); // four places are free, four answers are nobody's
    xenstored.hold(false);
    let mut write = pin!(client.write("data/x", "1"));
    xenstored.run(&client, &mut write).unwrap();
    assert_eq!(client.counters().stray_answers, 4);
    assert_eq!(requests.iter_mut().map(is_ready).filter(|ready| *ready).count(), 8);
}

#[test]
fn half_a_request_is_sent_to_its_end_although_nobody_waits_any_more() {
    let (xenstored, client) = connected();
    let mut large = Box::pin(client.write("data/x", [b'x'; 1900]));
    assert!(!is_ready(&mut large));
    assert!(client.pump().notify); // 1024 bytes of it
    drop(large);
    xenstored.notify();
    xenstored.run(&client, client.write("data/y", "1")).unwrap();
    assert_eq!(xenstored.read("/local/domain/1/data/x").unwrap().len(), 1900);
}
