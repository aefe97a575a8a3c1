// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages granted to the backend: for one request, or for as long as it is connected (persistent grants).

use alloc::vec::Vec;

use xen::DomainId;
use xen::grant::{Error, Granted, PAGE_SIZE, Page, ReadOnly, ReadWrite, Reference};

use super::pending_request::{Operation, PendingRequest};
use crate::block::Content;
use crate::hal::Platform;

/// Grants pages to the backend, and ends the grants.
pub(super) struct GrantPool<'p, P: Platform> {
    platform: &'p P,
    domain: DomainId,
    /// Whether the backend keeps pages mapped: then data is copied to and from pages that stay
    /// granted, instead of granting those of the requests.
    persistent: bool,
    /// Pages that stay granted, and are not in use. The last one given back is taken first: the
    /// backend knows it best.
    idle: Vec<Granted<'p, P::Page, ReadWrite>>,
    /// Pages that stay granted, in use or not.
    shared: usize,
    /// The most that there may be of them.
    max_shared: usize,
}

/// Pages that stay granted to a backend for a queue: 2 MiB, but no more than half of what a small grant table
/// has left, so that other devices get some, too. Linux's backend keeps twice as many mapped. Who needs more
/// waits, and a request that does is cut.
const MAX_SHARED: usize = 512;
/// The least, which is enough for the largest direct request and more.
const MIN_SHARED: usize = 32;

/// A page that the backend may use.
pub(super) enum GrantedPage<'p, P: Page> {
    /// For one request: the backend writes.
    ToWrite(Granted<'p, P, ReadWrite>),
    /// For one request: the backend reads.
    ToRead(Granted<'p, P, ReadOnly>),
    /// A copy in a page that stays granted.
    Copy {
        shared: Granted<'p, P, ReadWrite>,
        page: P,
        /// Bytes that the backend writes into the copy.
        written: usize,
    },
}

impl<P: Page> GrantedPage<'_, P> {
    /// Whether the backend uses it at this moment.
    pub(super) fn is_in_use(&self) -> bool {
        match self {
            Self::ToWrite(page) => page.is_in_use(),
            Self::ToRead(page) => page.is_in_use(),
            Self::Copy { shared, .. } => shared.is_in_use(),
        }
    }

    /// What the backend is told.
    pub(super) fn reference(&self) -> Reference {
        match self {
            Self::ToWrite(page) => page.reference(),
            Self::ToRead(page) => page.reference(),
            Self::Copy { shared, .. } => shared.reference(),
        }
    }
}

impl<'p, P: Platform> GrantPool<'p, P> {
    /// One for a backend that does not keep pages mapped, as far as is known.
    pub(super) fn new(platform: &'p P, domain: DomainId) -> Self {
        let available = platform.grants().report().available() as usize;
        let max_shared = (available / 2).clamp(MIN_SHARED, MAX_SHARED);
        Self { platform, domain, persistent: false, idle: Vec::new(), shared: 0, max_shared }
    }

    /// From now on, the backend keeps pages mapped, or does not.
    pub(super) fn set_persistent(&mut self, persistent: bool) {
        self.persistent = persistent;
    }

    /// Removes from a page what the backend is not to see: all of it, if it is to write it, and what lies
    /// behind the `length` bytes in use, if it is to read it. It costs nothing for fresh pages. Those that
    /// stay granted never hold anything that this backend has not seen.
    pub(super) fn clear(&self, page: &mut P::Page, request: &PendingRequest<P::Page>, length: usize) {
        let start = match (request.operation, request.content) {
            (Operation::Read, Content::Own | Content::Unknown) => 0,
            (Operation::Write, Content::Unknown) => length,
            _ => return,
        };
        if !self.persistent {
            page.bytes_mut().get_mut(start..).unwrap_or_default().fill(0);
        }
    }

    /// Grants a page of which `length` bytes are in use.
    ///
    /// # Errors
    ///
    /// The page, and why not.
    pub(super) fn grant(
        &mut self,
        page: P::Page,
        operation: Operation,
        length: usize,
    ) -> Result<GrantedPage<'p, P::Page>, (P::Page, Error)> {
        if self.persistent {
            return self.copy(page, operation, length);
        }
        let table = self.platform.grants();
        let refused = |refused: xen::grant::NotGranted<P::Page>| (refused.page, refused.error);
        match operation {
            Operation::Read => table.try_grant(page, self.domain).map(GrantedPage::ToWrite).map_err(refused),
            _ => table.try_grant(page, self.domain).map(GrantedPage::ToRead).map_err(refused),
        }
    }

    fn copy(
        &mut self,
        page: P::Page,
        operation: Operation,
        length: usize,
    ) -> Result<GrantedPage<'p, P::Page>, (P::Page, Error)> {
        let shared = match self.shared() {
            Ok(shared) => shared,
            Err(error) => return Err((page, error)),
        };
        let written = if operation == Operation::Read { length } else { 0 };
        if operation == Operation::Write {
            // The rest of the page is what earlier requests to this backend left there.
            let bytes = page.bytes().get(..length).unwrap_or(page.bytes());
            // It has as many bytes as a page.
            let _ = shared.write(0, bytes);
        }
        Ok(GrantedPage::Copy { shared, page, written })
    }

    /// A page that the backend may read and write, all of whose contents it may know.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub(super) fn shared(&mut self) -> Result<Granted<'p, P::Page, ReadWrite>, Error> {
        if let Some(shared) = self.idle.pop() {
            return Ok(shared);
        }
        if self.shared >= self.max_shared {
            return Err(Error::NoRoom);
        }
        self.idle.try_reserve(1).map_err(|_| Error::NoRoom)?;
        let page = self.platform.page().ok_or(Error::NoRoom)?;
        let shared = self.platform.grants().try_grant(page, self.domain).map_err(|refused| refused.error)?;
        self.shared += 1;
        Ok(shared)
    }

    /// Takes back what [`shared`](Self::shared) gave.
    pub(super) fn keep(&mut self, shared: Granted<'p, P::Page, ReadWrite>) {
        // Without memory to note it down it is dropped, which ends the grant.
        if self.idle.try_reserve(1).is_ok() {
            self.idle.push(shared);
        } else {
            self.shared -= 1;
        }
    }

    /// Ends the grant of a page, and returns the page; `None` if the backend still has it mapped.
    pub(super) fn revoke(&mut self, granted: GrantedPage<'p, P::Page>) -> Option<P::Page> {
        match granted {
            GrantedPage::ToWrite(page) => page.end().ok(),
            GrantedPage::ToRead(page) => page.end().ok(),
            GrantedPage::Copy { shared, mut page, written } => {
                let bytes = page.bytes_mut().get_mut(..written.min(PAGE_SIZE))?;
                // It has as many bytes as a page.
                let _ = shared.read(0, bytes);
                self.keep(shared);
                Some(page)
            }
        }
    }
}
