// SPDX-License-Identifier: MIT OR Apache-2.0
//! Having Xen copy to and from granted pages (`GNTTABOP_copy`): for backends, cheaper than mapping
//! when the data is looked at once.

pub mod bytes;

use alloc::vec::Vec;
use core::marker::PhantomData;

use xen_sys::grant_table::*;
use xen_sys::xen::DOMID_SELF;

use super::foreign::ATTEMPTS;
use super::operation::operate;
use super::{Error, PAGE_SIZE, Page, Reference, Result, Status};
use crate::DomainId;
use crate::shared::is_inside;
use crate::{Hypercall, sched};

/// Bytes in a page that another domain granted to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The granter.
    pub domain: DomainId,
    /// Its grant.
    pub reference: Reference,
    /// Where the bytes begin, from the start of the page.
    pub offset: usize,
}

/// One copy, to be done by [`copy`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Request<'a> {
    operation: gnttab_copy,
    pages: PhantomData<&'a mut ()>,
}

/// Not a status that Xen knows: the copy was not tried.
const NOT_TRIED: i16 = 1;

impl<'a> Request<'a> {
    /// A copy of `length` bytes, from a granted page to byte `offset` of one of ours.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`] if one of the ranges reaches past its page.
    pub fn from_grant<P: Page>(from: Foreign, to: &'a mut P, offset: usize, length: usize) -> Result<Self> {
        Self::new(from.end(length)?, own(to, offset, length)?, length, GNTCOPY_source_gref)
    }

    /// A copy of `length` bytes, from byte `offset` of a page of ours to a granted one.
    ///
    /// # Errors
    ///
    /// As for [`from_grant`](Self::from_grant).
    pub fn to_grant<P: Page>(from: &'a P, offset: usize, to: Foreign, length: usize) -> Result<Self> {
        Self::new(own(from, offset, length)?, to.end(length)?, length, GNTCOPY_dest_gref)
    }

    /// A copy of `length` bytes, from one granted page to another.
    ///
    /// # Errors
    ///
    /// As for [`from_grant`](Self::from_grant).
    pub fn between_grants(from: Foreign, to: Foreign, length: usize) -> Result<Self> {
        Self::new(from.end(length)?, to.end(length)?, length, GNTCOPY_source_gref | GNTCOPY_dest_gref)
    }

    fn new(source: gnttab_copy_ptr, dest: gnttab_copy_ptr, length: usize, flags: u16) -> Result<Self> {
        let len = u16::try_from(length).map_err(|_| Error::OutsidePage)?;
        let operation = gnttab_copy { source, dest, len, flags, status: NOT_TRIED, ..Default::default() };
        Ok(Self { operation, pages: PhantomData })
    }

    /// How it went; `None` before it was tried.
    pub fn outcome(&self) -> Option<Result<()>> {
        match self.operation.status {
            NOT_TRIED => None,
            status => Some(Status::check(status)),
        }
    }
}

impl Foreign {
    fn end(self, length: usize) -> Result<gnttab_copy_ptr> {
        end(u64::from(self.reference.number()), self.domain.0, self.offset, length)
    }
}

fn own(page: &impl Page, offset: usize, length: usize) -> Result<gnttab_copy_ptr> {
    end(page.frame().0, DOMID_SELF, offset, length)
}

fn end(u: u64, domid: u16, offset: usize, length: usize) -> Result<gnttab_copy_ptr> {
    let inside = u16::try_from(offset).ok().filter(|_| is_inside(offset, length, PAGE_SIZE));
    let offset = inside.ok_or(Error::OutsidePage)?;
    Ok(gnttab_copy_ptr { u, domid, offset, ..Default::default() })
}

/// Bytes of a granted page, and where they are to be, or come from, in a list of pages of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The granted bytes.
    pub foreign: Foreign,
    /// Index of our page.
    pub page: usize,
    /// Where the bytes begin in it.
    pub offset: usize,
    /// How many there are.
    pub length: usize,
}

/// Copies of `pieces` from granted pages to `pages`, in order.
///
/// # Errors
///
/// [`Error::OutsidePage`] if a range reaches past its page, or there is no such page; [`Error::NoRoom`]
/// without memory for the list.
pub fn from_grants<'a, P: Page>(pages: &'a mut [P], pieces: &[Piece]) -> Result<Vec<Request<'a>>> {
    requests(pages, pieces, |foreign, own, length| Request::new(foreign, own, length, GNTCOPY_source_gref))
}

/// Copies of `pieces` from `pages` to granted pages, in order.
///
/// # Errors
///
/// As for [`from_grants`].
pub fn to_grants<'a, P: Page>(pages: &'a [P], pieces: &[Piece]) -> Result<Vec<Request<'a>>> {
    requests(pages, pieces, |foreign, own, length| Request::new(own, foreign, length, GNTCOPY_dest_gref))
}

/// The requests that `make` makes of each foreign end, our end, and length. They borrow the pages for as long
/// as the caller does.
fn requests<'a, P: Page>(
    pages: &[P],
    pieces: &[Piece],
    make: impl Fn(gnttab_copy_ptr, gnttab_copy_ptr, usize) -> Result<Request<'a>>,
) -> Result<Vec<Request<'a>>> {
    let mut requests = Vec::new();
    requests.try_reserve_exact(pieces.len()).map_err(|_| Error::NoRoom)?;
    for piece in pieces {
        let page = pages.get(piece.page).ok_or(Error::OutsidePage)?;
        let own = own(page, piece.offset, piece.length)?;
        requests.push(make(piece.foreign.end(piece.length)?, own, piece.length)?);
    }
    Ok(requests)
}

/// Does all `requests`, in order. Each has its own [`outcome`](Request::outcome): one that fails does
/// not keep the others from being done. Those that Xen is not ready for are tried again a few times.
///
/// # Errors
///
/// What Xen answers to the whole; where copying is not offered, [`Error::is_unsupported`].
pub fn copy(hypercalls: &(impl Hypercall + ?Sized), requests: &mut [Request<'_>]) -> Result<()> {
    issue(hypercalls, requests)?;
    for one in requests.iter_mut() {
        for _ in 1..ATTEMPTS {
            if one.operation.status != GNTST_eagain {
                break;
            }
            let _ = sched::yield_now(hypercalls);
            issue(hypercalls, core::slice::from_mut(one))?;
        }
    }
    Ok(())
}

fn issue(hypercalls: &(impl Hypercall + ?Sized), requests: &mut [Request<'_>]) -> Result<()> {
    // SAFETY: a Request is a gnttab_copy. It writes a page that it borrows mutably, or a foreign one.
    unsafe { operate(hypercalls, GNTTABOP_copy, requests) }
}
