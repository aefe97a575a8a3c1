// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that the toolstack gave this domain: found in xenstore, each driven by a task of its
//! own, at boot and whenever one is plugged in.
//!
//! A new class of devices implements [`Class`], and has [`attend`] spawned at boot.

mod attend;
pub(crate) mod emulated;
pub(crate) mod ide;
mod platform;
mod vbd;
pub(crate) mod virtio;

use prism_boot::CommandLine;
use spin::Once;
use xen::xenstore::Client;

use crate::exec;
use vbd::Vbds;

pub(crate) use attend::{Class, attend};
pub(crate) use platform::XenPlatform;

static VBDS: Once<Vbds> = Once::new();

/// Finds and drives all devices that the toolstack gave this domain.
pub(crate) fn begin(store: &'static Client, line: &CommandLine) {
    let Some(platform) = XenPlatform::get() else { return };
    let poll = line.block_poll().ok().flatten().unwrap_or_default();
    // The first tasks always fit.
    let _ = exec::spawn(attend(VBDS.call_once(|| Vbds::new(platform, poll)), store));
}
