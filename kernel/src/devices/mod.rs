// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices, each driven by a task of its own: those that the toolstack gave this domain, found in
//! xenstore at boot and whenever one is plugged in; and those of a PC.
//!
//! A new class of the toolstack's devices implements [`Class`], and has [`attend`] spawned.

mod ahci;
mod attend;
mod card;
pub(crate) mod emulated;
mod ide;
mod platform;
mod vbd;
mod vif;
pub(crate) mod virtio;

use prism_boot::CommandLine;
use prism_boot::services::DeviceBus;
use spin::Once;
use xen::xenstore::Client;

use crate::network::{NetworkError, interfaces};
use crate::{exec, store};
use attend::{Class, attend};
use platform::XenPlatform;
use vbd::Vbds;
use vif::Vifs;

static VBDS: Once<Vbds> = Once::new();
static VIFS: Once<Vifs> = Once::new();

/// Finds and drives all disks that the toolstack gave this domain.
pub(crate) fn begin(store: &'static Client, line: &CommandLine) {
    let Some(platform) = XenPlatform::get() else { return };
    let poll = line.block_poll().ok().flatten().unwrap_or_default();
    // The first tasks always fit.
    let _ = exec::spawn(attend(VBDS.call_once(|| Vbds::new(platform, poll)), store));
}

/// Finds and drives all network interfaces, which are reached by `bus`.
///
/// # Errors
///
/// If there are none, or too many tasks run.
pub(crate) fn begin_network(bus: DeviceBus) -> Result<(), NetworkError> {
    match bus {
        DeviceBus::Xenbus => {
            let store = store::client().ok_or(NetworkError::NoDevices)?;
            let platform = XenPlatform::get().ok_or(NetworkError::NoDevices)?;
            let vifs = VIFS.call_once(|| Vifs::new(platform));
            exec::spawn(attend(vifs, store)).map_err(|_| NetworkError::Busy)
        }
        DeviceBus::Virtio | DeviceBus::Emulated => {
            card::begin(bus);
            interfaces::settle();
            Ok(())
        }
        DeviceBus::None => Err(NetworkError::NoDevices),
    }
}
