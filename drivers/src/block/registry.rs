// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disks of the system, by number, and the tasks that wait for them.
//!
//! Buses are scanned at boot, each by tasks of its own. A scan [announces](Registry::announce) the disks that
//! it finds. Each of those is [added](Registry::add) when it works, or [removed](Registry::remove) when it is
//! known that it does not.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::hal::Page;
use spin::{Mutex, MutexGuard};

use super::Disk;

/// The disks there are.
pub struct Registry<P: Page> {
    inner: Mutex<Inner<P>>,
}

struct Inner<P: Page> {
    /// By number; `None` if it is not known yet what becomes of it.
    disks: BTreeMap<u32, Option<Arc<dyn Disk<P>>>>,
    scans: u32,
    /// Who waits for a change, each under a number of its own, so that there are as many as futures.
    waiters: BTreeMap<u64, Waker>,
    next_waiter: u64,
}

impl<P: Page> Registry<P> {
    /// Without disks.
    pub const fn new() -> Self {
        let inner = Inner { disks: BTreeMap::new(), scans: 0, waiters: BTreeMap::new(), next_waiter: 0 };
        Self { inner: Mutex::new(inner) }
    }

    /// Has [`all`](Self::all) wait until as many scans have ended as were begun.
    pub fn begin_scan(&self) {
        self.inner.lock().scans += 1;
    }

    /// A scan has ended: all disks that it found have been [announced](Self::announce).
    pub fn end_scan(&self) {
        self.change(|inner| inner.scans = inner.scans.saturating_sub(1));
    }

    /// There is a disk of which it will be known later what becomes of it.
    pub fn announce(&self, number: u32) {
        self.change(|inner| _ = inner.disks.entry(number).or_insert(None));
    }

    /// There is a disk, and it works.
    pub fn add(&self, number: u32, disk: Arc<dyn Disk<P>>) {
        self.change(|inner| drop(inner.disks.insert(number, Some(disk))));
    }

    /// There is no such disk, or it does not work now.
    pub fn remove(&self, number: u32) {
        self.change(|inner| drop(inner.disks.remove(&number)));
    }

    /// The disks that work now, in the order of their numbers.
    pub fn working(&self) -> Vec<Arc<dyn Disk<P>>> {
        self.inner.lock().working().collect()
    }

    /// Numbers of the disks of which it is not known yet what becomes of them.
    pub fn pending(&self) -> Vec<u32> {
        let inner = self.inner.lock();
        inner.disks.iter().filter(|(_, disk)| disk.is_none()).map(|(number, _)| *number).collect()
    }

    /// All disks, once it is known what becomes of those that were there at boot.
    pub fn all(&self) -> impl Future<Output = Vec<Arc<dyn Disk<P>>>> + '_ {
        self.wait(|inner| inner.is_complete().then(|| inner.working().collect()))
    }

    /// The disk of exactly this name, as soon as there is one.
    pub fn named<'r>(&'r self, name: &'r str) -> impl Future<Output = Arc<dyn Disk<P>>> + 'r {
        self.wait(move |inner| inner.working().find(|disk| disk.name() == name))
    }

    /// Futures that wait for a change.
    pub fn waiting(&self) -> usize {
        self.inner.lock().waiters.len()
    }

    fn wait<T, F: Fn(&Inner<P>) -> Option<T>>(&self, look: F) -> Wait<'_, P, F> {
        Wait { registry: self, look, waiter: None }
    }

    /// Changes what there is, and wakes whoever waits for a change.
    fn change(&self, how: impl FnOnce(&mut Inner<P>)) {
        let waiters = {
            let mut inner = self.inner.lock();
            how(&mut inner);
            mem::take(&mut inner.waiters)
        };
        waiters.into_values().for_each(Waker::wake);
    }
}

impl<P: Page> Default for Registry<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Page> Inner<P> {
    fn is_complete(&self) -> bool {
        self.scans == 0 && self.disks.values().all(Option::is_some)
    }

