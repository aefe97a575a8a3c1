// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network cards, driven by a task each.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU16, Ordering};

use log::{info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::net::{self, Error, Properties, Wire};
use prism_drivers::pci::{self, Configuration, Function};
use prism_drivers::{e1000, intx, rtl8139};

use super::virtio;
use crate::dma::Pages;
use crate::line::Line;
use crate::network::interfaces::{self, Interface};
use crate::ports::CpuPorts;
use crate::{exec, registers};

/// What can be done with a card.
#[derive(Clone, Copy)]
enum Model {
    Virtio,
    E1000,
    Rtl8139,
}

impl Model {
    /// That of a function; `None` if it is no card, or one that nobody here knows.
    fn of(function: &Function) -> Option<Self> {
        match function {
            _ if function.class >> 8 != 2 => None,
            _ if function.is_virtio() => Some(Self::Virtio),
            _ if e1000::is_one(function) => Some(Self::E1000),
            _ if rtl8139::is_one(function) => Some(Self::Rtl8139),
            _ => None,
        }
    }

    /// Whether it is to be used where networks are reached by `bus`.
    fn is_for(self, bus: DeviceBus) -> bool {
        match self {
            Self::Virtio => bus != DeviceBus::Emulated,
            Self::E1000 | Self::Rtl8139 => true,
        }
    }
}

/// Finds and drives all network cards. Not for PV domains, which have no ports.
pub(crate) fn begin(bus: DeviceBus) {
    for function in pci::functions(&CpuPorts) {
        let Some(model) = Model::of(&function).filter(|model| model.is_for(bus)) else { continue };
        let Some(interface) = interfaces::add_card() else {
            info!("the network card at {} is not used: there are too many interfaces", function.place);
            continue;
        };
        if exec::spawn(drive(model, function, interface)).is_err() {
            warn!("the network card at {} is not driven: too many tasks run", function.place);
        }
    }
}

/// Drives a card, until it fails.
async fn drive(model: Model, function: Function, interface: Arc<Interface>) {
    let place = function.place;
    let ended = match model {
        Model::Virtio => virtio::network::drive(&function, &interface).await,
        Model::E1000 => drive_e1000(&function, &interface).await,
        Model::Rtl8139 => drive_rtl8139(&function, &interface).await,
    };
    match ended {
        Ended::NotDriven(reason) => warn!("the network card at {place} is not driven: {reason}"),
        Ended::Failed(error) => warn!("the network card at {place} is given up: {error}"),
    }
}

/// Why a card is not driven, or no more.
pub(super) enum Ended {
    NotDriven(String),
    Failed(Error),
}

impl Ended {
    pub(super) fn not_driven(reason: impl fmt::Display) -> Self {
        Self::NotDriven(reason.to_string())
    }
}

/// Where ports are placed if nobody has: where firmware puts them in Xen's domains.
static FREE_PORTS: AtomicU16 = AtomicU16::new(0xc100);

async fn drive_e1000(function: &Function, interface: &Interface) -> Ended {
    let registers = registers::of_function(function, 0, e1000::LENGTH);
    let Some(registers) = registers else { return Ended::not_driven("its registers cannot be mapped") };
    let open = async |memory, line: &Line| e1000::Card::open(registers, memory, line).await;
    serve(function, interface, "e1000", e1000::MEMORY, open).await
}

async fn drive_rtl8139(function: &Function, interface: &Interface) -> Ended {
    let configuration = Configuration::new(&CpuPorts, function.place);
    let free = FREE_PORTS.fetch_add(rtl8139::LENGTH, Ordering::Relaxed);
    let base = configuration.ports(0, free);
    configuration.switch_on();
    let Some(base) = base else { return Ended::not_driven("it has no ports") };
    let open = async |memory, line: &Line| rtl8139::Card::open(CpuPorts, base, memory, line).await;
    serve(function, interface, "rtl8139", rtl8139::MEMORY, open).await
}

/// Has `open` bring up a card that is reached now, with its interrupts and so many bytes of memory, and
/// drives it.
async fn serve<C: Wire + 'static>(
    function: &Function,
    interface: &Interface,
    name: &str,
    memory: usize,
    open: impl AsyncFnOnce(Pages, &Line) -> Result<(C, Properties), Error>,
) -> Ended {
    let line = intx::line(&CpuPorts, function).and_then(Line::open);
    let Some(line) = line else { return Ended::not_driven("firmware gave it no interrupt line") };
    let Some(memory) = Pages::new(memory) else { return Ended::not_driven(Error::NoMemory) };
    match open(memory, &line).await {
        Ok((card, properties)) => {
            info!("network card at {}: {name}", function.place);
            Ended::Failed(net::serve(interface, card, properties, &line).await)
        }
        Err(error) => Ended::not_driven(error),
    }
}
