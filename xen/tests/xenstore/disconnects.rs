// SPDX-License-Identifier: MIT OR Apache-2.0
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::join_all;
use xen::xenstore::fake::{Fault, Settings, Xenstored, page};
use xen::xenstore::{Client, Disconnect, Error, Refusal};

use crate::{connected, connected_with, done, is_ready, no_time};

#[test]
fn a_message_that_is_too_long_ends_the_connection_for_everybody() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    xenstored.inject(Fault::Length(4097));
    let requests = join_all((0..100).map(|_| client.read("name")));
    let disconnected = Error::Disconnected(Disconnect::Message(4097));
    for answer in xenstored.run(&client, requests) {
        assert_eq!(answer, Err(disconnected.clone()));
    }
    assert_eq!(xenstored.run(&client, watch.next()), Err(disconnected.clone()));
    assert_eq!(xenstored.run(&client, client.read("name")), Err(disconnected));
    assert_eq!(client.disconnect_reason(), Some(Disconnect::Message(4097)));
    drop(watch); // and nobody is asked to forget it
    assert_eq!(client.pump(), Default::default());
}

#[test]
fn impossible_indices_end_the_connection() {
    for change in [|page: &mut Page| page.rsp_prod += 1025, |page: &mut Page| page.req_cons += 1] {
        let xenstored = Xenstored::new(page());
        let client = Client::new(xenstored.page());
        let mut read = Box::pin(client.read("name"));
        assert!(!is_ready(&mut read));
        let mut words = xenstored.page().read();
        change(&mut words);
        xenstored.page().write(words);
        assert!(client.pump().progress);
        assert_eq!(futures::executor::block_on(read), Err(Error::Disconnected(Disconnect::Indices)));
    }
}

type Page = xen_sys::io::xs_wire::xenstore_domain_interface;

#[test]
fn an_xenstored_that_gives_up_is_believed_if_it_has_the_feature() {
    for (features, reason) in [(0, None), (3, Some(Disconnect::Server(3)))] {
        let (xenstored, client) = connected_with(Settings { features, ..Settings::default() });
        let mut words = xenstored.page().read();
        words.error = 3;
        xenstored.page().write(words);
        let _ = client.pump();
        assert_eq!(client.disconnect_reason(), reason);
    }
}

#[test]
fn garbage_ends_the_connection_or_is_dropped() {
    let (xenstored, client) = connected();
    xenstored.inject(Fault::Bytes(vec![0xa5; 100]));
    let answer = xenstored.run(&client, client.read("name"));
    assert_eq!(answer, Err(Error::Disconnected(Disconnect::Message(0xa5a5_a5a5))));
}

#[test]
fn after_a_reconnection_everything_works_again() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    xenstored.inject(Fault::Length(u32::MAX));
    assert!(xenstored.run(&client, client.read("name")).is_err());

    assert!(client.reconnect());
    xenstored
        .run(&client, async {
            assert_eq!(watch.next().await?.path, "data"); // it was set again
            client.write("data/x", "1").await?;
            assert_eq!(watch.next().await?.path, "data/x");
            done()
        })
        .unwrap();
    assert_eq!((client.counters().disconnects, client.counters().resets), (1, 1));
    assert_eq!(xenstored.watches().len(), 1);
}

#[test]
fn requests_wait_while_the_rings_are_reset() {
    let (xenstored, client) = connected();
    xenstored.ignore_reconnect(true);
    assert!(client.reconnect());
    let mut write = Box::pin(client.write("data/x", "1"));
    assert!(xenstored.run_until_idle(&client, &mut write).is_none());
    xenstored.ignore_reconnect(false);
    xenstored.notify();
    xenstored.run(&client, write).unwrap();
}

#[test]
fn a_reset_loses_what_was_on_its_way_and_keeps_what_was_not() {
    let (xenstored, client) = connected();
    xenstored.hold(true);
    let mut requests = Box::pin(join_all((0..20).map(|_| client.write("data/x", ""))));
    assert!(xenstored.run_until_idle(&client, &mut requests).is_none());
    assert!(client.reconnect());
    xenstored.hold(false);
    let answers = xenstored.run(&client, requests);
    let lost =
        answers.iter().filter(|answer| **answer == Err(Error::Disconnected(Disconnect::Reset))).count();
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((lost, kept), (12, 8));
}

