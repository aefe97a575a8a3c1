// SPDX-License-Identifier: MIT OR Apache-2.0
//! NICs of a PC. One task drives each.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU16, Ordering};

use log::{info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::net::{self, Error, NetDevice, Properties};
use prism_drivers::net::{e1000, rtl8139};
use prism_drivers::pci::intx;
use prism_drivers::pci::{Configuration, Function};
use prism_drivers::supported::Known;
use prism_drivers::virtio::Kind;

use super::{pci_functions, virtio};
use crate::irq::Irq;
use crate::memory::dma::Pages;
use crate::memory::registers;
use crate::network::interfaces::{self, Interface};
use crate::ports::CpuPorts;
use crate::task::executor;

/// A supported NIC.
enum Nic {
    Virtio(virtio::Device),
    E1000(Function),
    Rtl8139(Function),
}

impl Nic {
    /// The NIC behind a PCI function; `None` for other devices and unsupported NICs.
    fn of(function: Function) -> Option<Self> {
        match Known::of(&function)? {
            Known::Virtio(Kind::Network) => Some(Self::Virtio(virtio::Device::OnPci(function))),
            Known::E1000 => Some(Self::E1000(function)),
            Known::Rtl8139 => Some(Self::Rtl8139(function)),
            _ => None,
        }
    }

    /// Whether to use it where `bus` was chosen for networks.
    fn is_for(&self, bus: DeviceBus) -> bool {
        match self {
            Self::Virtio(_) => bus != DeviceBus::Emulated,
            Self::E1000(_) | Self::Rtl8139(_) => true,
        }
    }
}

/// Its address.
impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtio(device) => device.fmt(f),
            Self::E1000(function) | Self::Rtl8139(function) => function.address.fmt(f),
        }
    }
}

/// Finds all NICs, and spawns their tasks. Not for PV domains, which have no ports.
pub(crate) fn spawn_all(bus: DeviceBus) {
    let on_pci = pci_functions::all().filter_map(Nic::of);
    let all = on_pci.chain(virtio::nics_in_memory().map(Nic::Virtio));
    for nic in all.filter(|nic| nic.is_for(bus)) {
        let address = nic.to_string();
        let Some(interface) = interfaces::add_nic() else {
            info!("NIC at {address} not used: too many interfaces");
            continue;
        };
        if start(nic, interface).is_err() {
            warn!("NIC at {address} not used: out of memory");
        }
    }
}

/// Spawns the task of a NIC. Not inlined, as the task is large: the caller, an application that waits for its
/// network, would keep that much stack.
#[inline(never)]
fn start(nic: Nic, interface: Arc<Interface>) -> Result<(), executor::SpawnError> {
    executor::spawn(drive(nic, interface))
}

/// Drives a NIC until it fails.
async fn drive(nic: Nic, interface: Arc<Interface>) {
    let ended = match &nic {
        Nic::Virtio(device) => virtio::network::drive(device, &interface).await,
        Nic::E1000(function) => drive_e1000(function, &interface).await,
        Nic::Rtl8139(function) => drive_rtl8139(function, &interface).await,
    };
    match ended {
        Ended::NotDriven(reason) => warn!("NIC at {nic} not used: {reason}"),
        Ended::Failed(error) => warn!("NIC at {nic} disabled: {error}"),
    }
}

/// Why a NIC is not used, or no more.
pub(super) enum Ended {
    NotDriven(String),
    Failed(Error),
}

impl Ended {
    pub(super) fn not_driven(reason: impl fmt::Display) -> Self {
        Self::NotDriven(reason.to_string())
    }
}

/// Where to place ports that firmware has not placed: where Xen's firmware would.
static FREE_PORTS: AtomicU16 = AtomicU16::new(0xc100);

async fn drive_e1000(function: &Function, interface: &Interface) -> Ended {
    let registers = registers::of_function(function, 0, e1000::LENGTH);
    let registers = match registers {
        Ok(registers) => registers,
        Err(error) => return Ended::not_driven(error),
    };
    let open = async |memory, line: &Irq| e1000::Nic::open(registers, memory, line).await;
    serve(function, interface, "e1000", e1000::MEMORY, open).await
}

async fn drive_rtl8139(function: &Function, interface: &Interface) -> Ended {
    let configuration = Configuration::new(&CpuPorts, function.address);
    let free = FREE_PORTS.fetch_add(rtl8139::LENGTH, Ordering::Relaxed);
    let base = configuration.ports(0, free);
    configuration.switch_on();
    let Some(base) = base else { return Ended::not_driven("it has no ports") };
    let open = async |memory, line: &Irq| rtl8139::Nic::open(CpuPorts, base, memory, line).await;
    serve(function, interface, "rtl8139", rtl8139::MEMORY, open).await
}

/// Routes the NIC's interrupt, allocates `memory` bytes for it, has `open` bring it up, and drives it.
async fn serve<C: NetDevice + 'static>(
    function: &Function,
    interface: &Interface,
    name: &str,
    memory: usize,
    open: impl AsyncFnOnce(Pages, &Irq) -> Result<(C, Properties), Error>,
) -> Ended {
    let line = intx::line(&CpuPorts, function).and_then(Irq::of_function);
    let Some(line) = line else { return Ended::not_driven("firmware gave it no interrupt line") };
    let Some(memory) = Pages::new(memory) else { return Ended::not_driven(Error::NoMemory) };
    match open(memory, &line).await {
        Ok((nic, properties)) => {
            info!("NIC at {}: {name}", function.address);
            Ended::Failed(net::serve(interface, nic, properties, &line).await)
        }
        Err(error) => Ended::not_driven(error),
    }
}
