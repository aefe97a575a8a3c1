// SPDX-License-Identifier: MIT OR Apache-2.0
//! Back-pressure.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A task that waits for a reference, and how often it was woken.
struct Waiter<'t> {
    future: Pin<Box<WaitForFree<'t, FakePage>>>,
    wakes: Arc<Wakes>,
}

impl<'t> Waiter<'t> {
    fn new(table: &'t Table<FakePage>) -> Self {
        Self { future: Box::pin(table.wait_for_free()), wakes: Arc::default() }
    }

    /// A task that has been told to wait.
    fn queued(table: &'t Table<FakePage>) -> Self {
        let mut waiter = Self::new(table);
        assert!(waiter.poll().is_none());
        waiter
    }

    fn poll(&mut self) -> Option<FreeRef<'t, FakePage>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(free_ref) => Some(free_ref.unwrap()),
            Poll::Pending => None,
        }
    }
}

#[test]
fn a_free_reference_is_had_at_once() {
    let xen = FakeXen::new();
    let table = xen.table();
    assert!(Waiter::new(&table).poll().is_some());
}

#[test]
fn references_go_to_those_who_wait_in_their_order() {
    let xen = one_frame();
    let table = xen.table();
    let mut taken = take_all_but(&table, 0);
    let mut waiters: Vec<_> = (0..3).map(|_| Waiter::queued(&table)).collect();
    assert_eq!(table.report().waiting, 3);
    for served in 0..3 {
        let reference = taken.pop().unwrap().reference();
        let wakes: Vec<_> = waiters.iter().map(|waiter| waiter.wakes.count()).collect();
        assert_eq!(wakes, (0..3).map(|each| u32::from(each <= served)).collect::<Vec<_>>());
        let free_ref = waiters[served].poll().unwrap();
        assert_eq!(free_ref.reference(), reference);
        taken.insert(0, free_ref);
    }
    assert_eq!(table.report().waiting, 0);
}

#[test]
fn a_newcomer_does_not_overtake_those_who_wait() {
    let xen = one_frame();
    let table = xen.table();
    let mut taken = take_all_but(&table, 0);
    let mut first = Waiter::queued(&table);
    taken.pop();
    assert_eq!(table.free_ref().unwrap_err(), Error::Full);
    let mut second = Waiter::queued(&table);
    assert!(first.poll().is_some());
    assert!(second.poll().is_some());
}

#[test]
fn a_cancelled_waiter_is_not_waited_for() {
    let xen = one_frame();
    let table = xen.table();
    let mut taken = take_all_but(&table, 0);
    let (first, mut second) = (Waiter::queued(&table), Waiter::queued(&table));
    drop(first);
    taken.pop();
    assert!(second.poll().is_some());
}

#[test]
fn what_was_handed_to_one_who_gave_up_goes_to_the_next() {
    let xen = one_frame();
    let table = xen.table();
    let mut taken = take_all_but(&table, 0);
    let (first, mut second) = (Waiter::queued(&table), Waiter::queued(&table));
    taken.pop();
    assert_eq!((first.wakes.count(), second.wakes.count()), (1, 0));
    drop(first);
    assert_eq!(second.wakes.count(), 1);
    assert!(second.poll().is_some());
    drop((second, taken));
    assert!(table.report().is_idle());
}

#[test]
fn a_task_that_moved_is_woken_where_it_is_now() {
    let xen = one_frame();
    let table = xen.table();
    let mut taken = take_all_but(&table, 0);
    let mut waiter = Waiter::queued(&table);
    let before = std::mem::take(&mut waiter.wakes);
    assert!(waiter.poll().is_none());
    taken.pop();
    assert_eq!((before.count(), waiter.wakes.count()), (0, 1));
}

#[test]
fn a_page_is_granted_as_soon_as_another_grant_ends() {
    let xen = one_frame();
    let table = xen.table();
    let _taken = take_all_but(&table, 1);
    let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    let mut waiting = pin!(table.grant::<ReadOnly>(xen.page(), PEER));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    drop(granted);
    assert!(waiting.as_mut().poll(&mut context).is_ready());
}

#[test]
fn a_page_that_leaves_quarantine_serves_who_waits() {
    let xen = one_frame();
    let (table, peer) = (xen.table(), xen.peer(PEER));
    let _taken = take_all_but(&table, 1);
    let granted = table.try_grant::<ReadOnly>(xen.page(), PEER).unwrap();
    let mapping = peer.map_to_read(granted.reference()).unwrap();
    drop(granted);
    let mut waiter = Waiter::queued(&table);
    drop(mapping);
    assert_eq!(table.retry_quarantine(), 1);
    assert_eq!(waiter.wakes.count(), 1);
    assert!(waiter.poll().is_some());
}
