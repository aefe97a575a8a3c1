// SPDX-License-Identifier: MIT OR Apache-2.0
//! The states of a page: ours, granted, in use beyond its grant.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};

use super::table::Epoch;
use super::{Access, Error, Memory, Page, Reference, Result, Table};
use crate::DomainId;

/// A reference that is this value's to use. Dropping it makes it free.
pub struct FreeRef<'t, P: Page> {
    table: &'t Table<P>,
    reference: Reference,
    epoch: Epoch,
}

impl<'t, P: Page> FreeRef<'t, P> {
    pub(super) fn new(table: &'t Table<P>, reference: Reference) -> Self {
        Self { table, reference, epoch: table.epoch() }
    }

    /// Lets `domain` use `page`. It must hold nothing that the domain may not see.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooHigh`], along with the page. If the domain was restored since, this is another
    /// reference, and the errors are those of [`Table::try_grant`].
    pub fn grant<A: Access>(
        self,
        page: P,
        domain: DomainId,
    ) -> core::result::Result<Granted<'t, P, A>, NotGranted<P>> {
        let Self { table, reference, epoch } = self;
        if epoch != table.epoch() {
            return table.try_grant(page, domain);
        }
        if let Err(error) = table.open(reference, domain, page.frame(), A::FLAGS) {
            return Err(NotGranted { page, error });
        }
        mem::forget(self); // the reference is the grant's now
        Ok(Granted { table, reference, epoch, page: ManuallyDrop::new(page), access: PhantomData })
    }

    /// The reference.
    pub fn reference(&self) -> Reference {
        self.reference
    }
}

impl<P: Page> Drop for FreeRef<'_, P> {
    fn drop(&mut self) {
        self.table.release(self.reference, self.epoch);
    }
}

impl<P: Page> fmt::Debug for FreeRef<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FreeRef({})", self.reference)
    }
}

/// A page that another domain may use, as far as `A` says: [`ReadOnly`](super::ReadOnly) or
/// [`ReadWrite`](super::ReadWrite).
///
/// While it is granted, its contents are copied in and out, and can change at any time. Dropping it is like
/// [`end`](Self::end), and the page is dropped as well. In a domain that was restored it is granted to nobody
/// any more: ending it only returns the page.
pub struct Granted<'t, P: Page, A: Access> {
    table: &'t Table<P>,
    reference: Reference,
    epoch: Epoch,
    page: ManuallyDrop<P>,
    access: PhantomData<fn() -> A>,
}

impl<P: Page, A: Access> Granted<'_, P, A> {
    /// What the peer is to be told.
    pub fn reference(&self) -> Reference {
        self.reference
    }

    /// Whether the peer has the page mapped, or copies from or to it at this moment: then the grant cannot
    /// be ended. While it can, the peer may begin to use the page again at once.
    pub fn is_in_use(&self) -> bool {
        self.table.is_in_use(self.reference, self.epoch)
    }

    /// Copies from byte `offset` of the page.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`].
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        self.bytes().copy_to(offset, into).ok_or(Error::OutsidePage)
    }

    /// Appends `length` bytes from byte `offset` of the page on to `into`.
    ///
    /// # Errors
    ///
    /// [`Error::OutsidePage`]; [`Error::NoRoom`] without memory for them.
    pub fn append_to(&self, offset: usize, length: usize, into: &mut Vec<u8>) -> Result<()> {
        into.try_reserve(length).map_err(|_| Error::NoRoom)?;
        self.bytes().append_to(offset, length, into).ok_or(Error::OutsidePage)
    }

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

    fn bytes(&self) -> Memory {
        // SAFETY: used for as long as `self` is borrowed, or as `memory` says. Nobody else has the page.
        unsafe { self.page.memory() }
    }

    /// Ends the grant: the page is ours alone again.
    ///
    /// # Errors
    ///
    /// [`InUse`] if the peer has it mapped; the page is in quarantine then.
    pub fn end(self) -> core::result::Result<P, InUse> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and does not drop its page.
        let page = unsafe { ManuallyDrop::take(&mut this.page) };
        this.table.close(this.reference, this.epoch, page)
    }
}

impl<P: Page, A: Access> Drop for Granted<'_, P, A> {
    fn drop(&mut self) {
        // SAFETY: the page is not used again: this value is gone after this.
        let page = unsafe { ManuallyDrop::take(&mut self.page) };
        drop(self.table.close(self.reference, self.epoch, page));
    }
}

impl<P: Page, A: Access> fmt::Debug for Granted<'_, P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if A::READ_ONLY { "read-only" } else { "read-write" };
        write!(f, "Granted({}, {access})", self.reference)
    }
}

/// A page was not granted. It is still ours.
pub struct NotGranted<P> {
    /// The page.
    pub page: P,
    /// Why.
    pub error: Error,
}

impl<P> fmt::Display for NotGranted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the page was not granted: {}", self.error)
    }
}

impl<P> fmt::Debug for NotGranted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotGranted({:?})", self.error)
    }
}

impl<P> core::error::Error for NotGranted<P> {}

/// The peer still uses the page, against the protocol or not. Page and reference are in quarantine:
/// [`Table::retry_quarantine`] gets them back when the peer lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The grant's reference.
    pub reference: Reference,
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the peer still has grant {} mapped; its page is set aside until it lets go",
            self.reference
        )
    }
}

impl core::error::Error for InUse {}
