// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that is given back to Xen, and comes back: the frames for it leave the frame allocator, highest
//! first, and return to it, lowest first.
//!
//! Frames that were absent from the beginning are populated on demand. Xen waits for the domain to give them
//! back, too, before it was able to touch more of them than there is memory for ([`return_unpopulated`]).

use prism_arch::machine::{EXTENTS, Machine};
use prism_boot::frames::{Absent, floor_of};
use prism_boot::{FrameNumber, PAGE_SIZE};
use spin::Mutex;
use xen::Errno;
use xen::balloon::Memory;

use super::with_frames;

static BALLOON: Mutex<Option<Balloon>> = Mutex::new(None);

struct Balloon {
    absent: Absent<&'static mut [u64]>,
    /// Pages of the memory map.
    pages: u64,
    /// Frames that stay free.
    floor: u64,
    /// Absent frames from here on are populated on demand; `None` if there are no such frames any more.
    unpopulated: Option<FrameNumber>,
}

/// Begins with these frames absent, out of a map of `pages`. `total` frames are the allocator's.
pub(super) fn init(absent: Absent<&'static mut [u64]>, pages: u64, total: u64) {
    let unpopulated = Some(FrameNumber(0));
    *BALLOON.lock() = Some(Balloon { absent, pages, floor: floor_of(total), unpopulated });
}

/// How much of the memory map is there, and could be given back.
pub(crate) fn memory() -> Memory {
    let balloon = BALLOON.lock();
    let Some(Balloon { absent, pages, floor, .. }) = balloon.as_ref() else {
        return Memory { present: 0, absent: 0, spare: 0 };
    };
    let free = super::usage().free / PAGE_SIZE;
    let absent = absent.count();
    Memory { present: pages.saturating_sub(absent), absent, spare: free.saturating_sub(*floor) }
}

/// How many pages stay free, whatever the toolstack wants.
pub(crate) fn floor() -> u64 {
    BALLOON.lock().as_ref().map_or(0, |balloon| balloon.floor)
}

/// Gives up to `count` free pages back to Xen, and returns how many, which may be none.
///
/// # Errors
///
/// What Xen answers.
pub(crate) fn give_back(machine: &dyn Machine, count: u64) -> Result<u64, Errno> {
    let mut balloon = BALLOON.lock();
    let Some(Balloon { absent, floor, .. }) = balloon.as_mut() else { return Ok(0) };
    let mut pfns = [0; EXTENTS];
    let mut taken = 0;
    with_frames(|frames| {
        for pfn in pfns.iter_mut().take(count as usize) {
            let Some(frame) = frames.withdraw(*floor) else { break };
            *pfn = frame.0;
            taken += 1;
        }
    });
    let pfns = &pfns[..taken];
    // SAFETY: taken from the allocator, so that nobody uses them.
    let given = unsafe { machine.give_back(pfns, 0) };
    let (gone, left) = pfns.split_at(given.unwrap_or(0).min(taken));
    gone.iter().for_each(|pfn| absent.insert(FrameNumber(*pfn), 1));
    put_back(left);
    given.map(|_| gone.len() as u64)
}

/// Takes up to `count` pages that are absent, and returns how many Xen has given, which may be none.
///
/// # Errors
///
/// What Xen answers.
pub(crate) fn take(machine: &dyn Machine, count: u64) -> Result<u64, Errno> {
    let mut balloon = BALLOON.lock();
    let Some(Balloon { absent, .. }) = balloon.as_mut() else { return Ok(0) };
    let mut pfns = [0; EXTENTS];
    let mut wanted = 0;
    for pfn in pfns.iter_mut().take(count as usize) {
        let Some(frame) = absent.take_lowest() else { break };
        *pfn = frame.0;
        wanted += 1;
    }
    let pfns = &pfns[..wanted];
    // SAFETY: nothing is there, and the map that the machine was told of has them.
    let given = unsafe { machine.populate(pfns) };
    let (there, left) = pfns.split_at(given.unwrap_or(0).min(wanted));
    left.iter().for_each(|pfn| absent.insert(FrameNumber(*pfn), 1));
    put_back(there);
    given.map(|_| there.len() as u64)
}

/// Adds frames that were withdrawn to those that are free.
fn put_back(pfns: &[u64]) {
    // Each was withdrawn, so that this cannot fail.
    let put = with_frames(|frames| pfns.iter().try_for_each(|pfn| frames.put_back(FrameNumber(*pfn))));
    if let Some(Err(error)) = put {
        log::error!("balloon: {error}");
    }
}

/// Order of the extents in which memory is populated on demand: 2 MiB.
const LARGE: u32 = 9;

/// Gives some of the memory back that would be populated on demand (HVM, PVH), and returns whether there may
/// be more of it. Xen does not ask for that memory itself: it only takes down that it need not be found any
/// more.
pub(crate) fn return_unpopulated(machine: &dyn Machine) -> bool {
    let mut balloon = BALLOON.lock();
    let Some(Balloon { absent, unpopulated, .. }) = balloon.as_mut() else { return false };
    let first = unpopulated.filter(|_| machine.auto_translated());
    let Some((start, length)) = first.and_then(|start| absent.run_from(start)) else {
        *unpopulated = None;
        return false;
    };
    let end = start.0 + length;
    let large = 1 << LARGE;
    let (order, limit) = match start.0.next_multiple_of(large) {
        first if first == start.0 && first + large <= end => (LARGE, end / large * large),
        // Up to where large ones begin, or to the end if none fits.
        first => (0, if first + large <= end { first } else { end }),
    };
    let mut extents = [0; EXTENTS];
    let mut count = 0;
    for (extent, first) in extents.iter_mut().zip((start.0..limit).step_by(1 << order)) {
        *extent = first;
        count += 1;
    }
    // SAFETY: they are absent, so that nobody uses them.
    let given = unsafe { machine.give_back(&extents[..count], order) }.unwrap_or(0);
    // Where something is in the way it is left there.
    let done = given + usize::from(given < count);
    *unpopulated = Some(FrameNumber(start.0 + ((done as u64) << order)));
    true
}
