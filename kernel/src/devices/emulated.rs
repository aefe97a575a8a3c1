// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulated disks beside paravirtual ones: the same disk seen twice. Those are taken away for which
//! there is a paravirtual one; without any, the emulated ones are used.

use core::sync::atomic::{AtomicBool, Ordering};

use log::{debug, info};
use prism_drivers::unplug::{Emulated, unplug};

use super::ide;
use crate::ports::CpuPorts;

/// There is an emulated platform whose disks have not been decided about.
static UNDECIDED: AtomicBool = AtomicBool::new(false);

/// There is an emulated platform beside Xen's devices.
pub(crate) fn begin() {
    UNDECIDED.store(true, Ordering::Relaxed);
}

/// Decides about the emulated disks, once it is known which paravirtual ones there are.
pub(super) fn decide(paravirtual_disks: usize) {
    if !UNDECIDED.swap(false, Ordering::Relaxed) {
        return;
    }
    if paravirtual_disks == 0 {
        debug!("no paravirtual disks: looking for emulated ones");
        return ide::begin();
    }
    match unplug(&CpuPorts, Emulated::Disks) {
        Ok(()) => debug!("the emulated disks are unplugged"),
        // They stay, and stay unused.
        Err(reason) => info!("the emulated disks are not unplugged: {reason}"),
    }
}
