// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks behind virtio SCSI controllers. One task drives each controller.

use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{info, warn};
use prism_drivers::block::{Queue, QueuedDisk};
use prism_drivers::virtio::scsi::{Controller, Disk, MAX_DISKS, name, number};
use prism_drivers::virtio::{Kind, queue};

use super::{Device, devices, moments};
use crate::devices::disks;
use crate::devices::virtio::Pages;
use crate::hypervisor::grant::OwnPage;
use crate::irq::Irq;
use crate::task::executor;

/// Finds all SCSI disks, and spawns the tasks of their controllers. Not for PV domains, which have no ports.
pub(super) fn spawn_all() {
    if devices(Kind::Scsi).next().is_none() {
        return;
    }
    disks::begin_scan();
    if executor::spawn(find_disks()).is_err() {
        disks::end_scan();
        warn!("virtio SCSI controllers not used: out of memory");
    }
}

/// Finds the disks of one controller after the other, so that each disk has the same name at each boot.
async fn find_disks() {
    let mut named = 0;
    for device in devices(Kind::Scsi) {
        let Some((controller, mut found)) = open(&device).await else { continue };
        let left_out = controller.targets_left_out();
        if left_out.is_empty() {
            info!("virtio SCSI controller at {device}: {} disks", found.len());
        } else {
            let (first, last) = left_out.into_inner();
            info!(
                "virtio SCSI controller at {device}: {} disks; targets {first} to {last} not asked",
                found.len()
            );
        }
        if found.len() > MAX_DISKS - named {
            warn!("virtio SCSI controller at {device}: only {} of its disks used", MAX_DISKS - named);
            found.truncate(MAX_DISKS - named);
        }
        if found.is_empty() {
            continue;
        }
        let first = named as u8;
        named += found.len();
        let requests = Arc::new(Queue::<OwnPage>::new());
        for (place, Disk { address, model, geometry }) in (0..).zip(&found) {
            let index = first + place;
            info!("{}: {model}, {address}, {geometry}", name(index));
            let disk = QueuedDisk::new(name(index), place, *geometry, Arc::clone(&requests))
                .driven_by("virtio-scsi");
            disks::add(number(index), Arc::new(disk));
        }
        let serve = async move {
            let report = |place, failure| warn!("{}: {failure}", name(first + place as u8));
            controller.serve(&found, &requests, report).await;
        };
        if executor::spawn(serve).is_err() {
            warn!("virtio SCSI controller at {device} not used: out of memory");
            (first..named as u8).for_each(|index| disks::remove(number(index)));
        }
    }
    disks::end_scan();
}

/// A controller, and its disks; `None` if it cannot be used.
async fn open(device: &Device) -> Option<(Controller<Pages, Irq>, Vec<Disk>)> {
    let (transport, irq) = device
        .open()
        .inspect_err(|error| warn!("virtio SCSI controller at {device} not used: {error}"))
        .ok()?;
    let mut controller = Controller::open(transport, Pages::new(queue::MEMORY), irq, &mut moments())
        .inspect_err(|error| warn!("virtio SCSI controller at {device} not used: {error}"))
        .ok()?;
    let found = controller.disks(|left_out| warn!("virtio SCSI controller at {device}: {left_out}")).await;
    let found = found.inspect_err(|failure| warn!("virtio SCSI controller at {device}: {failure}")).ok()?;
    Some((controller, found))
}
