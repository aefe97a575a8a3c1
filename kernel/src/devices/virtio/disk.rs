// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio disks (Virtual I/O Device 1.2, 5.2), one request at a time.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

use log::{info, warn};
use prism_drivers::block::{Buffer, Error, Failed, Geometry, Queue, Request, Served};
use prism_drivers::interrupt::until;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use xen::grant::{PAGE_SIZE, Page};

use super::hal::KernelHal;
use super::notify;
use crate::disks;
use crate::grant::OwnPage;
use crate::line::Line;

bitflags::bitflags! {
    /// What a device offers, and we understand.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const SECTOR_SIZE = 1 << 6;
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// Descriptors of the queue.
const DESCRIPTORS: usize = 64;
/// Pages that are moved by one command; header and status take two more descriptors.
const MOST_PAGES: usize = 32;
/// The unit of addresses and sizes, whatever the sector size is.
const UNIT: u64 = 512;
/// How long a device may take for one command, in nanoseconds.
const PATIENCE: u64 = 30_000_000_000;

const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;

/// Length of a command's header, and what the status is when all is well.
const HEADER: usize = 16;
const GOOD: u8 = 0;

/// What was not done, and why.
type Outcome = Result<Buffer<OwnPage>, Failed<OwnPage>>;

/// Drives a disk, for ever.
pub(super) async fn drive(name: String, number: u8, transport: impl Transport, line: Line) {
    let opened = Device::open(transport, line);
    let Ok(mut device) = opened.inspect_err(|error| warn!("{name} is not driven: {error}")) else {
        return disks::end_search();
    };
    let queue = Arc::new(Queue::new());
    info!("{name}: {}", device.geometry);
    let disk = Served::new(name.clone(), 0, device.geometry, Arc::clone(&queue));
    // Numbers as Linux gives them: major 253, 16 for each disk.
    disks::add(253 << 8 | u32::from(number) << 4, Arc::new(disk));
    disks::end_search();
    loop {
        let (_, request, done) = queue.next().await;
        let outcome = device.perform(request).await;
        if let Err(failed) = &outcome {
            warn!("{name}: {failed}");
        }
        done.tell(outcome);
    }
}

struct Device<T: Transport> {
    transport: RefCell<T>,
    queue: RefCell<VirtQueue<KernelHal, DESCRIPTORS>>,
    line: Line,
    geometry: Geometry,
    flushes: bool,
    /// Holds the header of a command, and behind it the status.
    control: OwnPage,
    /// It broke the protocol, or fell silent: nobody knows what it still writes where.
    broken: bool,
}

impl<T: Transport> Device<T> {
    fn open(mut transport: T, line: Line) -> virtio_drivers::Result<Self> {
        let features = transport.begin_init(Features::all());
        let sectors = transport.read_consistent(|| {
            let [low, high] =
                [transport.read_config_space::<u32>(0)?, transport.read_config_space::<u32>(4)?];
            Ok(u64::from(high) << 32 | u64::from(low))
        })?;
        let told =
            if features.contains(Features::SECTOR_SIZE) { transport.read_config_space(20)? } else { 0 };
        let sector_size: u32 = if [1024, 2048, 4096].contains(&told) { told } else { 512 };
        let bytes = sectors.min(u64::MAX / UNIT) * UNIT;
        let geometry = Geometry {
            bytes: bytes - bytes % u64::from(sector_size),
            sector_size,
            read_only: features.contains(Features::READ_ONLY),
            removable: false,
            optical: false,
            discards: false,
        };
        let control = OwnPage::new().ok_or(virtio_drivers::Error::DmaError)?;
        let queue = VirtQueue::new(&mut transport, 0, false, false)?;
        // Nothing fails from here on: the device may use the queue.
        transport.finish_init();
        let flushes = features.contains(Features::FLUSH);
        let (transport, queue) = (RefCell::new(transport), RefCell::new(queue));
        Ok(Self { transport, queue, line, geometry, flushes, control, broken: false })
    }

    async fn perform(&mut self, request: Request<OwnPage>) -> Outcome {
        if self.broken {
            return Err(request.failed(Error::Broken));
        }
        match request {
            Request::Read { offset, buffer } => self.transfer(READ, offset, buffer).await,
            Request::Write { offset, buffer } => self.transfer(WRITE, offset, buffer).await,
            Request::Flush if self.flushes => self.transfer(FLUSH, 0, Buffer::empty()).await,
            // Without that feature nothing is cached; discards are refused before they get here.
            Request::Flush | Request::Discard { .. } => Ok(Buffer::empty()),
        }
    }

    /// Moves a buffer, a part after the other.
    async fn transfer(&mut self, kind: u32, offset: u64, buffer: Buffer<OwnPage>) -> Outcome {
        let (mut pages, length) = buffer.into_pages();
        let parts = length.div_ceil(MOST_PAGES * PAGE_SIZE).max(1);
        for part in 0..parts {
            let start = part * MOST_PAGES * PAGE_SIZE;
            let bytes = (length - start).min(MOST_PAGES * PAGE_SIZE);
            let first = start / PAGE_SIZE;
            let some = pages.get_mut(first..first + bytes.div_ceil(PAGE_SIZE)).unwrap_or_default();
            match self.command(kind, offset + start as u64, some, bytes).await {
                Ok(()) => {}
                Err(Error::Broken) => {
                    // The device may still use them: they are lost.
                    self.broken = true;
                    core::mem::forget(pages);
                    return Err(Failed { buffer: Buffer::empty(), error: Error::Broken });
                }
                Err(error) => return Err(Failed { buffer: Buffer::from_pages(pages, length), error }),
            }
        }
        Ok(Buffer::from_pages(pages, length))
    }

    /// Has the device carry out one command, and waits until it has.
    async fn command(
        &mut self,
        kind: u32,
        offset: u64,
        pages: &mut [OwnPage],
        bytes: usize,
    ) -> Result<(), Error> {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&(offset / UNIT).to_le_bytes());
        let control = self.control.bytes_mut();
        control[..HEADER].copy_from_slice(&header);
        control[HEADER] = !GOOD;
        let token = with_slices(kind, &mut self.control, pages, bytes, |inputs, outputs| {
            // SAFETY: the memory is `self.control`'s and that of `pages`, whom nobody touches until the
            // token has come back; if it doesn't, both are given up.
            unsafe { self.queue.get_mut().add(inputs, outputs) }
        });
        let token = token.map_err(|_| Error::NoMemory)?;
        if notify::is_wanted(self.queue.get_mut()) {
            self.transport.get_mut().notify(0);
        }
        let mut looks = 0u32;
        let used = until(&self.line, PATIENCE, || {
            if looks != 0 && !self.queue.borrow().can_pop() {
                // Not ours, or a change of the configuration: the line must not stay up.
                self.transport.borrow_mut().ack_interrupt();
            }
            looks = looks.saturating_add(1);
            self.queue.borrow().can_pop().then_some(())
        });
        used.await.ok_or(Error::Broken)?;
        let popped = with_slices(kind, &mut self.control, pages, bytes, |inputs, outputs| {
            // SAFETY: the very slices that went with the token.
            unsafe { self.queue.get_mut().pop_used(token, inputs, outputs) }
        });
        self.transport.get_mut().ack_interrupt();
        popped.map_err(|_| Error::Broken)?;
        if self.control.bytes()[HEADER] == GOOD { Ok(()) } else { Err(Error::Device) }
    }
}

/// What the device reads, and what it writes, in a command of this kind.
fn with_slices<R>(
    kind: u32,
    control: &mut OwnPage,
    pages: &mut [OwnPage],
    bytes: usize,
    then: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
) -> R {
    let (header, rest) = control.bytes_mut().split_at_mut(HEADER);
    let (status, _) = rest.split_at_mut(1);
    let lengths = (0..bytes).step_by(PAGE_SIZE).map(|start| PAGE_SIZE.min(bytes - start));
    let data = pages.iter_mut().zip(lengths).map(|(page, length)| page.bytes_mut().split_at_mut(length).0);
    if kind == READ {
        let mut outputs: Vec<&mut [u8]> = data.chain([status]).collect();
        then(&[header], &mut outputs)
    } else {
        let header: &[u8] = header;
        let inputs: Vec<&[u8]> = [header].into_iter().chain(data.map(|slice| &*slice)).collect();
        then(&inputs, &mut [status])
    }
}
