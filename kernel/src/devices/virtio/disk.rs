// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio disks. One task drives each.

use alloc::string::String;
use alloc::sync::Arc;

use log::{info, warn};
use prism_drivers::block::{Queue, QueuedDisk};
use prism_drivers::virtio::{Registers, disk, queue};

use super::moments;
use crate::devices::disks;
use crate::devices::virtio::Pages;
use crate::hypervisor::grant::OwnPage;
use crate::irq::Irq;

/// Drives a disk for ever.
pub(super) async fn drive(name: String, number: u8, transport: Registers, irq: Irq) {
    let opened = disk::Disk::open(transport, Pages::new(queue::MEMORY), irq, &mut moments());
    let device = match opened {
        Ok(device) => device,
        Err(error) => {
            warn!("{name} not used: {error}");
            return disks::end_scan();
        }
    };
    let requests = Arc::new(Queue::<OwnPage>::new());
    info!("{name}: {}", device.geometry());
    let disk = QueuedDisk::new(name.clone(), 0, device.geometry(), Arc::clone(&requests)).driven_by("virtio");
    // Numbers as Linux gives them: major 253, 16 for each disk.
    disks::add(253 << 8 | u32::from(number) << 4, Arc::new(disk));
    disks::end_scan();
    device.serve(&requests, |trouble| warn!("{name}: {trouble}")).await;
}
