// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emulated devices beside paravirtual ones. Both are views of the same disk or network, so only one may be
//! used: the emulated ones are unplugged where there are paravirtual ones, and used where there are none.
//!
//! Xen's protocol unplugs all disks or all NICs at once, not single ones.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{debug, info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::block::ide::{self as ide_disks, Identity, Positions};
use prism_drivers::block::{Geometry, QueuedDisk};
use prism_drivers::unplug::{Choice, Emulated, Undecided, unplug};
use spin::Mutex;

use super::{ahci, ide, nic, nvme, pci_functions};
use crate::devices::disks;
use crate::hypervisor::grant::OwnPage;
use crate::ports::CpuPorts;

static UNDECIDED: Undecided = Undecided::new();
static POSITIONS: Positions = Positions::new();

/// Notes that there is an emulated platform beside Xen's devices.
pub(crate) fn init() {
    UNDECIDED.begin();
}

/// Adds an emulated disk, which is at `position` of its controller. `make` makes it, given a name.
pub(super) fn add(
    position: u8,
    identity: &Identity,
    make: impl FnOnce(String, Geometry) -> QueuedDisk<OwnPage>,
) {
    let Some(position) = POSITIONS.take(position) else {
        return warn!("disk {} not used: too many", identity.model);
    };
    let (name, geometry) = (ide_disks::name(position), identity.geometry());
    info!("{name}: {}, {geometry}", identity.model);
    disks::add(ide_disks::number(position), Arc::new(make(name, geometry)));
}

/// Finds all emulated disks, and spawns their tasks. Not for PV domains, which have no ports.
pub(crate) fn find_disks() {
    ide::spawn_all();
    ahci::spawn_all();
    nvme::spawn_all();
}

/// Uses or unplugs the emulated disks, once the number of paravirtual ones is known.
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

/// Uses the emulated NICs if there are no paravirtual interfaces, once their number is known.
pub(super) fn decide_about_nics(paravirtual_interfaces: usize) {
    if UNDECIDED.cards(paravirtual_interfaces) == Some(Choice::Use) {
        debug!("no paravirtual interfaces: looking for NICs");
        nic::spawn_all(DeviceBus::Xenbus);
    }
}

/// Unplugs the emulated NICs, as a paravirtual interface works.
pub(crate) fn unplug_nics() {
    if UNDECIDED.interface_works() == Some(Choice::Unplug) {
        unplug_all(Emulated::Nics, "NICs");
    }
}

/// Unplugs again what was unplugged: a restored domain has its emulated devices back.
pub(crate) fn unplug_again() {
    for devices in UNPLUGGED.lock().iter() {
        // Who did it once is allowed to.
        let _ = unplug(&CpuPorts, *devices);
    }
    pci_functions::forget();
}

/// What has been unplugged.
static UNPLUGGED: Mutex<Vec<Emulated>> = Mutex::new(Vec::new());

fn unplug_all(devices: Emulated, name: &str) {
    match unplug(&CpuPorts, devices) {
        Ok(()) => {
            UNPLUGGED.lock().push(devices);
            pci_functions::forget();
            debug!("the emulated {name} are unplugged");
        }
        // They stay plugged in, but unused.
        Err(reason) => info!("emulated {name} not unplugged, left unused: {reason}"),
    }
}
