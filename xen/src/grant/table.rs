// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grant table of the domain: which references are free, and the quarantine of pages that a peer did not
//! let go.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

use spin::{Mutex, MutexGuard};
use xen_sys::grant_table::GNTTAB_NR_RESERVED_ENTRIES;

use super::entries::Entries;
use super::setup::{FrameMapper, TableFrame, limit, settle_version};
use super::waiting::{Queue, WaitForFree};
use super::{
    Access, Error, Frame, FreeRef, Granted, InUse, NotGranted, Page, Reference, Report, Result, Version,
};
use crate::DomainId;
use crate::Hypercall;

/// The grant table of this domain, for all its vCPUs. `P` is the kernel's type of a page.
///
/// One lock guards it, held for a few stores; nothing is called and nothing is mapped under it.
/// A second one keeps two vCPUs from mapping the same frame.
///
/// Dropping the table abandons what is in quarantine.
pub struct Table<P> {
    mapper: Box<dyn FrameMapper>,
    epoch: AtomicU32,
    /// Frames of entries that there may be.
    limit: u32,
    growing: Mutex<()>,
    state: Mutex<State<P>>,
}

/// Which of the domain's tables it was: one more each time that the domain is restored. A grant of a former
/// one is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u32);

/// What the lock guards.
pub(super) struct State<P> {
    entries: Entries,
    /// Its capacity is the number of references: releasing one never allocates.
    free: Vec<Reference>,
    /// Tasks that wait. While there are any, nothing is free.
    queue: Queue,
    quarantine: Vec<Held<P>>,
    granted: u32,
    peak: u32,
    abandoned: u32,
}

/// A page and the reference through which somebody may be using it.
struct Held<P> {
    reference: Reference,
    page: P,
    domain: Option<DomainId>,
}

impl<P: Page> Table<P> {
    /// The table of this domain, of which nothing is mapped yet. `highest` is the highest frame
    /// number that will ever be granted; it decides between version 1 and 2 of the table.
    ///
    /// # Safety
    ///
    /// There is no other value of this type, and nobody else uses entries from 8 on. What `mapper`
    /// returns is the frame it was asked for, and stays so.
    pub unsafe fn new(
        hypercalls: &(impl Hypercall + ?Sized),
        mapper: Box<dyn FrameMapper>,
        highest: Frame,
    ) -> Self {
        // SAFETY: the caller says that no entry is in use.
        let version = unsafe { settle_version(hypercalls, highest) };
        let limit = limit(hypercalls);
        let state = State {
            entries: Entries::new(version),
            free: Vec::new(),
            queue: Queue::new(),
            quarantine: Vec::new(),
            granted: 0,
            peak: 0,
            abandoned: 0,
        };
        Self { mapper, epoch: AtomicU32::new(0), limit, growing: Mutex::new(()), state: Mutex::new(state) }
    }

    /// Goes on with the table of the domain that this one was restored into, which is empty. Grants of before
    /// are granted to nobody any more, nor is what was in quarantine in use. `highest` is as for
    /// [`new`](Self::new). Frames that cannot be mapped now are mapped when they are needed.
    ///
    /// # Safety
    ///
    /// The table is the one of a domain that was just restored, and nobody else uses it. The memory that the
    /// mapper returned before is used by nobody else.
    ///
    /// # Errors
    ///
    /// What [`FrameMapper::map`] said.
    pub unsafe fn resume(&self, hypercalls: &(impl Hypercall + ?Sized), highest: Frame) -> Result<()> {
        let _growing = self.growing.lock();
        // SAFETY: the caller says that no entry is in use.
        let version = unsafe { settle_version(hypercalls, highest) };
        self.epoch.fetch_add(1, Ordering::Relaxed);
        let (frames, quarantine) = self.state().begin(version);
        // Dropped without the lock.
        drop(quarantine);
        let mut mapped = Ok(());
        while mapped.is_ok() && self.state().entries.lacks(frames) {
            mapped = self.add_frame();
        }
        let waiters = self.state().hand_out();
        waiters.into_iter().for_each(Waker::wake);
        mapped
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Grants `page` to `domain`, waiting for a reference if there is none. The references go to
    /// the tasks that wait in the order in which they came.
    ///
    /// # Errors
    ///
    /// As for [`try_grant`](Self::try_grant), but never [`Error::Full`].
    pub async fn grant<A: Access>(
        &self,
        page: P,
        domain: DomainId,
    ) -> core::result::Result<Granted<'_, P, A>, NotGranted<P>> {
        match self.wait_for_free().await {
            Ok(free_ref) => free_ref.grant(page, domain),
            Err(error) => Err(NotGranted { page, error }),
        }
    }

