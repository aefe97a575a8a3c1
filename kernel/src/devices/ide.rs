// SPDX-License-Identifier: MIT OR Apache-2.0
//! IDE disks. One task drives each channel.

use alloc::sync::Arc;

use log::warn;
use prism_drivers::block::ide::{self, Channel, Resources};
use prism_drivers::block::{Queue, QueuedDisk};
use prism_drivers::pci;

use super::{emulated, pci_functions};
use crate::devices::disks;
use crate::hypervisor::grant::OwnPage;
use crate::irq::Irq;
use crate::ports::CpuPorts;
use crate::task::executor;

/// Finds all IDE disks, and spawns their tasks. Not for PV domains, which have no ports.
pub(crate) fn spawn_all() {
    // A PC's disks answer at the legacy ports. If there are several controllers, one of them has those.
    let Some(controller) = pci_functions::all().find(pci::Function::is_ide) else { return };
    for (channel, resources) in (0..).zip(ide::resources(&CpuPorts, &controller)) {
        disks::begin_scan();
        if executor::spawn(drive(channel, resources)).is_err() {
            disks::end_scan();
            warn!("IDE channel {channel} not used: out of memory");
        }
    }
}

/// Drives the disks of a channel, for ever.
async fn drive(number: u8, resources: Resources) {
    let Some(line) = Irq::of_function(resources.line) else {
        warn!("IDE channel {number} not used: its IRQ cannot be routed");
        return disks::end_scan();
    };
    let channel = Channel::new(&CpuPorts, resources, line);
    let drives = channel.drives().await;
    let queue = Arc::new(Queue::new());
    for drive in drives.iter().flatten() {
        let position = number * 2 + drive.number;
        emulated::add(position, &drive.identity, |name, geometry| {
            QueuedDisk::new(name, drive.number, geometry, Arc::clone(&queue)).driven_by("ide")
        });
    }
    disks::end_scan();
    if drives.iter().any(Option::is_some) {
        let report = |drive: &ide::Drive, failure| {
            warn!("IDE channel {number}, drive {}: {failure}", drive.number);
        };
        channel.serve(&drives, &queue, OwnPage::new(), report).await;
    }
}
