// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps a disk busy with several requests in flight, in order.

use alloc::collections::VecDeque;

use prism::disks::{self, Buffer, Disk, Error, Failed, Request, Submission};

/// Bytes of a request.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Bytes of a block that is read by itself.
pub(crate) const BLOCK: usize = 4096;
/// Requests on their way at once.
const DEPTH: usize = 4;

/// A whole disk, read chunk by chunk.
pub(crate) struct Chunks<'d> {
    disk: &'d Disk,
    bytes: u64,
    next: u64,
    reads: VecDeque<(u64, Submission<'d>)>,
}

impl<'d> Chunks<'d> {
    pub(crate) fn of(disk: &'d Disk) -> Self {
        Self { disk, bytes: disk.geometry().bytes, next: 0, reads: VecDeque::new() }
    }

    /// The next chunk, and where it begins.
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, Buffer)>, Failed> {
        while self.reads.len() < DEPTH && self.next < self.bytes {
            let (offset, length) = (self.next, (self.bytes - self.next).min(CHUNK as u64));
            let Some(buffer) = disks::buffer(length as usize) else { break };
            self.reads.push_back((offset, self.disk.submit(Request::Read { offset, buffer })));
            self.next += length;
        }
        match self.reads.pop_front() {
            Some((offset, read)) => Ok(Some((offset, read.await?))),
            None if self.next < self.bytes => Err(Failed { buffer: Buffer::empty(), error: Error::NoMemory }),
            None => Ok(None),
        }
    }
}

/// Writes on their way.
pub(crate) struct Writes<'d> {
    disk: &'d Disk,
    writes: VecDeque<Submission<'d>>,
}

impl<'d> Writes<'d> {
    pub(crate) fn new(disk: &'d Disk) -> Self {
        Self { disk, writes: VecDeque::new() }
    }

    /// A buffer to fill; waits for the oldest write if there are enough of them.
    pub(crate) async fn buffer(&mut self, length: usize) -> Result<Buffer, Failed> {
        if self.writes.len() >= DEPTH
            && let Some(write) = self.writes.pop_front()
        {
            let buffer = write.await?;
            if buffer.length() == length {
                return Ok(buffer);
            }
        }
        disks::buffer(length).ok_or(Failed { buffer: Buffer::empty(), error: Error::NoMemory })
    }

    pub(crate) fn submit(&mut self, request: Request) {
        self.writes.push_back(self.disk.submit(request));
    }

    pub(crate) async fn finish(mut self) -> Result<(), Failed> {
        while let Some(write) = self.writes.pop_front() {
            write.await?;
        }
        Ok(())
    }
}

/// In which order a disk is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Random,
    Sequential,
}

/// Which blocks are read, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) order: Order,
    pub(crate) depth: usize,
    /// Bytes of a block.
    pub(crate) size: usize,
    pub(crate) count: u64,
}

impl Reads {
    /// Reads them all. The order that looks random is the same each time.
    pub(crate) async fn run(self, disk: &Disk) -> Result<(), Failed> {
        let blocks = (disk.geometry().bytes / self.size.max(1) as u64).max(1);
        let mut reads = VecDeque::new();
        for number in 0..self.count {
            let mut buffer = None;
            if reads.len() >= self.depth.max(1)
                && let Some(read) = reads.pop_front()
            {
                let read: Submission<'_> = read;
                buffer = Some(read.await?);
            }
            let Some(buffer) = buffer.or_else(|| disks::buffer(self.size)) else {
                return Err(Failed { buffer: Buffer::empty(), error: Error::NoMemory });
            };
            let block = match self.order {
                Order::Random => crate::pattern::mixed(number),
                Order::Sequential => number,
            };
            reads.push_back(disk.submit(Request::Read { offset: block % blocks * self.size as u64, buffer }));
        }
        for read in reads {
            read.await?;
        }
        Ok(())
    }
}
