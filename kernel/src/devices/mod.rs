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
//!   [`run_driver`] is spawned.

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

use crate::hypervisor::xenstore;
use crate::network::{NetworkError, interfaces};
use crate::task::executor;
use blkfront::BlkfrontDriver;
use netfront::NetfrontDriver;
use platform::XenPlatform;
use xenbus::run_driver;

static BLKFRONT: Once<BlkfrontDriver> = Once::new();
static NETFRONT: Once<NetfrontDriver> = Once::new();

/// Drives all disks of the toolstack.
pub(crate) fn spawn(store: &'static Client, line: &CommandLine) {
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
