// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bridge (a switch) between guests and a network.
//!
//! ```text
//!   netback --- Port ---+
//!   netback --- Port ---+--- Bridge: Forwarding decides, each port has a queue
//!   network --- Port ---+
//! ```
//!
//! [`Packet`]s are sent to the [`Bridge`] through a [`Port`], and lie in the queues of others until they are
//! taken there. A port of a guest has the guest's address, and takes nothing from others; the addresses of a
//! network behind a port are learned ([`Forwarding`]). A queue has a bound: whoever does not take what it is
//! sent loses what comes after, and nobody else does. A guest that sends to a network faster than that takes
//! it is held back instead ([`Port::room`]): its requests wait in its own ring, where it sees that they are
//! not sent yet. Other guests' ports hold nobody back, as a guest could keep others from the network by that.
//!
//! | a guest | the bridge |
//! |---|---|
//! | sends from another address than its own | drops that |
//! | sends what is longer than its MTU, and is not TCP segments | drops that |
//! | sends wrong checksums, or TCP segments that are none | drops that ([`Packet::new`]) |
//! | takes nothing | keeps no more for it than fits the queue |
//! | joins more multicast groups than 64 | refuses those |
//! | sends to addresses that nobody has | sends that to the network only |

mod forwarding;
mod packet;
mod ports;
mod uplink;

pub use forwarding::{Forwarding, Mac, Reason, Source, Verdict};
pub use packet::{Checksum, Invalid, Packet};
pub(in crate::net) use ports::PATIENCE;
pub use ports::{Bridge, Guest, Port, Traffic};
pub use uplink::uplink;
