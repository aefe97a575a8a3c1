// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces: paravirtual ones ([`netfront`]), and NICs ([`e1000`], [`rtl8139`], and
//! [`virtio`](crate::virtio::network)); and those of other domains ([`netback`]), with a [`bridge`] between.
//!
//! ```text
//!   network stack --- StackPort --- Interface --- NetFront --- xenbus, event channel
//!                                       |     or  serve    --- interrupt
//!                                       |
//!                               NetDevice: netfront's queues: rings, granted pages
//!                                       or a NIC's driver
//! ```
//!
//! The stack works on the device itself, through a [`StackPort`]. The task of
//! [`NetFront`](netfront::NetFront), or of [`serve`] for a NIC, publishes afterwards what the stack did in
//! one go, and waits for the other side. The [`Interface`] between them outlives devices and backends.
//!
//! | module | what it does between stack and network |
//! |---|---|
//! | `segmentation` | has the stack make several TCP segments as one, and divides what is too long for the network |
//! | `netfront::gso` | has segments of one flow leave as one packet, where the backend takes such |
//! | `multicast` | learns the groups that the stack listens to (IGMP and MLD snooping) |
//! | `config` | configures addresses that the stack cannot see to by itself |
//! | `shim` | hardens the stack: unforeseeable numbers, path MTU discovery, congestion control |
//! | `throttle` | slows down a stack that polls for nothing |
//!
//! Packets are copied out of shared pages before anything looks at them. A backend that breaks the protocol
//! is disconnected, and connected anew; a NIC that does is disabled. All that they can do to us is to lose
//! packets.

pub mod bridge;
mod channels;
mod checksum;
mod config;
mod device;
pub mod e1000;
mod error;
mod fragments;
mod frame;
mod gso;
mod hook;
mod interface;
mod multicast;
pub mod netback;
pub mod netfront;
mod nic;
mod properties;
mod registry;
pub mod rtl8139;
#[cfg(test)]
pub(crate) mod samples;
mod segment;
mod segmentation;
mod shim;
mod stack_port;
mod throttle;

pub use checksum::{Transport, fill_checksum, verify_checksum};
pub use config::{Due, Ipv6Config};
pub use device::NetDevice;
pub use error::{Error, ProtocolViolation};
pub use frame::{ETHERNET_HEADER, MAX_FRAME};
pub use gso::GsoInfo;
pub use hook::Hook;
pub use interface::{Counters, Interface};
pub use multicast::Group;
pub use nic::serve;
pub(crate) use nic::{RESET_TIMEOUT, SILENT, properties};
pub use properties::Properties;
pub use registry::Registry;
pub use shim::StackShim;
pub use stack_port::{Outgoing, Received, StackPort};
pub use throttle::Throttle;
