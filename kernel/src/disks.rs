// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disks there are, in the order of their numbers: the same at each boot.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use spin::Mutex;

use crate::grant::OwnPage;

/// A disk, whatever is behind it.
pub type Disk = dyn prism_drivers::block::Disk<OwnPage>;

/// Memory that disks read into and write from.
pub type Buffer = prism_drivers::block::Buffer<OwnPage>;

/// What a disk is asked for.
pub type Request = prism_drivers::block::Request<OwnPage>;

/// A request that was not done.
pub type Failed = prism_drivers::block::Failed<OwnPage>;

/// A request on its way.
pub type Submission<'d> = prism_drivers::block::Submission<'d, OwnPage>;

pub use prism_drivers::block::{Discard, Error, Geometry};

/// Where a disk stands in the order: the number that its bus gives it.
pub(crate) type Number = u32;

/// The number of the disk that the loader put into memory: the last one.
pub(crate) const RAMDISK: Number = Number::MAX;

static DISKS: Mutex<Disks> = Mutex::new(Disks { disks: BTreeMap::new(), searches: 0, wakers: Vec::new() });

/// A buffer of `length` bytes; `None` if there is no memory.
pub fn buffer(length: usize) -> Option<Buffer> {
    Buffer::new(length, OwnPage::new)
}

/// A disk as a row of bytes: for file systems.
pub type Bytes = prism_drivers::block::Bytes<OwnPage>;

/// `disk` as a row of bytes.
pub fn bytes(disk: Arc<Disk>) -> Bytes {
    Bytes::of(disk, Arc::new(OwnPage::new))
}

/// All disks, once it is known what becomes of those that were there at boot.
pub(crate) async fn all() -> Vec<Arc<Disk>> {
    poll_fn(|context| {
        let mut disks = DISKS.lock();
        if disks.is_settled() {
            return Poll::Ready(disks.working());
        }
        disks.wakers.push(context.waker().clone());
        Poll::Pending
    })
    .await
}

/// The disk of this name, as soon as there is one.
pub(crate) async fn named(name: &str) -> Arc<Disk> {
    poll_fn(|context| {
        let mut disks = DISKS.lock();
        match disks.working().into_iter().find(|disk| disk.name() == name) {
            Some(disk) => Poll::Ready(disk),
            None => {
                disks.wakers.push(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Has [`all`] wait until as many searches have ended as were begun.
pub(crate) fn begin_search() {
    DISKS.lock().searches += 1;
}

/// A search has ended: all disks that are there at boot have been [announced](announce).
pub(crate) fn end_search() {
    change(|disks| disks.searches = disks.searches.saturating_sub(1));
}

/// There is a disk of which it will be known later what becomes of it.
pub(crate) fn announce(number: Number) {
    change(|disks| {
        disks.disks.entry(number).or_insert(Place::Announced);
    });
}

/// There is a disk, and it works.
pub(crate) fn add(number: Number, disk: Arc<Disk>) {
    change(|disks| drop(disks.disks.insert(number, Place::Works(disk))));
}

/// There is no such disk, or it does not work.
pub(crate) fn remove(number: Number) {
    change(|disks| drop(disks.disks.remove(&number)));
}

/// Changes what there is, and wakes whoever waits for a change.
fn change(how: impl FnOnce(&mut Disks)) {
    let wakers = {
        let mut disks = DISKS.lock();
        how(&mut disks);
        core::mem::take(&mut disks.wakers)
    };
    wakers.into_iter().for_each(Waker::wake);
}

struct Disks {
    disks: BTreeMap<Number, Place>,
    searches: u32,
    wakers: Vec<Waker>,
}

enum Place {
    /// It is not known yet what becomes of it.
    Announced,
    Works(Arc<Disk>),
}

impl Disks {
    fn is_settled(&self) -> bool {
        self.searches == 0 && self.disks.values().all(|place| matches!(place, Place::Works(_)))
    }

    fn working(&self) -> Vec<Arc<Disk>> {
        let places = self.disks.values();
        let works = |place: &Place| match place {
            Place::Works(disk) => Some(Arc::clone(disk)),
            Place::Announced => None,
        };
        places.filter_map(works).collect()
    }
}
