// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulated devices beside paravirtual ones: the same disk or network seen twice. Those are taken away
//! for which there are paravirtual ones; without any, the emulated ones are used.
//!
//! All disks go, or all network cards; Xen knows no less.

use alloc::string::String;
use alloc::sync::Arc;

use log::{debug, info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::block::ide::{self as ide_disks, Identity, Positions};
use prism_drivers::block::{Geometry, Served};
use prism_drivers::unplug::{Choice, Emulated, Undecided, unplug};

use super::{ahci, ide, nic};
use crate::devices::disks;
use crate::hypervisor::grant::OwnPage;
use crate::ports::CpuPorts;

static UNDECIDED: Undecided = Undecided::new();
static POSITIONS: Positions = Positions::new();

/// There is an emulated platform beside Xen's devices.
pub(crate) fn init() {
    UNDECIDED.begin();
}

/// Adds an emulated disk, which its controller has at `position`, and which `make` makes with its name.
pub(super) fn add(position: u8, identity: &Identity, make: impl FnOnce(String, Geometry) -> Served<OwnPage>) {
    let Some(position) = POSITIONS.take(position) else {
        return warn!("disk {} not used: too many", identity.model);
    };
    let (name, geometry) = (ide_disks::name(position), identity.geometry());
    info!("{name}: {}, {geometry}", identity.model);
    disks::add(ide_disks::number(position), Arc::new(make(name, geometry)));
}

/// Finds and drives all emulated disks. Not for PV domains, which have no ports.
pub(crate) fn find_disks() {
    ide::spawn_all();
    ahci::spawn_all();
}

/// Decides about the emulated disks, once it is known which paravirtual ones there are.
pub(super) fn decide_about_disks(paravirtual_disks: usize) {
    match UNDECIDED.disks(paravirtual_disks) {
        Some(Choice::Use) => {
            debug!("no paravirtual disks: looking for emulated ones");
            find_disks();
        }
        Some(Choice::Unplug) => unplug_all(Emulated::Disks, "disks"),
        None => {}
    }
}

/// Decides about the network cards, once it is known which paravirtual interfaces there are.
pub(super) fn decide_about_nics(paravirtual_interfaces: usize) {
    if UNDECIDED.cards(paravirtual_interfaces) == Some(Choice::Use) {
        debug!("no paravirtual interfaces: looking for network cards");
        nic::spawn_all(DeviceBus::Xenbus);
    }
}

/// A paravirtual interface works: the emulated cards are not needed.
pub(crate) fn unplug_nics() {
    if UNDECIDED.interface_works() == Some(Choice::Unplug) {
        unplug_all(Emulated::NetworkCards, "network cards");
    }
}

fn unplug_all(devices: Emulated, name: &str) {
    match unplug(&CpuPorts, devices) {
        Ok(()) => debug!("the emulated {name} are unplugged"),
        // They stay, and stay unused.
        Err(reason) => info!("emulated {name} not unplugged, left unused: {reason}"),
    }
}
