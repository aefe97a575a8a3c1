// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PV console ring and the event channel that belongs to it.

use core::mem;
use core::time::Duration;

use prism_arch::hypercall::Hypervisor;
use prism_drivers::console::output::Sink;
use xen::console::Ring;
use xen::event::Port;
use xen::shared::Shared;
use xen_sys::io::console::xencons_interface;

use crate::hypervisor::event;

/// How long one wait for the other side may last.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The PV ring and the event channel that belongs to it.
pub(crate) struct RingEnd {
    page: Shared<xencons_interface>,
    ring: Ring,
    /// Raised after either side moved something.
    pub(super) port: Port,
    /// It is to be raised once for all that is written, later.
    pub(super) is_quiet: bool,
}

impl RingEnd {
    /// The ring in `page` and its event channel.
    pub(crate) fn new(page: Shared<xencons_interface>, port: Port) -> Self {
        Self { page, ring: Ring::new(page), port, is_quiet: false }
    }

    /// Goes on with what is in the page now, after the domain was restored.
    pub(super) fn restart(&mut self, port: Port) {
        *self = Self::new(self.page, port);
    }

    /// Takes what has been typed.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let taken = self.ring.read(buffer).unwrap_or(0);
        if taken != 0 {
            self.notify();
        }
        taken
    }
}

impl Sink for RingEnd {
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        // A backend that lies: its console is lost to us, the others are not.
        self.ring.write(bytes).ok()
    }

    fn notify(&mut self) {
        if !self.is_quiet {
            let _ = xen::event::send(&Hypervisor, self.port);
        }
    }

    fn is_read(&mut self) -> bool {
        matches!(self.ring.unread(), Ok(0) | Err(_))
    }

    fn wait_for_space(&mut self) {
        // Who is waited for has to know.
        if mem::take(&mut self.is_quiet) {
            self.notify();
        }
        // Only at boot, where input has been told of anyway, and at the end, where nobody waits for it.
        event::poll_port_quietly(self.port, POLL_INTERVAL);
    }
}
