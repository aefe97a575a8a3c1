// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain of two vCPUs whose tasks wait for events, in both ABIs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

use xen::DomainId;
use xen::event::{self, Binding, Dispatch, Earlier, Events, Port, Slot};
use xen::fake::{Config, FakeXen};

pub(crate) const PEER: DomainId = DomainId(5);
pub(crate) const VCPUS: u32 = 2;

/// The domain, and its events.
pub(crate) struct Guest {
    pub(crate) xen: FakeXen,
    pub(crate) dispatch: Dispatch<4>,
}

impl Guest {
    pub(crate) fn new(fifo: bool) -> Self {
        let xen = FakeXen::with(Config { fifo, vcpus: VCPUS, ..Config::default() });
        let dispatch = Dispatch::new();
        dispatch.begin(
            Events::fifo(&xen, VCPUS, || Some(xen.page()))
                .unwrap_or_else(|_| Events::two_level(xen.shared_info(), VCPUS)),
        );
        (0..VCPUS).for_each(|vcpu| dispatch.add_vcpu(vcpu, xen.vcpu_info(vcpu)).unwrap());
        Self { xen, dispatch }
    }

    /// Adds a port whose events of before do not count.
    pub(crate) fn add(&self, port: Port, binding: Binding) -> Arc<Slot> {
        self.dispatch.add(&self.xen, port, binding, Earlier::Void, || Some(self.xen.page())).unwrap()
    }

    pub(crate) fn close(&self, port: Port) {
        self.dispatch.remove(port);
        event::close(&self.xen, port).unwrap();
    }
}

/// Does a test in both ABIs.
pub(crate) fn both(test: impl Fn(Guest)) {
    [false, true].map(Guest::new).into_iter().for_each(test);
}

/// A task that counts how often it was woken.
#[derive(Default)]
pub(crate) struct Task(AtomicU32);

impl Task {
    pub(crate) fn woken(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
