// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks: interfaces that the toolstack gave, and a TCP/IP stack on each that is asked for.
//!
//! The stack is `embassy-net` over smoltcp. Nothing is done about an interface before the
//! application asks for it.

mod class;
mod error;
mod listen;
mod stack;

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_net::Stack;
use embassy_time::{Duration, with_timeout};
use prism_boot::CommandLine;
use prism_boot::command_line::INTERFACES;

pub use embassy_net;
pub use error::NetworkError;
pub use listen::{Buffers, serve};
pub use prism_drivers::net::Counters;

use class::Interfaces;

use crate::devices::{XenPlatform, attend};
use crate::{exec, store};

/// Time that the backend has to connect.
const CONNECTION: Duration = Duration::from_secs(10);
/// Time that the network has to give an address.
const ADDRESS: Duration = Duration::from_secs(30);

static INTERFACES_FOUND: Interfaces = Interfaces::new();

/// Whether an interface's stack has been handed out.
static TAKEN: [AtomicBool; INTERFACES] = [const { AtomicBool::new(false) }; INTERFACES];

/// The stack on interface `index`, once it has an address.
pub(crate) async fn open(index: usize, line: &'static CommandLine) -> Result<Stack<'static>, NetworkError> {
    let addressing = line.addressing(index).map_err(NetworkError::CommandLine)?;
    let store = store::client().ok_or(NetworkError::NoXenstore)?;
    let platform = XenPlatform::get().ok_or(NetworkError::NoXenstore)?;
    let taken = TAKEN.get(index).ok_or(NetworkError::Absent)?;
    if INTERFACES_FOUND.begin(platform) {
        exec::spawn(attend(&INTERFACES_FOUND, store)).map_err(|_| NetworkError::Busy)?;
    }
    let interface = INTERFACES_FOUND.interface(index).await.ok_or(NetworkError::Absent)?;
    if taken.swap(true, Ordering::AcqRel) {
        return Err(NetworkError::Taken);
    }
    let properties = with_timeout(CONNECTION, interface.connected());
    let properties = properties.await.map_err(|_| NetworkError::NoBackend)?;
    let stack = stack::start(interface, properties, &addressing)?;
    let up = async {
        stack.wait_link_up().await;
        stack.wait_config_up().await;
    };
    with_timeout(ADDRESS, up).await.map_err(|_| NetworkError::NoAddress)?;
    log::info!("network {index}: {}", stack::summary(&stack));
    Ok(stack)
}

/// What has gone through interface `index` since boot; `None` if nobody asked for it.
pub fn counters(index: usize) -> Option<Counters> {
    Some(INTERFACES_FOUND.get(index)?.counters())
}
