// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies between granted pages and bytes of this domain's, wherever those lie: nobody has to copy them to
//! pages of their own before, or from there afterwards.

use alloc::vec::Vec;

use xen_sys::grant_table::*;
use xen_sys::xen::DOMID_SELF;

use super::{Foreign, Request, copy, end};
use crate::Hypercall;
use crate::grant::{Error, Frame, PAGE_SIZE, Result};

/// Where this domain's memory lies, as Xen numbers it.
///
/// # Safety
///
/// For an address at which something lies that the program has allocated,
/// [`frame_of`](Self::frame_of) names the frame that is mapped there, and no other one.
pub unsafe trait OwnMemory {
    /// The frame of the byte at virtual address `address`; `None` if Xen could not reach it.
    fn frame_of(&self, address: u64) -> Option<Frame>;
}

/// Bytes of a granted page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where they begin.
    pub foreign: Foreign,
    /// How many there are.
    pub length: usize,
}

/// A list of spans on its way.
struct Arrival {
    /// Without bytes yet, but with room for all.
    bytes: Vec<u8>,
    /// How many there will be.
    length: usize,
    /// Copies that bring them.
    copies: usize,
}

/// Copies the spans of each list, one behind the other, to a vector of its own: all lists by one hypercall.
/// It is `None` for a list of which something could not be copied, or for which there is no memory.
pub fn gather(
    hypercalls: &(impl Hypercall + ?Sized),
    memory: &(impl OwnMemory + ?Sized),
    lists: &[&[Span]],
) -> Vec<Option<Vec<u8>>> {
    let mut copies = Vec::new();
    let arrivals: Vec<Option<Arrival>> =
        lists.iter().map(|list| Arrival::new(memory, list, &mut copies).ok()).collect();
    let mut outcomes = issue(hypercalls, &mut copies).into_iter();
    let mut finish = |arrival: Arrival| {
        let is_whole = outcomes.by_ref().take(arrival.copies).fold(true, |all, one| all & one);
        // SAFETY: Xen has done all copies, whose lengths add up to the arrival's.
        is_whole.then(|| unsafe { arrival.finish() })
    };
    arrivals.into_iter().map(|arrival| arrival.and_then(&mut finish)).collect()
}

/// Copies bytes to granted ones, all by one hypercall; whether each was copied.
pub fn spread(
    hypercalls: &(impl Hypercall + ?Sized),
    memory: &(impl OwnMemory + ?Sized),
    pieces: &[(&[u8], Foreign)],
) -> Vec<bool> {
    let mut copies = Vec::new();
    let counts: Vec<Option<usize>> = pieces
        .iter()
        .map(|(bytes, foreign)| {
            let span = Span { foreign: *foreign, length: bytes.len() };
            add(memory, address(bytes.as_ptr()), span, Direction::Out, &mut copies).ok()
        })
        .collect();
    let mut outcomes = issue(hypercalls, &mut copies).into_iter();
    let mut is_whole = |count| outcomes.by_ref().take(count).fold(true, |all, one| all & one);
    counts.into_iter().map(|count| count.is_some_and(&mut is_whole)).collect()
}

impl Arrival {
    /// Room for a list of spans; what brings them is added to `copies`.
    fn new(
        memory: &(impl OwnMemory + ?Sized),
        list: &[Span],
        copies: &mut Vec<Request<'static>>,
    ) -> Result<Self> {
        let before = copies.len();
        let sum = |sum: usize, span: &Span| sum.checked_add(span.length);
        let length = list.iter().try_fold(0, sum).ok_or(Error::OutsidePage)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| Error::NoRoom)?;
        let mut place = address(bytes.as_mut_ptr());
        for span in list {
            if let Err(error) = add(memory, place, *span, Direction::In, copies) {
                // Nothing is written to memory that is given up.
                copies.truncate(before);
                return Err(error);
            }
            place += span.length as u64;
        }
        Ok(Self { bytes, length, copies: copies.len() - before })
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// All of them have been written.
    unsafe fn finish(mut self) -> Vec<u8> {
        // SAFETY: there is room for as many, and the caller's promise.
        unsafe { self.bytes.set_len(self.length) };
        self.bytes
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// Adds the copies between a span and our bytes at an address, and returns how many that are: where our bytes
/// go on in another page, a copy ends.
fn add(
    memory: &(impl OwnMemory + ?Sized),
    address: u64,
    span: Span,
    direction: Direction,
    copies: &mut Vec<Request<'static>>,
) -> Result<usize> {
    let (before, mut done) = (copies.len(), 0);
    let mut add = || {
        while done < span.length {
            let here = address + done as u64;
            let offset = here as usize % PAGE_SIZE;
            let length = (span.length - done).min(PAGE_SIZE - offset);
            let frame = memory.frame_of(here).ok_or(Error::NoRoom)?;
            let own = end(frame.0, DOMID_SELF, offset, length)?;
            let begin = span.foreign.offset.checked_add(done).ok_or(Error::OutsidePage)?;
            let foreign = Foreign { offset: begin, ..span.foreign }.end(length)?;
            copies.try_reserve(1).map_err(|_| Error::NoRoom)?;
            copies.push(match direction {
                Direction::In => Request::new(foreign, own, length, GNTCOPY_source_gref)?,
                Direction::Out => Request::new(own, foreign, length, GNTCOPY_dest_gref)?,
            });
            done += length;
        }
        Ok(())
    };
    let added = add();
    if added.is_err() {
        copies.truncate(before);
    }
    added.map(|()| copies.len() - before)
}

/// Has Xen do the copies; whether each was done.
fn issue(hypercalls: &(impl Hypercall + ?Sized), copies: &mut [Request<'static>]) -> Vec<bool> {
    let tried = copies.is_empty() || copy(hypercalls, copies).is_ok();
    copies.iter().map(|one| tried && one.outcome() == Some(Ok(()))).collect()
}

fn address(bytes: *const u8) -> u64 {
    bytes.expose_provenance() as u64
}
