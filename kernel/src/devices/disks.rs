// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disks there are, in the order of their numbers: the same at each boot.

use alloc::sync::Arc;
use alloc::vec::Vec;

use embassy_time::{Duration, TimeoutError, with_timeout};
use log::warn;
use prism_drivers::block::{Registry, names};

use crate::hypervisor::grant::OwnPage;

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

pub use prism_drivers::block::partition::{Partition, partitions};
pub use prism_drivers::block::{Discard, Error, Geometry};

/// Where a disk stands in the order: the number that its bus gives it.
pub(crate) type Number = u32;

/// The number of the disk that the loader put into memory: the last one.
pub(crate) const RAMDISK: Number = Number::MAX;

static DISKS: Registry<OwnPage> = Registry::new();

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

/// How long [`all`] waits for it to be known what becomes of disks, whatever keeps that from happening: an
/// xenstored that does not answer, say. Each disk by itself has less time.
const LONGEST_SCAN: Duration = Duration::from_secs(60);

/// All disks, once it is known what becomes of those that were there at boot.
pub(crate) async fn all() -> Vec<Arc<Disk>> {
    match with_timeout(LONGEST_SCAN, DISKS.all()).await {
        Ok(disks) => disks,
        Err(TimeoutError) => {
            let pending = DISKS.pending();
            let seconds = LONGEST_SCAN.as_secs();
            warn!("disks {pending:?} not ready after {seconds} s; going on without them");
            DISKS.working()
        }
    }
}

/// The disk that people mean by `name`, and the number of the partition, if they mean one.
pub(crate) async fn find(name: &str) -> Option<(Arc<Disk>, Option<u32>)> {
    let disks = all().await;
    let named: Vec<&str> = disks.iter().map(|disk| disk.name()).collect();
    let meaning = names::meaning(&named, name)?;
    Some((Arc::clone(disks.get(meaning.disk)?), meaning.partition))
}

/// The disk of exactly this name, as soon as there is one.
pub(crate) async fn named(name: &str) -> Arc<Disk> {
    DISKS.named(name).await
}

/// Has [`all`] wait until as many searches have ended as were begun.
pub(crate) fn begin_scan() {
    DISKS.begin_scan();
}

/// A search has ended: all disks that are there at boot have been [announced](announce).
pub(crate) fn end_scan() {
    DISKS.end_scan();
}

/// There is a disk of which it will be known later what becomes of it.
pub(crate) fn announce(number: Number) {
    DISKS.announce(number);
}

/// There is a disk, and it works.
pub(crate) fn add(number: Number, disk: Arc<Disk>) {
    DISKS.add(number, disk);
}

/// There is no such disk, or it does not work now.
pub(crate) fn remove(number: Number) {
    DISKS.remove(number);
}