    fn working(&self) -> impl Iterator<Item = Arc<dyn Disk<P>>> + '_ {
        self.disks.values().flatten().map(Arc::clone)
    }
}

/// Waits until `look` finds something.
struct Wait<'r, P: Page, F> {
    registry: &'r Registry<P>,
    look: F,
    /// The number under which its waker is kept.
    waiter: Option<u64>,
}

// Nothing in it is pinned.
impl<P: Page, F> Unpin for Wait<'_, P, F> {}

impl<P: Page, F> Wait<'_, P, F> {
    fn keep(&mut self, mut inner: MutexGuard<'_, Inner<P>>, waker: &Waker) {
        let waiter = self.waiter.unwrap_or(inner.next_waiter);
        if self.waiter.is_none() {
            inner.next_waiter += 1;
            self.waiter = Some(waiter);
        }
        inner.waiters.insert(waiter, waker.clone());
    }
}

impl<T, P: Page, F: Fn(&Inner<P>) -> Option<T>> Future for Wait<'_, P, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let inner = self.registry.inner.lock();
        match (self.look)(&inner) {
            Some(found) => Poll::Ready(found),
            None => {
                self.keep(inner, context.waker());
                Poll::Pending
            }
        }
    }
}

impl<P: Page, F> Drop for Wait<'_, P, F> {
    fn drop(&mut self) {
        let waker = self.waiter.and_then(|waiter| self.registry.inner.lock().waiters.remove(&waiter));
        // A waker is dropped without the lock.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use core::pin::pin;

    use xen::fake::FakePage;

    use super::*;
    use crate::block::ramdisk::RamDisk;
    use crate::hal::poll;

    fn disk(name: &str) -> Arc<dyn Disk<FakePage>> {
        Arc::new(RamDisk::new(name.into(), vec![0; 512], 512))
    }

    #[test]
    fn disks_are_known_when_each_announced_one_works_or_does_not() {
        let registry = Registry::<FakePage>::new();
        registry.begin_scan();
        let mut all = pin!(registry.all());
        assert!(poll(all.as_mut()).is_pending());
        registry.announce(2);
        registry.announce(1);
        registry.end_scan();
        assert!(poll(all.as_mut()).is_pending());
        registry.add(1, disk("xvda"));
        assert_eq!(registry.pending(), [2]);
        assert!(poll(all.as_mut()).is_pending());
        registry.remove(2);
        let Poll::Ready(disks) = poll(all.as_mut()) else { panic!("it waits for a disk that is no more") };
        assert_eq!(disks.len(), 1);
    }

    #[test]
    fn forty_disks_are_in_the_order_of_their_numbers() {
        let registry = Registry::<FakePage>::new();
        (0..40).rev().for_each(|number| registry.announce(number));
        (0..40).rev().for_each(|number| registry.add(number, disk(&format!("vbd-{number}"))));
        let Poll::Ready(disks) = poll(pin!(registry.all())) else { panic!("all of them work") };
        let expected = (0..40).map(|number| format!("vbd-{number}"));
        assert!(disks.iter().map(|disk| disk.name().to_string()).eq(expected));
    }

    #[test]
    fn disk_that_is_plugged_in_later_is_found_by_its_name() {
        let registry = Registry::<FakePage>::new();
        let mut named = pin!(registry.named("xvdb"));
        assert!(poll(named.as_mut()).is_pending());
        registry.add(1, disk("xvda"));
        assert!(poll(named.as_mut()).is_pending());
        registry.add(2, disk("xvdb"));
        assert!(poll(named.as_mut()).is_ready());
    }

    #[test]
    fn waiting_futures_keep_one_waker_each_and_none_when_dropped() {
        let registry = Registry::<FakePage>::new();
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(registry.named("xvda"))).collect();
        for _ in 0..100 {
            waits.iter_mut().for_each(|wait| assert!(poll(wait.as_mut()).is_pending()));
        }
        assert_eq!(registry.waiting(), 3);
        drop(waits);
        assert_eq!(registry.waiting(), 0);
    }
}
