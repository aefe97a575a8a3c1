// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network interfaces for other domains: the backend of `xen/include/public/io/netif.h`.
//!
//! ```text
//!   NetBack --- xenbus: the handshake
//!      |
//!    Queues -- Transmitter: the ring through which the frontend transmits  ---> Port ---> Bridge
//!      |
//!      +------ Receiver: the ring through which it receives  <--- Port <--- Bridge
//! ```
//!
//! [`NetBack`] is the driver of one device: [`xen::xenbus::backend::run`] connects it to its frontend, time
//! and again. What the frontend sends goes to a [`Bridge`](super::bridge::Bridge), and what is for it comes
//! from there.
//!
//! Packets are copied by Xen (`GNTTABOP_copy`), all of a round by one hypercall each way, to where they stay
//! and from there: between two frontends nobody else copies them. No page of a frontend's is mapped but those
//! of its rings.
//!
//! Inside of this domain a packet lies in memory that nobody else has, and its checksum is right or blank
//! ([`Packet`](super::bridge::Packet)). A frontend that takes no blank checksums, or no packets of several
//! TCP segments, gets them filled in, and divided.
//!
//! | file | what is in it |
//! |---|---|
//! | `backend` | the handshake with the frontend |
//! | `keys` | what the frontend says of its rings, and what we offer |
//! | `parse` | requests to transmit, as they lie in the ring |
//! | `transmit`, `receive` | the two rings, named as the frontend sees them |
//! | `queue` | the loop that works on both; each queue of an interface has one |
//!
//! # A frontend that lies
//!
//! | the frontend | the backend |
//! |---|---|
//! | claims more requests than a ring has room for, or takes some back; publishes a part of a packet | closes the connection; serves the frontend again when that starts anew, after a rest |
//! | sends parts beyond their pages, more or less than it tells, too many, or unknown extra information | answers `NETIF_RSP_ERROR` to all of them |
//! | names a page that is not granted, only for reading, or not any more | answers `NETIF_RSP_ERROR` |
//! | sends wrong checksums, or TCP segments that are none | answers `NETIF_RSP_ERROR` |
//! | joins more than 64 multicast groups, or an address that is none; names two groups at once, or beside a packet | answers `NETIF_RSP_ERROR` |
//! | changes requests or data while they are served | sends what was copied |
//! | sends from another address than the toolstack gave it | drops that ([`bridge`](super::bridge)) |
//! | writes keys that make no sense | does not connect, and says why in xenstore |
//! | posts no pages to receive into | keeps no more for it than fits its queue |
//! | sends faster than the network takes | leaves its requests in the ring, until the network has taken some |
//! | takes no responses | the ring fills, and nothing happens any more |
//! | sends events without requests | waits longer and longer before it takes the next one |
//! | vanishes | unmaps the rings |

mod backend;
mod error;
mod keys;
mod parse;
mod queue;
mod receive;
mod transmit;

pub use backend::NetBack;
pub use error::Error;
