// SPDX-License-Identifier: MIT OR Apache-2.0
//! All disks, in the order of their numbers, which is the same at each boot.

use alloc::sync::Arc;
use alloc::vec::Vec;

use embassy_time::{Duration, TimeoutError, with_timeout};
use log::warn;
use prism_drivers::block::{Registry, names};

pub use super::backends::ServeError;
use super::xenbus::STEP_LIMIT;
use crate::hypervisor::grant::OwnPage;

/// A disk of any kind.
pub type Disk = dyn prism_drivers::block::Disk<OwnPage>;

/// A buffer that disks read into and write from.
pub type Buffer = prism_drivers::block::Buffer<OwnPage>;

/// A request to a disk.
pub type Request = prism_drivers::block::Request<OwnPage>;

/// A failed request.
pub type Failed = prism_drivers::block::Failed<OwnPage>;

/// A submitted request.
pub type Submission<'d> = prism_drivers::block::Submission<'d, OwnPage>;

pub use prism_drivers::block::partition::{Partition, partitions};
pub use prism_drivers::block::{Discard, Error, Geometry};

/// A disk's position in the order: the number that its bus gives it.
pub(crate) type Number = u32;

/// The number of the disk that the loader put into memory: the last one.
pub(crate) const RAMDISK: Number = Number::MAX;

static DISKS: Registry<OwnPage> = Registry::new();

/// A buffer of `length` bytes; `None` if there is no memory.
pub fn buffer(length: usize) -> Option<Buffer> {
    Buffer::new(length, OwnPage::new)
}

/// A disk as a range of bytes, for file systems.
pub type ByteRange = prism_drivers::block::ByteRange<OwnPage>;

/// `disk` as a range of bytes.
pub fn bytes(disk: Arc<Disk>) -> ByteRange {
    ByteRange::of(disk, Arc::new(OwnPage::new))
}

/// How long [`all`] waits while nothing changes and no backend gets on, for example where xenstored does not
/// answer, and how often.
/// Each disk has a shorter timeout of its own, but a host may be slow to make the many that a domain has.
const QUIET_SCAN: Duration = Duration::from_secs(60);
const QUIET_SCANS: usize = 5;

/// All disks, once each of those that were there at boot works or has failed.
pub(crate) async fn all() -> Vec<Arc<Disk>> {
    let known = || (DISKS.pending(), DISKS.working().len(), STEP_LIMIT.steps());
    for _ in 0..QUIET_SCANS {
        let before = known();
        match with_timeout(QUIET_SCAN, DISKS.all()).await {
            Ok(disks) => return disks,
            Err(TimeoutError) if known() != before => {}
            Err(TimeoutError) => break,
        }
    }
    warn!("disks {:?} not ready; going on without them", DISKS.pending());
    DISKS.working()
}

/// The disks that work now. None is looked for.
pub(crate) fn working() -> Vec<Arc<Disk>> {
    DISKS.working()
}

/// The disk that `name` means, and the number of the partition, if `name` has one.
pub(crate) async fn find(name: &str) -> Option<(Arc<Disk>, Option<u32>)> {
    let disks = all().await;
    let named: Vec<&str> = disks.iter().map(|disk| disk.name()).collect();
    let meaning = names::meaning(&named, name)?;
    Some((Arc::clone(disks.get(meaning.disk)?), meaning.partition))
}

/// Waits for a disk of exactly this name.
pub(crate) async fn named(name: &str) -> Arc<Disk> {
    DISKS.named(name).await
}

/// Begins a scan: [`all`] waits until every scan that was begun has ended.
pub(crate) fn begin_scan() {
    DISKS.begin_scan();
}

/// Ends a scan: all its disks have been [announced](announce).
pub(crate) fn end_scan() {
    DISKS.end_scan();
}

/// Announces a disk that will be [added](add) or [removed](remove) later.
pub(crate) fn announce(number: Number) {
    DISKS.announce(number);
}

/// Adds a working disk.
pub(crate) fn add(number: Number, disk: Arc<Disk>) {
    DISKS.add(number, disk);
}

/// Removes a disk that is gone, or does not work now.
pub(crate) fn remove(number: Number) {
    DISKS.remove(number);
}