#[test]
fn a_transaction_does_not_survive_a_reset() {
    let (xenstored, client) = connected();
    let answer = xenstored.run(
        &client,
        client.transaction(&no_time, async |transaction| {
            transaction.write("data/x", "1").await?;
            client.reconnect();
            transaction.write("data/y", "1").await
        }),
    );
    assert_eq!(answer, Err(Error::Disconnected(Disconnect::Reset)));
    assert_eq!(xenstored.transactions(), 0);
    assert_eq!(xenstored.read("/local/domain/1/data/x"), None);
}

#[test]
fn a_watch_that_is_being_set_during_a_reset_is_set_once() {
    let (xenstored, client) = connected();
    assert!(client.reconnect());
    xenstored
        .run(&client, async {
            let mut watch = client.watch("data").await?;
            assert_eq!(watch.next().await?.path, "data");
            done()
        })
        .unwrap();
    assert_eq!(client.counters().stray_events, 0);
}

#[test]
fn a_watch_that_is_refused_after_a_reset_says_so() {
    let (xenstored, client) = connected();
    let mut watch = xenstored.run(&client, client.watch("data")).unwrap();
    xenstored.run(&client, watch.next()).unwrap();
    xenstored.inject(Fault::Refuse("EQUOTA"));
    assert!(client.reconnect());
    assert_eq!(xenstored.run(&client, watch.next()), Err(Error::Refused(Refusal::Quota)));
}

#[test]
fn an_xenstored_that_cannot_reset_is_not_asked_to() {
    let (xenstored, client) = connected_with(Settings { features: 0, ..Settings::default() });
    assert!(!client.reconnect());
    assert_eq!(xenstored.page().read().connection, 0);
}

#[test]
fn a_guest_that_starts_before_xenstored_waits_for_it() {
    let xenstored = Xenstored::new(page());
    let mut words = xenstored.page().read();
    (words.connection, words.server_features, words.req_prod) = (1, 0, 12345);
    xenstored.page().write(words);
    let client = Client::new(xenstored.page());
    let mut write = Box::pin(client.write("data/x", "1"));
    assert!(!is_ready(&mut write));
    assert!(!client.pump().notify);
    xenstored.notify();
    xenstored.run(&client, write).unwrap();
}

#[test]
fn a_restored_guest_goes_on_with_its_new_page() {
    let (before, client) = connected();
    let mut watch = before.run(&client, client.watch("data")).unwrap();
    before.run(&client, watch.next()).unwrap();
    let mut lost = Box::pin(client.read("name"));
    assert!(!is_ready(&mut lost));
    let _ = client.pump();

    let after = Xenstored::new(page());
    client.restore(after.page());
    assert_eq!(after.run(&client, lost), Err(Error::Disconnected(Disconnect::Reset)));
    // At once, and when xenstored has set it.
    for _ in 0..2 {
        assert_eq!(after.run(&client, watch.next()).unwrap().path, "data");
    }
    assert_eq!(after.watches().len(), 1);
}

#[test]
fn watches_fire_when_the_guest_is_restored_whatever_xenstored_says() {
    let (before, client) = connected();
    let mut watch = before.run(&client, client.watch("data")).unwrap();
    before.run(&client, watch.next()).unwrap();
    let after = Xenstored::new(page());
    after.inject(Fault::Refuse("EQUOTA"));
    assert_eq!(client.restores(), 0);
    client.restore(after.page());
    assert_eq!((client.restores(), client.counters().resets), (1, 1));
    assert_eq!(after.run(&client, watch.next()).unwrap().path, "data");
    assert_eq!(after.run(&client, watch.next()), Err(Error::Refused(Refusal::Quota)));
}

