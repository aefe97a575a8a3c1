// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks: paravirtual ones, emulated ones, and memory.
//!
//! A [`Disk`] takes [`Request`]s and finishes them in any order; any number may be in flight at
//! once, each a future of its own. Offsets and lengths are in bytes, and multiples of the disk's
//! [sector size](Geometry::sector_size).
//!
//! # Buffers
//!
//! A request owns its [`Buffer`], a list of whole pages, and gives it back when it is finished. So
//! the device can use the pages themselves, without a copy, and dropping the future takes nothing
//! away from under it: the disk keeps the pages until the device is done with them.
//!
//! # Durability
//!
//! A write that is finished is durable once a [`flush`](Request::Flush) that was submitted *after
//! it finished* has finished. Nothing is said about writes that are in flight at the same time.
//! There is no write that is durable by itself (FUA): the paravirtual protocol has none
//! (`xen/include/public/io/blkif.h`), and a write with a flush behind it is the same.

pub mod ahci;
mod ata;
pub mod blkback;
pub mod blkfront;
mod buffer;
mod byte_range;
mod error;
mod geometry;
pub mod ide;
pub mod names;
pub mod nvme;
pub mod partition;
mod queued_disk;
pub mod ramdisk;
mod registry;
mod request;
pub mod romdisk;
#[cfg(test)]
pub(crate) mod samples;

use alloc::boxed::Box;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;

use crate::hal::Page;

pub use buffer::Buffer;
pub(crate) use buffer::Content;
pub use byte_range::{ByteRange, Pages};
pub use error::{Error, Failed, Result};
pub use geometry::Geometry;
pub use queued_disk::{Done, Queue, QueuedDisk};
pub use registry::Registry;
pub use request::{Discard, Request};

/// A disk. `P` is the kernel's type of a page.
///
/// Implementors provide [`submit`](Self::submit); everybody else calls the methods of
/// `dyn Disk<P>`.
pub trait Disk<P: Page>: Send + Sync {
    /// Its name, such as `xvda`: the same at each boot.
    fn name(&self) -> &str;

    /// The driver's name, for people.
    fn driver(&self) -> &'static str;

    /// What it is like now: a disk can grow, shrink, or be taken away (0 bytes).
    fn geometry(&self) -> Geometry;

    /// Does a request, and begins at once, before the future is polled. Requests of any length are
    /// accepted, and split where the device needs it.
    ///
    /// Dropping the future does not stop what the device is doing already.
    fn submit(&self, request: Request<P>) -> Submission<'_, P>;
}

/// A request on its way; it gives the buffer back, empty if there was none.
pub type Submission<'d, P> =
    Pin<Box<dyn Future<Output = core::result::Result<Buffer<P>, Failed<P>>> + Send + 'd>>;

impl<P: Page> dyn Disk<P> + '_ {
    /// Fills `buffer` from byte `offset` of the disk.
    ///
    /// # Errors
    ///
    /// [`Error`], along with the buffer.
    pub async fn read(&self, offset: u64, buffer: Buffer<P>) -> core::result::Result<Buffer<P>, Failed<P>> {
        self.submit(Request::Read { offset, buffer }).await
    }

    /// Writes `buffer` to byte `offset` of the disk.
    ///
    /// # Errors
    ///
    /// [`Error`], along with the buffer.
    pub async fn write(&self, offset: u64, buffer: Buffer<P>) -> core::result::Result<Buffer<P>, Failed<P>> {
        self.submit(Request::Write { offset, buffer }).await
    }

    /// Makes all writes durable that are finished now. A disk without a cache has nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error`]; then no earlier write may be taken to be durable.
    pub async fn flush(&self) -> Result<()> {
        self.submit(Request::Flush).await.map(drop).map_err(|failed| failed.error)
    }

    /// Has the disk forget a range of bytes; what is read from it afterwards is anything, unless it
    /// was a [secure](Discard::Secure) discard: then it is not what was there.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Unsupported`] if the disk cannot.
    pub async fn discard(&self, range: Range<u64>, how: Discard) -> Result<()> {
        let length = range.end.saturating_sub(range.start);
        let request = Request::Discard { offset: range.start, length, how };
        self.submit(request).await.map(drop).map_err(|failed| failed.error)
    }
}
