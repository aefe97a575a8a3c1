// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is served: a disk, or a part of one.

use alloc::sync::Arc;
use core::future::Future;

use crate::block::partition::Partition;
use crate::block::{Disk, Geometry, Request};
use crate::hal::Page;

/// A disk, or a part of one, that is served to other domains.
pub struct Export<P: Page> {
    disk: Arc<dyn Disk<P>>,
    /// Where it begins, in bytes; a multiple of the sector size.
    start: u64,
    /// How many bytes there are; `None` for all, however the disk grows.
    length: Option<u64>,
    read_only: bool,
    discards: bool,
}

impl<P: Page> Clone for Export<P> {
    fn clone(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), ..*self }
    }
}

impl<P: Page> Export<P> {
    /// All of a disk.
    pub fn whole(disk: Arc<dyn Disk<P>>) -> Self {
        Self { disk, start: 0, length: None, read_only: false, discards: true }
    }

    /// A partition of it.
    pub fn part(disk: Arc<dyn Disk<P>>, partition: Partition) -> Self {
        Self { start: partition.start, length: Some(partition.length), ..Self::whole(disk) }
    }

    /// The same, for reading only.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// The same, all of which has to be kept.
    #[must_use]
    pub fn without_discards(self) -> Self {
        Self { discards: false, ..self }
    }

    /// What it is like now.
    pub fn geometry(&self) -> Geometry {
        let disk = self.disk.geometry();
        let there = disk.bytes.saturating_sub(self.start);
        let bytes = self.length.map_or(there, |length| length.min(there));
        let read_only = self.read_only || disk.read_only;
        Geometry { bytes, read_only, discards: self.discards && disk.discards && !read_only, ..disk }
    }

    /// The request to the disk that does a request to this, which lies inside of the
    /// [geometry](Self::geometry).
    pub(super) fn request(&self, request: Request<P>) -> Request<P> {
        let at = |offset: u64| offset.saturating_add(self.start);
        match request {
            Request::Read { offset, buffer } => Request::Read { offset: at(offset), buffer },
            Request::Write { offset, buffer } => Request::Write { offset: at(offset), buffer },
            Request::Discard { offset, length, how } => Request::Discard { offset: at(offset), length, how },
            Request::Flush => Request::Flush,
        }
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk<P>> {
        &self.disk
    }
}

/// Finds what there is to serve.
pub trait Exports<P: Page>: Send + Sync {
    /// What `name` means, which is the disk's `target=` in the guest's configuration; `None` if it means
    /// nothing.
    fn find(&self, name: &str) -> impl Future<Output = Option<Export<P>>> + Send;
}

#[cfg(test)]
mod tests {
    use xen::fake::FakePage;

    use super::*;
    use crate::block::ramdisk::RamDisk;

    #[test]
    fn a_part_is_as_long_as_it_is_and_lies_inside_of_the_disk() {
        let disk: Arc<dyn Disk<FakePage>> = Arc::new(RamDisk::new("ram0".into(), vec![0; 8192], 512));
        let part = |start, length| Export::part(Arc::clone(&disk), Partition { number: 1, start, length });
        assert_eq!(part(1024, 2048).geometry().bytes, 2048);
        assert_eq!(part(1024, 10_000).geometry().bytes, 7168);
        assert_eq!(part(10_000, 512).geometry().bytes, 0);
        assert_eq!(Export::whole(Arc::clone(&disk)).geometry().bytes, 8192);
        let request = part(1024, 2048).request(Request::Discard {
            offset: 512,
            length: 512,
            how: crate::block::Discard::Normal,
        });
        assert!(matches!(request, Request::Discard { offset: 1536, .. }));
    }

    #[test]
    fn what_is_read_only_is_not_discarded_either() {
        let disk: Arc<dyn Disk<FakePage>> = Arc::new(RamDisk::new("ram0".into(), vec![0; 8192], 512));
        let geometry = Export::whole(disk).read_only().geometry();
        assert!(geometry.read_only && !geometry.discards);
    }
}
