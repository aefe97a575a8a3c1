// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces: paravirtual ones by the frontend of `xen/include/public/io/netif.h`, and NICs.
//!
//! ```text
//!   network stack --- Port --- Interface --- NetFront --- xenbus, event channel
//!                                  |     or  serve    --- interrupt
//!                                  |
//!                          NetDevice: Queues --- QueuePair --- rings, granted pages
//!                                or a NIC's driver
//! ```
//!
//! The stack works on the rings itself, through a [`Port`]; what it does in one go is published
//! afterwards at once, by the task of [`NetFront`], which waits for the backend's events too, or that
//! of [`serve`], which waits for a NIC's interrupts. The [`Interface`] between them outlives devices
//! and backends.
//!
//! Segments of a TCP flow that the stack hands over together leave as one packet, where the backend takes
//! such (the module `train`). The stack makes several as one in the first place (the module `segmentation`).
//!
//! A backend that can is asked for packets of those multicast groups only that the stack listens to (the
//! module `groups`). Cards pass on all.
//!
//! Addresses that the stack cannot see to by itself are seen to on the way of its packets (the module
//! `config`).
//!
//! Packets are copied out of the pages that the other side can write before anything looks at them.
//! A backend that breaks the protocol is given up, and connected anew; a NIC is given up. What they
//! can do to us is to lose packets.

mod checksum;
mod config;
mod device;
pub mod e1000;
mod error;
mod fragments;
mod frame;
mod interface;
mod multicast;
pub mod netfront;
mod nic;
mod port;
mod properties;
mod registry;
pub mod rtl8139;
mod segment;
mod segmentation;
mod shim;
mod throttle;

pub use checksum::{Transport, fill_checksum, verify_checksum};
pub use config::{Due, Ipv6Config};
pub use device::NetDevice;
pub use error::{Error, ProtocolViolation};
pub use frame::{ETHERNET_HEADER, MAX_FRAME};
pub use interface::{Counters, Interface};
pub use multicast::Group;
pub use nic::serve;
pub(crate) use nic::{RESET_LIMIT, SILENT, properties};
pub use port::{Outgoing, Port, Received};
pub use properties::Properties;
pub use registry::Registry;
pub use shim::StackShim;
pub use throttle::Throttle;
