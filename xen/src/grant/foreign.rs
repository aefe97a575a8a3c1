// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mapping pages that other domains granted to this one (`GNTTABOP_map_grant_ref`,
//! `GNTTABOP_unmap_grant_ref`): what backends do.
//!
//! Unlike granting, this takes a hypercall each. The PV shim and QEMU's Xen emulation refuse it:
//! [`Error::is_unsupported`].

use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};

use xen_sys::grant_table::*;

use super::operation::operate;
use super::{Access, Error, Memory, ReadWrite, Reference, Result, Status};
use crate::DomainId;
use crate::shared::Shared;
use crate::{Hypercall, sched};

/// Room in the address space for one foreign page.
///
/// # Safety
///
/// The value owns the page at these addresses: nothing is there that anybody uses, and dropping the
/// value is what lets others use them. In a PV domain the page tables down to the last level exist;
/// in an HVM domain there is no memory at the address, or none that is missed, and the virtual
/// address leads there.
pub unsafe trait MapSlot {
    /// Where Xen is to put the page: a virtual address in PV domains, a guest-physical one in HVM
    /// and PVH domains.
    fn host_address(&self) -> u64;

    /// The virtual address at which it is then found.
    fn virtual_address(&self) -> u64;
}

/// How often an operation is tried for which Xen is not ready.
pub(super) const ATTEMPTS: u32 = 16;

/// Maps the page that `domain` granted as `reference` at `slot`. With
/// [`ReadOnly`](super::ReadOnly), a grant for reading is enough.
///
/// Xen's "not now" is tried again a few times, the CPU being given away in between.
///
/// # Errors
///
/// [`Error::Failed`] if the grant does not permit it, is of another domain, or does not exist;
/// [`Error::Refused`] where mapping is not offered. The slot comes back with it.
pub fn map<A: Access, H: Hypercall + ?Sized, S: MapSlot>(
    hypercalls: &H,
    domain: DomainId,
    reference: Reference,
    slot: S,
) -> core::result::Result<Mapping<'_, H, S, A>, NotMapped<S>> {
    match try_often(hypercalls, || map_once::<A>(hypercalls, domain, reference, slot.host_address())) {
        Ok(handle) => Ok(Mapping { hypercalls, handle, slot: ManuallyDrop::new(slot), access: PhantomData }),
        Err(error) => Err(NotMapped { slot, error }),
    }
}

fn map_once<A: Access>(
    hypercalls: &(impl Hypercall + ?Sized),
    domain: DomainId,
    reference: Reference,
    host_addr: u64,
) -> Result<grant_handle_t> {
    let flags = if A::READ_ONLY { GNTMAP_host_map | GNTMAP_readonly } else { GNTMAP_host_map };
    let mut argument = [gnttab_map_grant_ref {
        host_addr,
        flags,
        r#ref: reference.number(),
        dom: domain.0,
        ..Default::default()
    }];
    // SAFETY: takes a gnttab_map_grant_ref; nothing is at the address, by `MapSlot`'s contract.
    unsafe { operate(hypercalls, GNTTABOP_map_grant_ref, &mut argument)? };
    let [done] = argument;
    Status::check(done.status).map(|()| done.handle)
}

/// Repeats what Xen was not ready for, up to a limit.
fn try_often<T>(
    hypercalls: &(impl Hypercall + ?Sized),
    mut operation: impl FnMut() -> Result<T>,
) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match operation() {
            Err(Error::Failed(Status::AGAIN)) => drop(sched::yield_now(hypercalls)),
            other => return other,
        }
    }
    operation()
}

/// A page of another domain's, mapped here until this value is dropped.
///
/// The granter cannot take it back before that, but it can change the contents at any time.
pub struct Mapping<'h, H: Hypercall + ?Sized, S: MapSlot, A: Access> {
    hypercalls: &'h H,
    handle: grant_handle_t,
    slot: ManuallyDrop<S>,
    access: PhantomData<fn() -> A>,
}

impl<H: Hypercall + ?Sized, S: MapSlot, A: Access> Mapping<'_, H, S, A> {
    /// Copies from byte `offset` of the page.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`].
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        self.bytes().copy_to(offset, into).ok_or(Error::OutsidePage)
    }

    /// Unmaps the page, and returns the room it took.
    ///
    /// # Errors
    ///
    /// What Xen answers. The addresses are lost then: something may still be there.
    pub fn unmap(self) -> Result<S> {
        let mut this = ManuallyDrop::new(self);
        this.take_place()
    }

    /// Unmaps the page; to be called once, as the last thing.
    fn take_place(&mut self) -> Result<S> {
        // SAFETY: called from `unmap` and from `drop`, after which the value is not used.
        let slot = unsafe { ManuallyDrop::take(&mut self.slot) };
        match unmap_once(self.hypercalls, self.handle, slot.host_address()) {
            Ok(()) => Ok(slot),
            Err(error) => {
                mem::forget(slot);
                Err(error)
            }
        }
    }

    /// The page, mapped at least for reading.
    fn bytes(&self) -> Memory {
        // SAFETY: mapped there as long as this value lives, and nobody else uses the slot. The
        // mapping of a read-only page is not written: only `ReadWrite` has functions for that.
        unsafe { Shared::at(self.slot.virtual_address()) }
    }
}

impl<H: Hypercall + ?Sized, S: MapSlot> Mapping<'_, H, S, ReadWrite> {
    /// Copies to byte `offset` of the page.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`].
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        self.bytes().copy_from(offset, from).ok_or(Error::OutsidePage)
    }

    /// The page's memory: for rings, which need more than copies.
    ///
    /// # Safety
    ///
    /// What is returned, and what is made of it, is not used after this value is gone.
    pub unsafe fn memory(&self) -> Memory {
        self.bytes()
    }
}

/// A page of another domain's that is mapped for reading and writing, whatever the machine.
pub trait ForeignPage {
    /// Copies from byte `offset` of the page.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`].
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<()>;

    /// Copies to byte `offset` of the page.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`].
    fn write(&self, offset: usize, from: &[u8]) -> Result<()>;
}

impl<H: Hypercall + ?Sized, S: MapSlot> ForeignPage for Mapping<'_, H, S, ReadWrite> {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        Mapping::read(self, offset, into)
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        Mapping::write(self, offset, from)
    }
}

fn unmap_once(hypercalls: &(impl Hypercall + ?Sized), handle: grant_handle_t, host_addr: u64) -> Result<()> {
    let mut argument = [gnttab_unmap_grant_ref { host_addr, handle, ..Default::default() }];
    // SAFETY: takes a gnttab_unmap_grant_ref; nobody uses the mapping any more.
    unsafe { operate(hypercalls, GNTTABOP_unmap_grant_ref, &mut argument)? };
    let [done] = argument;
    Status::check(done.status)
}

impl<H: Hypercall + ?Sized, S: MapSlot, A: Access> Drop for Mapping<'_, H, S, A> {
    fn drop(&mut self) {
        drop(self.take_place());
    }
}

impl<H: Hypercall + ?Sized, S: MapSlot, A: Access> fmt::Debug for Mapping<'_, H, S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} at {:#x})", self.handle, self.slot.virtual_address())
    }
}

/// A page was not mapped.
pub struct NotMapped<S> {
    /// The room that was meant for it.
    pub slot: S,
    /// Why.
    pub error: Error,
}

impl<S> fmt::Display for NotMapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the granted page was not mapped: {}", self.error)
    }
}

impl<S> fmt::Debug for NotMapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotMapped({:?})", self.error)
    }
}

impl<S> core::error::Error for NotMapped<S> {}
