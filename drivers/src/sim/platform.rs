// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated platform.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, pending};
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use embassy_futures::yield_now;
use xen::error::Result;
use xen::event::Port;
use xen::fake::{Config, FakeMapSlot, FakePage, FakeXen, Peer};
use xen::grant::copy::bytes::{Span, gather, spread};
use xen::grant::copy::{Foreign, Request, copy};
use xen::grant::foreign::{Mapping, map};
use xen::grant::{self, ReadWrite, Reference, Table};
use xen::time::Delay;
use xen::{DomainId, Errno};

use super::channel::{Channels, FarEnd, SimChannel};
use crate::hal::{BackendPlatform, Platform};

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Waits of ten seconds and more never end, shorter ones at once.
    Stopped,
    /// Waits of ten seconds and more end when everybody had some turns, shorter ones at once.
    ExpiresAtOnce,
}

/// A kernel for one driver.
pub struct SimPlatform {
    /// Before `xen`, which looks for leaks when it is dropped.
    grants: Table<FakePage>,
    xen: FakeXen,
    channels: Channels,
    clock: Clock,
    now: AtomicU64,
    pages: AtomicU64,
    /// Pages until the one that there is no memory for.
    refused: AtomicU64,
    vcpu: AtomicU32,
}

impl SimPlatform {
    /// A platform with the usual [`Config`].
    pub fn new(clock: Clock) -> Self {
        Self::with(clock, Config::default())
    }

    /// A platform on such a machine.
    pub fn with(clock: Clock, config: Config) -> Self {
        let xen = FakeXen::with(config);
        Self {
            grants: xen.table(),
            xen,
            channels: Channels::default(),
            clock,
            now: AtomicU64::new(0),
            pages: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(u64::MAX),
            vcpu: AtomicU32::new(0),
        }
    }

    /// The hypervisor.
    pub fn xen(&self) -> &FakeXen {
        &self.xen
    }

    /// Another domain.
    pub fn peer(&self, domain: DomainId) -> Peer {
        self.xen.peer(domain)
    }

    /// Saves the domain and restores it on another host: nothing is granted to anybody any more.
    ///
    /// # Panics
    ///
    /// If the grant table cannot go on there.
    pub fn migrate(&self) {
        self.xen.migrate();
        self.xen.resume_grants(&self.grants).expect("as large a table as before");
    }

    /// The other end of the driver's channel with this port, as xenstore has it.
    ///
    /// # Panics
    ///
    /// If there is no such channel.
    pub fn far_end(&self, port: u32) -> FarEnd {
        FarEnd::connect(&self.channels, port)
    }

    /// Has domain `domain` open a channel as its `port`, for this one to connect to.
    pub fn open_port(&self, domain: DomainId, port: u32) -> FarEnd {
        self.channels.offer(domain, port)
    }

    /// Channels that are open.
    pub fn channels(&self) -> usize {
        self.channels.open()
    }

    /// From now on it is this vCPU that calls.
    pub fn be_vcpu(&self, number: u32) {
        self.vcpu.store(number, Ordering::Relaxed);
    }

    /// From now on there are only so many pages.
    pub fn limit_pages(&self, pages: u64) {
        self.pages.store(pages, Ordering::Relaxed);
    }

    /// There is no memory for the page that is asked for after this many others from now on, and for the next
    /// one there is.
    pub fn refuse_page_after(&self, others: u64) {
        self.refused.store(others, Ordering::Relaxed);
    }

    /// Whether the page was asked for that there was [no memory for](Self::refuse_page_after).
    pub fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed) == u64::MAX
    }
}

impl Delay for SimPlatform {
    fn delay(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let wait: Pin<Box<dyn Future<Output = ()> + Send>> = match self.clock {
            _ if time < Duration::from_secs(10) => Box::pin(yield_now()),
            Clock::Stopped => Box::pin(pending()),
            Clock::ExpiresAtOnce => Box::pin(async {
                for _ in 0..200 {
                    yield_now().await;
                }
            }),
        };
        wait
    }
}

impl Platform for SimPlatform {
    type Page = FakePage;
    type Channel = SimChannel;

    fn grants(&self) -> &Table<FakePage> {
        &self.grants
    }

    fn page(&self) -> Option<FakePage> {
        let take = |pages: u64| pages.checked_sub(1);
        self.pages.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        // Behind none the count wraps around to the greatest number, and stays there.
        let next = |others: u64| (others != u64::MAX).then(|| others.wrapping_sub(1));
        if self.refused.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) == Ok(0) {
            return None;
        }
        Some(self.xen.page())
    }

    fn channel(&self, _: DomainId) -> Result<SimChannel> {
        Ok(SimChannel::open(&self.channels))
    }

    fn vcpu(&self) -> u32 {
        self.vcpu.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.now.fetch_add(1000, Ordering::Relaxed)
    }
}

impl BackendPlatform for SimPlatform {
    type Mapped<'p> = Mapping<'p, FakeXen, FakeMapSlot, ReadWrite>;

    fn map(&self, domain: DomainId, reference: Reference) -> grant::Result<Self::Mapped<'_>> {
        map(&self.xen, domain, reference, self.xen.place()).map_err(|refused| refused.error)
    }

    fn copy(&self, requests: &mut [Request<'_>]) -> grant::Result<()> {
        copy(&self.xen, requests)
    }

    fn gather(&self, lists: &[&[Span]]) -> Vec<Option<Vec<u8>>> {
        gather(&self.xen, &self.xen, lists)
    }

    fn spread(&self, pieces: &[(&[u8], Foreign)]) -> Vec<bool> {
        spread(&self.xen, &self.xen, pieces)
    }

    fn connect(&self, domain: DomainId, port: Port) -> Result<SimChannel> {
        SimChannel::connect(&self.channels, domain, port).ok_or(Errno::INVAL)
    }
}

impl Drop for SimPlatform {
    fn drop(&mut self) {
        let open = self.channels.open();
        assert!(open == 0, "{open} event channels were leaked");
    }
}
