// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces: paravirtual ones by the frontend of `xen/include/public/io/netif.h`, and cards.
//!
//! ```text
//!   network stack --- Port --- Interface --- NetFront --- xenbus, event channel
//!                                  |     or  serve    --- interrupt
//!                                  |
//!                          Wire: Queues --- Link --- rings, granted pages
//!                                or a card's driver
//! ```
//!
//! The stack works on the rings itself, through a [`Port`]; what it does in one go is published
//! afterwards at once, by the task of [`NetFront`], which waits for the backend's events too, or that
//! of [`serve`], which waits for a card's interrupts. The [`Interface`] between them outlives devices
//! and backends.
//!
//! Segments of a TCP flow that the stack hands over together leave as one packet, where the backend takes
//! such (the module `train`). The stack makes several as one in the first place (the module `oversize`).
//!
//! A backend that can is asked for packets of those multicast groups only that the stack listens to (the
//! module `groups`). Cards pass on all.
//!
//! Addresses that the stack cannot see to by itself are seen to on the way of its packets (the module
//! `config`).
//!
//! Packets are copied out of the pages that the other side can write before anything looks at them.
//! A backend that breaks the protocol is given up, and connected anew; a card is given up. What they
//! can do to us is to lose packets.

mod card;
mod channels;
mod checksum;
mod config;
mod discard;
mod error;
mod fragments;
mod frontend;
mod groups;
mod guard;
mod interface;
mod link;
mod offer;
mod oversize;
mod pace;
pub mod packet;
mod port;
mod queue;
mod receive;
mod slots;
mod throttle;
mod train;
mod transmit;
mod wire;

pub use card::serve;
pub(crate) use card::{RESET_LIMIT, SILENT, properties};
pub use checksum::{ETHERNET_HEADER, Transport, fill, is_right};
pub use config::{Due, Ipv6Config};
pub use error::Error;
pub use frontend::NetFront;
pub use groups::Group;
pub use guard::Guard;
pub use interface::{Counters, Interface};
pub use link::{Events, Link, Pages};
pub use offer::{Offer, Properties};
pub use port::{Outgoing, Port, Received};
pub use slots::Slots;
pub use throttle::Throttle;
pub use wire::Wire;
