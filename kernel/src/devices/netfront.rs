// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual network interfaces: the kernel's side of `prism_drivers`' netfront.

use core::time::Duration;

use log::info;
use prism_boot::command_line::INTERFACES;
use prism_drivers::net::Error;
use prism_drivers::net::netfront::{NetFront, RingPages};
use xen::xenbus::{self, Device, Ended};

use super::xenbus::{STEP_LIMIT, Scan, XenbusDriver};
use super::{XenPlatform, emulated};
use crate::memory;
use crate::network::interfaces;
use crate::task::executor;

/// The driver of paravirtual network interfaces.
pub(crate) struct NetfrontDriver {
    platform: &'static XenPlatform,
    /// How long to poll for packets before sleeping.
    poll: Duration,
}

impl NetfrontDriver {
    /// The driver.
    pub(crate) fn new(platform: &'static XenPlatform, poll: Duration) -> Self {
        Self { platform, poll }
    }
}

impl XenbusDriver for NetfrontDriver {
    const DIRECTORY: &'static str = "vif";
    type Error = Error;

    fn scanned(&self, devices: &[u32], scan: Scan) {
        interfaces::set_paravirtual(devices);
        if scan == Scan::First {
            emulated::decide_about_nics(devices.len());
            interfaces::scan_complete();
        }
    }

    async fn drive(&self, number: u32, device: Device) -> Ended<Error> {
        let Some(interface) = interfaces::paravirtual(number) else {
            info!("device/vif/{number} not used: more than {INTERFACES} interfaces, NICs included");
            return Ended::Stopped;
        };
        let queues = (executor::running().count() as u32).min(MAX_QUEUES);
        let frontend = NetFront::new(self.platform, interface, pages());
        let mut frontend = frontend.with_queues(queues).with_poll(self.poll);
        xenbus::run(&device, &mut frontend, self.platform, &STEP_LIMIT).await
    }

    fn removed(&self, _number: u32) {}
}

/// Maximum number of queues of an interface. The backend has a thread for each.
const MAX_QUEUES: u32 = 4;

/// Pages for an interface: 2 MiB where there is enough memory. A few of the longest packets have to fit, or
/// each waits until the backend has had its turn.
fn pages() -> RingPages {
    match memory::usage().free {
        0..0xc0_0000 => RingPages { receive: 64, transmit: 32 },
        0x200_0000.. => RingPages { receive: 256, transmit: 256 },
        _ => RingPages { receive: 256, transmit: 128 },
    }
}
