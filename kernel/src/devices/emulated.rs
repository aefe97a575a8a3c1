// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulated devices beside paravirtual ones: the same disk or network seen twice. Those are taken away
//! for which there are paravirtual ones; without any, the emulated ones are used.
//!
//! All disks go, or all network cards; Xen knows no less.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::{debug, info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::block::{Geometry, Served};
use prism_drivers::ide::{self as ide_disks, Identity};
use prism_drivers::unplug::{Emulated, unplug};

use super::{ahci, card, ide};
use crate::disks;
use crate::grant::OwnPage;
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

/// Positions that there are for emulated disks: hda to hdt.
const MOST: u8 = 20;
/// Those that are taken, a bit each.
static POSITIONS: AtomicU32 = AtomicU32::new(0);

/// Adds an emulated disk, which `make` makes with its name. Toolstacks name it by the position that its
/// controller has it in; if another controller has a disk there too, it gets the first one behind IDE's
/// four.
pub(super) fn add(position: u8, identity: &Identity, make: impl FnOnce(String, Geometry) -> Served<OwnPage>) {
    let take = |position: &u8| POSITIONS.fetch_or(1 << position, Ordering::Relaxed) & 1 << position == 0;
    let mut positions = core::iter::once(position).chain(4..MOST).filter(|position| *position < MOST);
    let Some(position) = positions.find(take) else {
        return warn!("the disk {} is not used: there are too many", identity.model);
    };
    let (name, geometry) = (ide_disks::name(position), identity.geometry());
    info!("{name}: {}, {geometry}", identity.model);
    disks::add(ide_disks::number(position), Arc::new(make(name, geometry)));
}

/// Finds and drives all emulated disks. Not for PV domains, which have no ports.
pub(crate) fn find_disks() {
    ide::begin();
    ahci::begin();
}

/// Decides about the emulated disks, once it is known which paravirtual ones there are.
pub(super) fn decide_about_disks(paravirtual_disks: usize) {
    if !DISKS.swap(false, Ordering::Relaxed) {
        return;
    }
    if paravirtual_disks == 0 {
        debug!("no paravirtual disks: looking for emulated ones");
        return find_disks();
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
