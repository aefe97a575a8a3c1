// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networking: interfaces of the toolstack or of NICs, and a TCP/IP stack on each that the application asks
//! for.
//!
//! The stack is `embassy-net` over smoltcp. An interface stays untouched until the application asks for one.

mod claim;
mod configure;
mod error;
pub(crate) mod interfaces;
mod stack;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_net::Stack;
use embassy_time::{Duration, Timer, with_timeout};
use prism_boot::command_line::Addressing;
use prism_boot::services::DeviceBus;

pub use crate::devices::netback::RoutedNetwork;
pub use embassy_net;
pub use error::NetworkError;
pub use prism_boot::command_line::INTERFACES;
use prism_drivers::net::Properties;
pub use prism_drivers::net::bridge::{Guest, Packet};
pub use prism_drivers::net::{Counters, GsoInfo, Hook};
pub use prism_listener::{Buffers, Listener, Slot, Usage};

use crate::app::Context;
use crate::devices;
use claim::Claim;
use interfaces::Interface;
pub(crate) use stack::summary;

/// Timeout for a backend to connect, or a NIC to be ready.
const CONNECTION: Duration = Duration::from_secs(10);
/// Timeout for the link.
const CABLE: Duration = Duration::from_secs(10);
/// Timeout for an address.
const ADDRESS: Duration = Duration::from_secs(30);
/// Further timeout for DHCP after the first address: a router may give an IPv6 address sooner, without a DNS
/// server.
const LEASE: Duration = Duration::from_secs(5);

/// Whether drivers of interfaces were spawned.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The stack on interface `index`, once it has an address.
pub(crate) async fn open(index: usize, context: &Context) -> Result<Stack<'static>, NetworkError> {
    let addressing = context.command_line().addressing(index).map_err(NetworkError::CommandLine)?;
    let interface = find(index, context).await?;
    let mut claim = Claim::on(index)?;
    let stack = match claim.stack() {
        Some(stack) => stack,
        None => {
            let properties = connected(&interface, context).await?;
            claim.keep(stack::start(Arc::clone(&interface), properties, &addressing).await?)
        }
    };
    with_timeout(CABLE, stack.wait_link_up()).await.map_err(|_| NetworkError::NoCable)?;
    with_timeout(ADDRESS, stack.wait_config_up()).await.map_err(|_| NetworkError::NoAddress)?;
    if addressing == Addressing::Dynamic {
        let lease = async {
            while stack.config_v4().is_none() {
                Timer::after_millis(20).await;
            }
        };
        // No lease: an IPv6-only network.
        let _ = with_timeout(LEASE, lease).await;
    }
    log::info!("network {index}: {}", stack::summary(&interface, &stack));
    claim.hand_out();
    Ok(stack)
}

/// An interface for a bridge in place of a stack, or for a router beside one.
pub(crate) struct Uplink {
    pub(crate) interface: Arc<Interface>,
    /// What its network takes, in bytes.
    pub(crate) mtu: usize,
}

/// Interface `index` for a bridge, for good. No stack is started on it.
pub(crate) async fn uplink(index: usize, context: &Context) -> Result<Uplink, NetworkError> {
    let interface = find(index, context).await?;
    let claim = Claim::on(index)?;
    if claim.stack().is_some() {
        return Err(NetworkError::Taken);
    }
    let mtu = connected(&interface, context).await?.mtu;
    claim.hand_out();
    log::info!("network {index}: bridged, MTU {mtu}");
    Ok(Uplink { interface, mtu })
}

/// Interface `index` beside its stack, which was handed out.
pub(crate) fn uplink_of_stack(index: usize) -> Result<Uplink, NetworkError> {
    let (Some(_), Some(interface)) = (opened(index), interfaces::get(index)) else {
        return Err(NetworkError::Absent);
    };
    let mtu = interface.properties().ok_or(NetworkError::NoConnection)?.mtu;
    log::info!("network {index}: routed, MTU {mtu}");
    Ok(Uplink { interface, mtu })
}

/// Interface `index`. Starts the drivers of all, at the first call.
async fn find(index: usize, context: &Context) -> Result<Arc<Interface>, NetworkError> {
    if !BEGUN.swap(true, Ordering::AcqRel) {
        devices::spawn_network(context.environment.services.network.chosen, context.command_line())
            .inspect_err(|_| BEGUN.store(false, Ordering::Release))?;
    }
    interfaces::interface(index).await.ok_or(NetworkError::Absent)
}

/// Waits until an interface works, and returns what is known of it.
async fn connected(interface: &Interface, context: &Context) -> Result<Properties, NetworkError> {
    let properties = with_timeout(CONNECTION, interface.connected());
    let properties = properties.await.map_err(|_| NetworkError::NoConnection)?;
    if context.environment.services.network.chosen == DeviceBus::Xenbus {
        devices::emulated::unplug_nics();
    }
    Ok(properties)
}

/// The stack on interface `index`, for those who did not open it: once the application has [opened
/// it](crate::Context::network), on the same vCPU.
pub fn opened(index: usize) -> Option<Stack<'static>> {
    claim::handed_out(index)
}

/// The interfaces that exist or did, each with its number. None is looked for.
pub(crate) fn known() -> impl Iterator<Item = (usize, Arc<Interface>)> {
    (0..INTERFACES).filter_map(|index| Some((index, interfaces::get(index)?)))
}

/// Traffic counters of interface `index`; `None` if it was never asked for.
pub fn counters(index: usize) -> Option<Counters> {
    Some(interfaces::get(index)?.counters())
}
