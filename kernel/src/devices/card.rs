// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network cards, driven by a task each.

use alloc::sync::Arc;

use log::{info, warn};
use prism_boot::services::DeviceBus;
use prism_drivers::pci::{self, Function};

use super::virtio;
use crate::exec;
use crate::network::interfaces::{self, Interface};
use crate::ports::CpuPorts;

/// What can be done with a card.
#[derive(Clone, Copy)]
enum Model {
    Virtio,
}

impl Model {
    /// That of a function; `None` if it is no card, or one that nobody here knows.
    fn of(function: &Function) -> Option<Self> {
        (function.is_virtio() && function.class >> 8 == 2).then_some(Self::Virtio)
    }

    /// Whether it is to be used where networks are reached by `bus`.
    fn is_for(self, bus: DeviceBus) -> bool {
        match self {
            Self::Virtio => bus != DeviceBus::Emulated,
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

async fn drive(model: Model, function: Function, interface: Arc<Interface>) {
    let place = function.place;
    match model {
        Model::Virtio => match virtio::open(&function) {
            Ok((transport, line)) => virtio::network::drive(place, transport, line, &interface).await,
            Err(error) => warn!("the network card at {place} is not driven: {error}"),
        },
    }
}
