// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices. Each is driven by a task: devices of the toolstack, found in xenstore at boot and at each
//! hotplug, and devices of a PC.
//!
//! # To add a NIC, a disk controller, a xenbus driver
//!
//! The driver's logic is a module of `prism_drivers`, generic over the traits there; it also decides which
//! PCI functions it matches. In the kernel it needs:
//!
//! - for any device of a PC: a variant of `prism_drivers::supported::Known`, and a counter in
//!   `prism_boot::capabilities::Devices`, counted by `probe::count`;
//! - for a NIC: a variant of `nic::Nic` with its arms, and an entry in `choose_network` of
//!   `prism_boot::services`, where the reason names the NICs that are known;
//! - for a disk controller: a module beside `ahci`, called by `emulated::find_disks`, and an entry in
//!   `choose_disk`, also with the reason;
//! - for a driver of the toolstack's devices: a [`XenbusDriver`](xenbus::XenbusDriver), for which
//!   [`run_driver`] is spawned, and a place in [`drain`] and [`go_on`], if a request that is done twice does
//!   harm.

mod ahci;
mod blkfront;
pub mod disks;
pub(crate) mod emulated;
mod ide;
mod netfront;
mod nic;
mod nvme;
mod platform;
pub(crate) mod virtio;
mod xenbus;

use embassy_time::Duration;
use log::warn;
use prism_boot::CommandLine;
use prism_boot::services::DeviceBus;
use spin::Once;
use xen::xenstore::Client;

use crate::app::Context;
use crate::hypervisor::xenstore;
use crate::network::{NetworkError, interfaces};
use crate::task::executor;
use blkfront::BlkfrontDriver;
use netfront::NetfrontDriver;
use platform::XenPlatform;
use xenbus::run_driver;

static BLKFRONT: Once<BlkfrontDriver> = Once::new();
static NETFRONT: Once<NetfrontDriver> = Once::new();

/// Set once the drivers of disks were started.
static DISKS: Once<()> = Once::new();

/// Starts the drivers of all disks, at the first call. So an image is linked without them if its application
/// never asks for disks, and its disks stay untouched. Whoever waits for disks then waits for all that are
/// found here.
pub(crate) fn start_disks(context: &Context) {
    // Who comes second waits until it is known how many scans there are.
    DISKS.call_once(|| spawn_disks(context));
}

/// Not inlined, as tasks are large: the caller, an application's main, would keep that much stack.
#[inline(never)]
fn spawn_disks(context: &Context) {
    match context.environment.services.disk.chosen {
        DeviceBus::Emulated => emulated::find_disks(),
        DeviceBus::Virtio => {
            virtio::spawn_disks();
            emulated::find_disks();
        }
        DeviceBus::Xenbus | DeviceBus::None => {}
    }
    if let Some(store) = xenstore::client() {
        spawn_blkfront(store, context.command_line());
    }
}

/// Drives all disks of the toolstack.
fn spawn_blkfront(store: &'static Client, line: &CommandLine) {
    let Some(platform) = XenPlatform::get() else { return };
    let poll = line.block_poll().ok().flatten().unwrap_or_default();
    if let Err(error) =
        executor::spawn(run_driver(BLKFRONT.call_once(|| BlkfrontDriver::new(platform, poll)), store))
    {
        warn!("device/vbd: cannot scan for disks: {error}");
        disks::end_scan();
    }
}

/// Keeps requests from the backends of all disks of the toolstack, and waits until none is in flight; whether
/// that did not take longer than `timeout`. Until [`go_on`] requests wait.
pub(crate) async fn drain(timeout: Duration) -> bool {
    match BLKFRONT.get() {
        Some(disks) => disks.drain(timeout).await,
        None => true,
    }
}

/// Lets requests to disks go on.
pub(crate) fn go_on() {
    if let Some(disks) = BLKFRONT.get() {
        disks.hold(false);
    }
}

/// Tells of each disk of the toolstack: its name, and how many requests its backend has not answered.
pub(crate) fn for_each_vbd(tell: impl FnMut(&str, usize)) {
    if let Some(disks) = BLKFRONT.get() {
        disks.for_each(tell);
    }
}

/// Drives all network interfaces of `bus`.
///
/// # Errors
///
/// Fails if there are none, or no memory for a task.
pub(crate) fn spawn_network(bus: DeviceBus, line: &CommandLine) -> Result<(), NetworkError> {
    match bus {
        DeviceBus::Xenbus => {
            let store = xenstore::client().ok_or(NetworkError::NoDevices)?;
            let platform = XenPlatform::get().ok_or(NetworkError::NoDevices)?;
            let poll = line.network_poll().ok().flatten().unwrap_or_default();
            let driver = NETFRONT.call_once(|| NetfrontDriver::new(platform, poll));
            executor::spawn(run_driver(driver, store)).map_err(|_| NetworkError::Busy)
        }
        DeviceBus::Virtio | DeviceBus::Emulated => {
            nic::spawn_all(bus);
            interfaces::scan_complete();
            Ok(())
        }
        DeviceBus::None => Err(NetworkError::NoDevices),
    }
}
