// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's implementation of `prism_drivers`' platform for paravirtual devices.

use alloc::vec::Vec;
use core::future::Future;
use core::time::Duration;

use embassy_time::Timer;
use prism_drivers::hal::{BackendPlatform, Channel, Platform};
use spin::Once;
use xen::DomainId;
use xen::error::Result;
use xen::event::Port;
use xen::grant::copy::bytes::Span;
use xen::grant::copy::{Foreign as ForeignBytes, Request};
use xen::grant::{ReadWrite, Reference, Table};
use xen::time::Delay;

use crate::hypervisor::event::EventChannel;
use crate::hypervisor::grant::{self, Foreign, OwnPage};
use crate::task::executor;
use crate::time;

/// Xen's services for frontends and backends.
pub(crate) struct XenPlatform {
    grants: &'static Table<OwnPage>,
}

static PLATFORM: Once<XenPlatform> = Once::new();

impl XenPlatform {
    /// The platform, where Xen is used.
    pub(crate) fn get() -> Option<&'static Self> {
        let grants = grant::table()?;
        Some(PLATFORM.call_once(|| Self { grants }))
    }
}

impl Delay for XenPlatform {
    fn delay(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Timer::after(embassy_time::Duration::from_nanos(nanoseconds))
    }
}

impl Platform for XenPlatform {
    type Page = OwnPage;
    type Channel = EventChannel;

    fn grants(&self) -> &Table<OwnPage> {
        self.grants
    }

    fn page(&self) -> Option<OwnPage> {
        OwnPage::new()
    }

    fn channel(&self, domain: DomainId) -> Result<EventChannel> {
        EventChannel::for_domain(domain)
    }

    fn channel_to(&self, domain: DomainId, vcpu: u32) -> Result<EventChannel> {
        let mut channel = EventChannel::for_domain(domain)?;
        // If Xen refuses, vCPU 0 takes the events and wakes the task on its vCPU.
        let _ = channel.deliver_to(vcpu);
        Ok(channel)
    }

    fn vcpu(&self) -> u32 {
        prism_arch::vcpu::number()
    }

    fn now(&self) -> u64 {
        time::nanoseconds()
    }

    fn found_by_looking(&self) {
        executor::found_work();
    }
}

impl BackendPlatform for XenPlatform {
    type Mapped<'p> = Foreign<ReadWrite>;

    fn map(&self, domain: DomainId, reference: Reference) -> xen::grant::Result<Foreign<ReadWrite>> {
        grant::map(domain, reference)
    }

    fn copy(&self, requests: &mut [Request<'_>]) -> xen::grant::Result<()> {
        grant::copy(requests)
    }

    fn gather(&self, lists: &[&[Span]]) -> Vec<Option<Vec<u8>>> {
        grant::gather(lists)
    }

    fn spread(&self, pieces: &[(&[u8], ForeignBytes)]) -> Vec<bool> {
        grant::spread(pieces)
    }

    fn connect(&self, domain: DomainId, port: Port) -> Result<EventChannel> {
        EventChannel::connect(domain, port)
    }
}

impl Channel for EventChannel {
    fn port(&self) -> Port {
        EventChannel::port(self)
    }

    fn notify(&self) {
        // Fails only if no peer is connected: then there is no one to notify.
        let _ = EventChannel::notify(self);
    }

    fn found_work(&self) {
        EventChannel::found_work(self);
    }

    fn found_nothing(&self) {
        EventChannel::found_nothing(self);
    }

    fn wait(&self) -> impl Future<Output = ()> + Send {
        EventChannel::wait(self)
    }
}