    /// Grants `page` to `domain`.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] and [`Error::FrameTooHigh`]; and if the table could not grow, what
    /// [`FrameMapper::map`] said. The page comes back with the error.
    pub fn try_grant<A: Access>(
        &self,
        page: P,
        domain: DomainId,
    ) -> core::result::Result<Granted<'_, P, A>, NotGranted<P>> {
        match self.free_ref() {
            Ok(free_ref) => free_ref.grant(page, domain),
            Err(error) => Err(NotGranted { page, error }),
        }
    }

    /// Waits until a reference is free. Dropping the future gives the place in the queue up.
    ///
    /// References in quarantine count only after [`retry_quarantine`](Self::retry_quarantine),
    /// which somebody has to call now and then.
    pub fn wait_for_free(&self) -> WaitForFree<'_, P> {
        WaitForFree::new(self)
    }

    /// Takes a free reference, having the table grow, or the quarantine looked through, if there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], or what [`FrameMapper::map`] said.
    pub fn free_ref(&self) -> Result<FreeRef<'_, P>> {
        loop {
            let free = self.state().free.pop();
            if let Some(reference) = free {
                return Ok(FreeRef::new(self, reference));
            }
            match self.grow() {
                Err(Error::Full) if self.retry_quarantine() > 0 => {}
                grown => grown?,
            }
        }
    }

    /// Tries again to take back the pages whose peers would not let go; those that now do are
    /// dropped, and their references free again. Returns how many. Costs nothing when there are none.
    pub fn retry_quarantine(&self) -> u32 {
        let held = self.state().quarantine.len();
        (0..held).rev().filter(|index| self.release_held(*index)).count() as u32
    }

    /// Pages in quarantine that `domain` does not let go of. A driver that connects anew to a peer which
    /// keeps pages each time uses this to stop.
    pub fn quarantined_for(&self, domain: DomainId) -> u32 {
        self.state().quarantine.iter().filter(|held| held.domain == Some(domain)).count() as u32
    }

    /// Counts, for reports and for checks that nothing leaks.
    pub fn report(&self) -> Report {
        let state = self.state();
        Report {
            granted: state.granted,
            peak: state.peak,
            quarantined: state.quarantine.len() as u32,
            abandoned: state.abandoned,
            waiting: state.queue.len(),
            free: state.free.len() as u32,
            references: state.entries.usable().saturating_sub(GNTTAB_NR_RESERVED_ENTRIES),
            frames: state.entries.frames(),
            limit: self.limit,
            version: state.entries.version(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock()
    }

    /// Maps the next frame of the table, unless another vCPU just did.
    fn grow(&self) -> Result<()> {
        let _growing = self.growing.lock();
        while self.state().free.is_empty() {
            self.add_frame()?;
        }
        Ok(())
    }

    /// Maps the next frame; by one vCPU at a time.
    fn add_frame(&self) -> Result<()> {
        let next = self.state().entries.next_frame();
        if matches!(next, TableFrame::Entries(index) if index >= self.limit) {
            return Err(Error::Full);
        }
        self.state().prepare_growth()?;
        let memory = self.mapper.map(next)?;
        self.state().add_frame(next, memory);
        Ok(())
    }

    /// Opens the entry.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooHigh`].
    pub(super) fn open(
        &self,
        reference: Reference,
        domain: DomainId,
        frame: Frame,
        flags: u16,
    ) -> Result<()> {
        let mut state = self.state();
        if !state.entries.version().reaches(frame) {
            return Err(Error::FrameTooHigh(frame));
        }
        state.entries.open(reference, domain, frame, flags);
        state.granted += 1;
        state.peak = state.peak.max(state.granted);
        Ok(())
    }

    /// Takes the entry back, and the page with it; or else both are put in quarantine.
    pub(super) fn close(
        &self,
        reference: Reference,
        epoch: Epoch,
        page: P,
    ) -> core::result::Result<P, InUse> {
        if epoch != self.epoch() {
            return Ok(page);
        }
        let mut state = self.state();
        state.granted -= 1;
        let domain = state.entries.domain(reference);
        if !state.entries.close(reference) {
            state.hold(Held { reference, page, domain });
            return Err(InUse { reference });
        }
        let waiter = state.release(reference);
        drop(state);
        waiter.into_iter().for_each(Waker::wake);
        Ok(page)
    }

    /// Whether the peer uses the entry at this moment.
    pub(super) fn is_in_use(&self, reference: Reference, epoch: Epoch) -> bool {
        epoch == self.epoch() && self.state().entries.is_in_use(reference)
    }

    /// Makes a reference free, or hands it to whoever waits.
    pub(super) fn release(&self, reference: Reference, epoch: Epoch) {
        if epoch != self.epoch() {
            return;
        }
        let waiter = self.state().release(reference);
        waiter.into_iter().for_each(Waker::wake);
    }

    /// Tries again to take back one page of the quarantine's.
    fn release_held(&self, index: usize) -> bool {
        let Some((page, waiter)) = self.state().release_held(index) else { return false };
        drop(page);
        waiter.into_iter().for_each(Waker::wake);
        true
    }
}

impl<P> State<P> {
    /// Forgets all grants, for an empty table of `version`. Returns how many frames of entries there were,
    /// and what was in quarantine.
    fn begin(&mut self, version: Version) -> (u32, Vec<Held<P>>) {
        let before = mem::replace(&mut self.entries, Entries::new(version));
        self.free.clear();
        self.granted = 0;
        (before.frames(), mem::take(&mut self.quarantine))
    }

    /// Hands free references to those who wait, who are to be woken. Those that were handed out before the
    /// table began anew, and not fetched yet, are not free.
    fn hand_out(&mut self) -> Vec<Waker> {
        let queue = &self.queue;
        self.free.retain(|reference| !queue.has_handed(*reference));
        let mut waiters = Vec::new();
        while let Some(reference) = self.free.pop() {
            match self.queue.hand(reference) {
                Some(waiter) => waiters.push(waiter),
                None => {
                    self.free.push(reference);
                    break;
                }
            }
        }
        waiters
    }

    /// Makes room for all that the next frame brings.
    fn prepare_growth(&mut self) -> Result<()> {
        let most = self.entries.usable() + self.entries.version().entries_per_frame();
        let more = (most as usize).saturating_sub(self.free.len());
        self.free.try_reserve_exact(more).map_err(|_| Error::NoRoom)?;
        self.entries.reserve()
    }

    /// Adds what `frame` brings, lowest reference on top.
    fn add_frame(&mut self, frame: TableFrame, memory: super::Memory) {
        let before = self.entries.usable().max(GNTTAB_NR_RESERVED_ENTRIES);
        self.entries.add(frame, memory);
        self.free.extend((before..self.entries.usable()).rev().filter_map(Reference::new));
    }

    /// Makes a reference free, or hands it to the first that waits, who is to be woken.
    fn release(&mut self, reference: Reference) -> Option<Waker> {
        let waiter = self.queue.hand(reference);
        if waiter.is_none() {
            self.free.push(reference);
        }
        waiter
    }

    /// A free reference; or else a place in the queue, which `waker` will be told of.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if there is no memory for the queue.
    pub(super) fn take_or_wait(&mut self, waker: Waker) -> Result<core::result::Result<Reference, u64>> {
        match self.free.pop() {
            Some(reference) => Ok(Ok(reference)),
            None => self.queue.join(waker).map(Err),
        }
    }

    pub(super) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Puts a page in quarantine. Without memory to note it down it is never used again.
    fn hold(&mut self, held: Held<P>) {
        if self.quarantine.try_reserve(1).is_ok() {
            self.quarantine.push(held);
        } else {
            self.abandoned += 1;
            mem::forget(held);
        }
    }

    /// Takes a page out of quarantine if its entry can be closed now.
    fn release_held(&mut self, index: usize) -> Option<(P, Option<Waker>)> {
        let reference = self.quarantine.get(index)?.reference;
        if !self.entries.close(reference) {
            return None;
        }
        let held = self.quarantine.swap_remove(index);
        Some((held.page, self.release(reference)))
    }
}

impl<P> Drop for State<P> {
    fn drop(&mut self) {
        self.quarantine.drain(..).for_each(mem::forget);
    }
}
