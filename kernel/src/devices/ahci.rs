// SPDX-License-Identifier: MIT OR Apache-2.0
//! AHCI disks. One task drives each controller.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use log::{info, warn};
use prism_drivers::block::ahci::{self, Controller};
use prism_drivers::block::{Queue, QueuedDisk};
use prism_drivers::pci::Function;
use prism_drivers::pci::intx;

use super::{emulated, pci_functions};
use crate::devices::disks;
use crate::hypervisor::grant::OwnPage;
use crate::irq::Irq;
use crate::memory::dma::Pages;
use crate::memory::registers;
use crate::ports::CpuPorts;
use crate::task::executor;

/// Finds all AHCI disks, and spawns their tasks. Not for PV domains, which have no ports.
pub(crate) fn spawn_all() {
    for function in pci_functions::all().filter(ahci::matches) {
        disks::begin_scan();
        if executor::spawn(drive(function)).is_err() {
            disks::end_scan();
            warn!("AHCI controller at {} not used: out of memory", function.address);
        }
    }
}

/// Drives the disks of a controller, for ever.
async fn drive(function: Function) {
    let controller = match open(&function).await {
        Ok(controller) => controller,
        Err(reason) => {
            warn!("AHCI controller at {} not used: {reason}", function.address);
            return disks::end_scan();
        }
    };
    let found = controller.disks(|| Pages::new(ahci::MEMORY)).await;
    info!("AHCI controller at {}: {} of its ports have disks", function.address, found.len());
    let queue = Arc::new(Queue::<OwnPage>::new());
    for disk in &found {
        emulated::add(disk.port, &disk.identity, |name, geometry| {
            QueuedDisk::new(name, disk.port, geometry, Arc::clone(&queue)).driven_by("ahci")
        });
    }
    disks::end_scan();
    if !found.is_empty() {
        let report = |disk: &ahci::Disk<Pages>, failure| warn!("AHCI port {}: {failure}", disk.port);
        controller.serve(&found, &queue, report).await;
    }
}

async fn open(function: &Function) -> Result<Controller<registers::MappedRegisters, Irq>, String> {
    let registers = registers::of_function(function, 5, ahci::LENGTH);
    let registers = registers.map_err(|error| error.to_string())?;
    let line = intx::line(&CpuPorts, function).and_then(Irq::of_function);
    let line = line.ok_or("firmware gave it no interrupt line")?;
    Controller::open(registers, line).await.map_err(|ahci::Error::Silent| "it does not answer".into())
}
