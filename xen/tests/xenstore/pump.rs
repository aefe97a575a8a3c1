// SPDX-License-Identifier: MIT OR Apache-2.0
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use xen::xenstore::Pumped;

use crate::{connected, is_ready, no_time};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn xenstored_gets_an_event_for_bytes_and_not_for_room_that_it_had() {
    let (xenstored, client) = connected();
    let mut read = Box::pin(client.read("name"));
    assert!(!is_ready(&mut read));
    assert_eq!(client.pump(), Pumped { notify: true, progress: true });
    assert_eq!(client.pump(), Pumped { notify: false, progress: false });
    xenstored.notify();
    assert_eq!(client.pump(), Pumped { notify: false, progress: true });
    assert_eq!(client.pump(), Pumped { notify: false, progress: false });
    assert!(is_ready(&mut read));
}

#[test]
fn the_pump_is_woken_for_a_new_request_and_not_before() {
    let (_xenstored, client) = connected();
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(counter.clone());
    let mut work = pin!(client.wait_for_work());
    assert!(work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    let mut read = Box::pin(client.read("name"));
    assert!(!is_ready(&mut read));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert!(work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    let _ = client.pump();
    assert!(!is_ready(&mut Box::pin(client.wait_for_work())));
}

#[test]
fn a_wish_to_reconnect_is_announced_by_an_event() {
    let (_xenstored, client) = connected();
    assert!(client.reconnect());
    assert_eq!(client.pump(), Pumped { notify: true, progress: false });
    assert_eq!(client.pump(), Pumped { notify: false, progress: false });
}

#[test]
fn futures_can_move_between_vcpus() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (xenstored, client) = connected();
    let both = is_send(async {
        let mut watch = client.watch("data").await?;
        watch.next().await?;
        client.directory("data").await?;
        client.transaction(&no_time, async |transaction| transaction.write("data/x", "1").await).await
    });
    xenstored.run(&client, both).unwrap();
    is_send(client);
}

/// A waker that uses the client when it is dropped, as one that holds a whole task may.
struct Clinging(xen::xenstore::Client);

impl Wake for Clinging {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Clinging {
    fn drop(&mut self) {
        let _ = self.0.counters();
    }
}

#[test]
fn wakers_are_woken_and_dropped_while_the_client_is_free() {
    let (_xenstored, client) = connected();
    let clinging = || Waker::from(Arc::new(Clinging(client.clone())));
    let poll = |future: &mut std::pin::Pin<Box<dyn Future<Output = ()> + '_>>| {
        assert!(future.as_mut().poll(&mut Context::from_waker(&clinging())).is_pending());
    };
    let mut work: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(client.wait_for_work());
    poll(&mut work);
    poll(&mut work);
    let mut read: std::pin::Pin<Box<dyn Future<Output = ()>>> =
        Box::pin(async { drop(client.read("name").await) });
    poll(&mut read); // wakes the pump
    poll(&mut read);
    drop(read);
}
