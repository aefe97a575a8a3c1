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
//!   harm;
//! - for a driver that serves devices to other domains: a [`BackendDriver`](backends::BackendDriver).

mod ahci;
pub(crate) mod backends;
pub(crate) mod blkback;
mod blkfront;
pub mod disks;
pub(crate) mod emulated;
mod ide;
pub(crate) mod netback;
mod netfront;
mod nic;
mod nvme;
pub(crate) mod pci_functions;
mod platform;
pub(crate) mod virtio;
mod xenbus;

use embassy_time::{Duration, Timer, with_timeout};
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

/// Set with the driver of the toolstack's disks, which so is linked into no image without disks.
static VBDS: Once<&'static dyn Vbds> = Once::new();
static NETFRONT: Once<NetfrontDriver> = Once::new();

/// Set once the drivers of disks were started.
static DISKS: Once<()> = Once::new();

/// The toolstack's disks, for those who know nothing of their driver.
trait Vbds: Sync {
    /// Keeps requests from all backends, or no longer does.
    fn hold(&self, held: bool);

    /// Tells of each disk: its name, and how many requests are in flight.
    fn for_each(&self, tell: &mut dyn FnMut(&str, usize));
}

/// How often it is looked whether requests are in flight.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

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
    static BLKFRONT: Once<BlkfrontDriver> = Once::new();
    let poll = line.block_poll().ok().flatten().unwrap_or_default();
    let driver = BLKFRONT.call_once(|| BlkfrontDriver::new(platform, poll));
    VBDS.call_once(|| driver);
    if let Err(error) = executor::spawn(run_driver(driver, store)) {
        warn!("device/vbd: cannot scan for disks: {error}");
        disks::end_scan();
    }
}

/// Keeps requests from the backends of all disks of the toolstack, and waits until none is in flight; whether
/// that did not take longer than `timeout`. Until [`go_on`] requests wait.
pub(crate) async fn drain(timeout: Duration) -> bool {
    let Some(disks) = VBDS.get() else { return true };
    disks.hold(true);
    let drained = async {
        while in_flight(*disks) != 0 {
            Timer::after(POLL_INTERVAL).await;
        }
    };
    let in_time = with_timeout(timeout, drained).await.is_ok();
    if !in_time {
        disks.hold(false);
    }
    in_time
}

/// Requests of all disks in flight.
fn in_flight(disks: &dyn Vbds) -> usize {
    let mut all = 0;
    disks.for_each(&mut |_, count| all += count);
    all
}

/// Lets requests to disks go on.
pub(crate) fn go_on() {
    if let Some(disks) = VBDS.get() {
        disks.hold(false);
    }
}

/// Tells of each disk of the toolstack: its name, and how many requests its backend has not answered.
pub(crate) fn for_each_vbd(mut tell: impl FnMut(&str, usize)) {
    if let Some(disks) = VBDS.get() {
        disks.for_each(&mut tell);
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
