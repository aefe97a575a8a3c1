// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulated devices beside paravirtual ones: the same disk or network seen twice. Those are taken away
//! for which there are paravirtual ones; without any, the emulated ones are used.
//!
//! All disks go, or all network cards; Xen knows no less.

use core::sync::atomic::{AtomicBool, Ordering};

use log::{debug, info};
use prism_boot::services::DeviceBus;
use prism_drivers::unplug::{Emulated, unplug};

use super::{card, ide};
use crate::ports::CpuPorts;

/// There is an emulated platform, whose disks have not been decided about.
static DISKS: AtomicBool = AtomicBool::new(false);
/// The same about its network cards.
static CARDS: AtomicBool = AtomicBool::new(false);

/// There is an emulated platform beside Xen's devices.
pub(crate) fn begin() {
    DISKS.store(true, Ordering::Relaxed);
    CARDS.store(true, Ordering::Relaxed);
}

/// Decides about the emulated disks, once it is known which paravirtual ones there are.
pub(super) fn decide_about_disks(paravirtual_disks: usize) {
    if !DISKS.swap(false, Ordering::Relaxed) {
        return;
    }
    if paravirtual_disks == 0 {
        debug!("no paravirtual disks: looking for emulated ones");
        return ide::begin();
    }
    take_away(Emulated::Disks, "disks");
}

/// Decides about the network cards, once it is known which paravirtual interfaces there are. If there
/// are any, the cards stay until one of those works.
pub(super) fn decide_about_cards(paravirtual_interfaces: usize) {
    if paravirtual_interfaces == 0 && CARDS.swap(false, Ordering::Relaxed) {
        debug!("no paravirtual interfaces: looking for network cards");
        card::begin(DeviceBus::Xenbus);
    }
}

/// A paravirtual interface works: the emulated cards are not needed.
pub(crate) fn take_cards_away() {
    if CARDS.swap(false, Ordering::Relaxed) {
        take_away(Emulated::NetworkCards, "network cards");
    }
}

fn take_away(devices: Emulated, name: &str) {
    match unplug(&CpuPorts, devices) {
        Ok(()) => debug!("the emulated {name} are unplugged"),
        // They stay, and stay unused.
        Err(reason) => info!("the emulated {name} are not unplugged: {reason}"),
    }
}
