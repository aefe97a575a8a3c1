// SPDX-License-Identifier: MIT OR Apache-2.0
//! NVMe disks. One task drives each controller.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{info, warn};
use prism_drivers::block::nvme::{self, Controller, Namespace};
use prism_drivers::block::{Queue, QueuedDisk};
use prism_drivers::pci::{Function, intx};

use crate::devices::{disks, pci_functions};
use crate::hypervisor::grant::OwnPage;
use crate::irq::Irq;
use crate::memory::dma::Pages;
use crate::memory::registers::{self, MappedRegisters};
use crate::ports::CpuPorts;
use crate::task::executor;

/// Finds all NVMe disks, and spawns their tasks. Not for PV domains, which have no ports.
pub(crate) fn spawn_all() {
    for (number, function) in (0..).zip(pci_functions::all().filter(nvme::matches)) {
        if number == nvme::MAX_CONTROLLERS {
            warn!("NVMe controller at {} and those after it not used: too many", function.address);
            break;
        }
        disks::begin_scan();
        if executor::spawn(drive(number, function)).is_err() {
            disks::end_scan();
            warn!("NVMe controller at {} not used: out of memory", function.address);
        }
    }
}

/// Drives the disks of a controller, for ever.
async fn drive(number: u8, function: Function) {
    let address = function.address;
    let (controller, found) = match open(&function).await {
        Ok(opened) => opened,
        Err(reason) => {
            warn!("NVMe controller at {address} not used: {reason}");
            return disks::end_scan();
        }
    };
    info!("NVMe controller at {address}: {}, {} disks", controller.model(), found.len());
    let queue = Arc::new(Queue::<OwnPage>::new());
    for Namespace { place, geometry, .. } in &found {
        let name = nvme::name(number, *place);
        info!("{name}: {geometry}");
        let disk = QueuedDisk::new(name, *place, *geometry, Arc::clone(&queue)).driven_by("nvme");
        disks::add(nvme::number(number, *place), Arc::new(disk));
    }
    disks::end_scan();
    if !found.is_empty() {
        let report = |namespace: &Namespace, failure| {
            warn!("{}: {failure}", nvme::name(number, namespace.place));
        };
        controller.serve(&found, &queue, report).await;
    }
}

/// A controller, and its disks.
type Opened = (Controller<MappedRegisters, Irq, Pages>, Vec<Namespace>);

async fn open(function: &Function) -> Result<Opened, String> {
    let registers = registers::of_function(function, 0, nvme::LENGTH);
    let registers = registers.map_err(|error| error.to_string())?;
    let irq = intx::line(&CpuPorts, function).and_then(Irq::of_function).unwrap_or_else(|| {
        warn!("NVMe controller at {}: IRQ not routed; polling", function.address);
        Irq::none()
    });
    let controller = Controller::open(registers, irq, Pages::new(nvme::MEMORY)).await;
    let mut controller = controller.map_err(|error| error.to_string())?;
    let report =
        |id, unfit| warn!("NVMe controller at {}: namespace {id} not used: {unfit}", function.address);
    let found = controller.namespaces(report).await.map_err(|failure| failure.to_string())?;
    Ok((controller, found))
}