#[test]
fn requests_that_are_held_end_when_the_guest_is_restored() {
    let (before, client) = connected();
    let mut answered = Box::pin(client.write("data/x", "1"));
    assert!(!is_ready(&mut answered));
    assert!(client.is_quiet() && !client.is_idle());
    let _ = client.pump();
    assert!(!client.is_quiet(), "its answer is under way");
    client.hold(true);
    let mut held = Box::pin(client.write("data/y", "2"));
    assert!(!is_ready(&mut held));
    before.notify();
    assert_eq!(before.run(&client, answered), Ok(()));
    assert!(before.run_until_idle(&client, &mut held).is_none());
    assert!(client.is_quiet() && !client.is_idle());
    assert_eq!(before.read("/local/domain/1/data/y"), None);

    let after = Xenstored::new(page());
    client.restore(after.page());
    assert_eq!(after.run(&client, held), Err(Error::Disconnected(Disconnect::Reset)));
    assert_eq!(after.read("/local/domain/1/data/y"), None, "it was meant for the domain of before");
    assert_eq!(after.run(&client, client.write("data/y", "3")), Ok(()));
    assert!(client.is_idle());
}

#[test]
fn requests_that_are_held_go_on_when_they_are_let_go() {
    let (xenstored, client) = connected();
    client.hold(true);
    let mut held = Box::pin(client.write("data/x", "1"));
    assert!(xenstored.run_until_idle(&client, &mut held).is_none());
    client.hold(false);
    assert_eq!(xenstored.run(&client, held), Ok(()));
}

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_that_waits_for_a_watch_is_woken_by_a_restore() {
    let (before, client) = connected();
    let mut watch = before.run(&client, client.watch("data")).unwrap();
    before.run(&client, watch.next()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut next = pin!(watch.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    client.restore(Xenstored::new(page()).page());
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(next.poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn the_end_of_an_old_transaction_does_not_end_a_new_one() {
    let (before, client) = connected();
    let mut old = Box::pin(client.transaction(&no_time, async |transaction| {
        transaction.write("data/x", "1").await?;
        std::future::pending::<()>().await;
        done()
    }));
    assert!(before.run_until_idle(&client, &mut old).is_none());
    assert_eq!(before.transactions(), 1);
    let after = Xenstored::new(page());
    client.restore(after.page());
    let mut old = Some(old);
    let answer = after.run(
        &client,
        client.transaction(&no_time, async |transaction| {
            transaction.write("data/y", "1").await?;
            drop(old.take());
            // What the drop asked for would have come before this.
            assert!(client.read("data/none").await.is_err());
            transaction.write("data/z", "1").await
        }),
    );
    assert_eq!(answer, Ok(()));
}

#[test]
fn an_old_transaction_does_not_write_into_a_new_one() {
    let (before, client) = connected();
    let go_on = AtomicU32::new(0);
    let mut old = Box::pin(client.transaction(&no_time, async |transaction| {
        transaction.write("data/x", "1").await?;
        poll_fn(|_| if go_on.load(Ordering::Relaxed) == 0 { Poll::Pending } else { Poll::Ready(()) }).await;
        transaction.write("data/x", "2").await
    }));
    assert!(before.run_until_idle(&client, &mut old).is_none());
    let after = Xenstored::new(page());
    client.restore(after.page());
    go_on.store(1, Ordering::Relaxed);
    let mut old = Some(old);
    let answer = after.run(
        &client,
        client.transaction(&no_time, async |transaction| {
            transaction.write("data/y", "1").await?;
            if let Some(old) = old.take() {
                assert_eq!(old.await, Err(Error::Disconnected(Disconnect::Reset)));
            }
            done()
        }),
    );
    assert_eq!(answer, Ok(()));
    assert_eq!(after.read("/local/domain/1/data/x"), None);
}

#[test]
fn a_transaction_that_began_before_a_restore_is_over_although_nobody_has_heard_of_its_beginning() {
    let (before, client) = connected();
    let mut old =
        Box::pin(client.transaction(&no_time, async |transaction| transaction.write("data/x", "1").await));
    assert!(!is_ready(&mut old));
    let _ = client.pump();
    before.notify();
    let _ = client.pump();
    assert_eq!(before.transactions(), 1);
    let after = Xenstored::new(page());
    client.restore(after.page());
    assert_eq!(after.run(&client, old), Err(Error::Disconnected(Disconnect::Reset)));
}
