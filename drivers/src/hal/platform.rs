// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the driver of a paravirtual device needs of its kernel.

use alloc::vec::Vec;
use core::future::Future;

use xen::DomainId;
use xen::error::Result;
use xen::event::Port;
use xen::grant::copy::bytes::Span;
use xen::grant::copy::{Foreign, Request};
use xen::grant::foreign::ForeignPage;
use xen::grant::{self, Page, Reference, Table};
use xen::ring::RingPage;
use xen::time::Delay;

/// What the driver of a paravirtual device needs of the kernel it runs in: pages and a table to
/// grant them with, event channels, and the time ([`Delay`] to wait, [`now`](Self::now) to
/// measure).
///
/// The kernel implements it over Xen; `sim` over a fake Xen, for tests.
pub trait Platform: Delay + Send + Sync {
    /// A page of the domain's own.
    type Page: Page;
    /// An event channel.
    type Channel: Channel;

    /// The domain's grant table.
    fn grants(&self) -> &Table<Self::Page>;

    /// A fresh page, all zero; `None` if there is no memory.
    fn page(&self) -> Option<Self::Page>;

    /// A fresh event channel that `domain` may connect to.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENOSPC` when the domain has all the channels it may have.
    fn channel(&self, domain: DomainId) -> Result<Self::Channel>;

    /// A fresh event channel whose events come to vCPU `vcpu`, if Xen can bind it there.
    ///
    /// # Errors
    ///
    /// As for [`channel`](Self::channel).
    fn channel_to(&self, domain: DomainId, _vcpu: u32) -> Result<Self::Channel> {
        self.channel(domain)
    }

    /// The vCPU that calls.
    fn vcpu(&self) -> u32 {
        0
    }

    /// Nanoseconds since some moment. Never goes back.
    fn now(&self) -> u64;

    /// Called after work was found by polling, without an event.
    fn found_by_looking(&self) {}
}

/// What the driver of a backend needs of its kernel besides: to get at what frontends granted.
pub trait BackendPlatform: Platform {
    /// A page of another domain's, mapped here until it is dropped.
    type Mapped<'p>: RingPage + ForeignPage + Send
    where
        Self: 'p;

    /// Maps a page that `domain` granted for reading and writing, as those of rings are.
    ///
    /// # Errors
    ///
    /// What Xen answers; [`NoRoom`](grant::Error::NoRoom) without memory or addresses.
    fn map(&self, domain: DomainId, reference: Reference) -> grant::Result<Self::Mapped<'_>>;

    /// Has Xen do all copies; each has its own outcome afterwards.
    ///
    /// # Errors
    ///
    /// What Xen answers to the whole.
    fn copy(&self, requests: &mut [Request<'_>]) -> grant::Result<()>;

    /// Has Xen copy lists of granted bytes, each to a vector of its own, see
    /// [`gather`](xen::grant::copy::bytes::gather).
    fn gather(&self, lists: &[&[Span]]) -> Vec<Option<Vec<u8>>>;

    /// Has Xen copy bytes to granted ones, see [`spread`](xen::grant::copy::bytes::spread).
    fn spread(&self, pieces: &[(&[u8], Foreign)]) -> Vec<bool>;

    /// The event channel that `domain` has opened as its `port`. It has an event at once.
    ///
    /// # Errors
    ///
    /// What Xen answers; `EINVAL` if that port does not wait for this domain.
    fn connect(&self, domain: DomainId, port: Port) -> Result<Self::Channel>;
}

/// An event channel, closed when dropped.
pub trait Channel: Send + Sync {
    /// Its port, which the other end is told.
    fn port(&self) -> Port;

    /// Raises an event at the other end. If nobody is connected, nothing happens.
    fn notify(&self);

    /// Called after an event that came with work.
    fn found_work(&self) {}

    /// Called after a spurious event, one without work. After many in a row, the next ones are taken later
    /// and later (late EOI).
    fn found_nothing(&self) {}

    /// Waits for an event from the other end. Several that arrive before they are waited for are
    /// one; one task waits at a time. It may be ready without an event.
    fn wait(&self) -> impl Future<Output = ()> + Send;
}
