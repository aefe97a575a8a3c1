// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks: interfaces that the toolstack gave or that the machine has, and a TCP/IP stack on each that
//! is asked for.
//!
//! The stack is `embassy-net` over smoltcp. Nothing is done about an interface before the
//! application asks for it.

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

pub use embassy_net;
pub use error::NetworkError;
pub use prism_drivers::net::Counters;
pub use prism_listener::{Buffers, Listener, Place, Usage};

use crate::app::Context;
use crate::devices;
use claim::Claim;

/// Time that a backend has to connect, or a card to be ready.
const CONNECTION: Duration = Duration::from_secs(10);
/// Time that a cable has to be found plugged in.
const CABLE: Duration = Duration::from_secs(10);
/// Time that the network has to give an address.
const ADDRESS: Duration = Duration::from_secs(30);
/// Time that a DHCP server has beyond that: a router may tell of IPv6 sooner, and of no DNS server.
const LEASE: Duration = Duration::from_secs(5);

/// Whether interfaces are attended to.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The stack on interface `index`, once it has an address.
pub(crate) async fn open(index: usize, context: &Context) -> Result<Stack<'static>, NetworkError> {
    let addressing = context.command_line().addressing(index).map_err(NetworkError::CommandLine)?;
    let bus = context.environment.services.network.chosen;
    if !BEGUN.swap(true, Ordering::AcqRel) {
        devices::spawn_network(bus, context.command_line())
            .inspect_err(|_| BEGUN.store(false, Ordering::Release))?;
    }
    let interface = interfaces::interface(index).await.ok_or(NetworkError::Absent)?;
    let mut claim = Claim::on(index)?;
    let stack = match claim.stack() {
        Some(stack) => stack,
        None => {
            let properties = with_timeout(CONNECTION, interface.connected());
            let properties = properties.await.map_err(|_| NetworkError::NoConnection)?;
            if bus == DeviceBus::Xenbus {
                devices::emulated::unplug_nics();
            }
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
        // Without one it is a network of IPv6.
        let _ = with_timeout(LEASE, lease).await;
    }
    log::info!("network {index}: {}", stack::summary(&interface, &stack));
    claim.hand_out();
    Ok(stack)
}

/// What has gone through interface `index` since boot; `None` if nobody asked for it.
pub fn counters(index: usize) -> Option<Counters> {
    Some(interfaces::get(index)?.counters())
}
