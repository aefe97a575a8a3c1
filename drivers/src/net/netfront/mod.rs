// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual network interfaces: the frontend of `xen/include/public/io/netif.h`.
//!
//! ```text
//!   NetFront --- xenbus: the handshake
//!      |
//!   Queues --- Queue --- QueuePair --- Receiver: a ring, pages to receive into
//!                |           |
//!             Channels       +-------- Transmitter: a ring, pages to transmit from
//! ```
//!
//! [`NetFront`] connects an [`Interface`](super::Interface) to a backend, and again when the backend starts
//! anew. A backend that breaks the protocol is left, and connected anew; what it can do to us is to lose
//! packets.

mod coalescing;
mod features;
mod frontend;
mod gso;
pub mod packet;
mod queue_pair;
mod queues;
mod receive;
mod transmit;

pub use super::channels::Events;
pub use features::BackendFeatures;
pub use frontend::NetFront;
pub use queue_pair::{QueuePair, RingPages};
