// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual network interfaces: the frontend of `xen/include/public/io/netif.h`.
//!
//! ```text
//!   network stack --- Port --- Interface --- NetFront --- xenbus, event channel
//!                                  |
//!                                 Link: Receiver, Transmitter --- rings, granted pages
//! ```
//!
//! The stack works on the rings itself, through a [`Port`]; what it does in one go is published
//! afterwards at once, by the task of [`NetFront`], which waits for the backend's events too. The
//! [`Interface`] between them outlives devices and backends.
//!
//! Packets are copied out of the pages that the backend can write before anything looks at them.
//! A backend that breaks the protocol is given up, and connected anew; what it can do to us is to
//! lose packets.

mod channels;
mod checksum;
mod error;
mod frontend;
mod interface;
mod link;
mod offer;
pub mod packet;
mod port;
mod receive;
mod transmit;

pub use checksum::{ETHERNET_HEADER, Transport};
pub use error::Error;
pub use frontend::NetFront;
pub use interface::{Counters, Interface};
pub use link::{Events, Link, Pages};
pub use offer::{Offer, Properties};
pub use port::{Outgoing, Port, Received};
