// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks: the frontend of `xen/include/public/io/blkif.h`.
//!
//! ```text
//!   submit --> PendingRequest --> Chunk, waiting --> InFlight, in the ring --> PendingRequest, finished
//!                 |                                   |          |
//!              a buffer                         granted pages  response
//! ```
//!
//! A [`Vbd`] is the disk. [`BlkFront`] is its driver: it connects the disk to a backend, and again when the
//! backend starts anew. A disk has a queue, with a ring and an event channel, for each vCPU, if the backend
//! has as many. Requests go over the queue of the vCPU that submits them, and [`Vbd::serve`] runs a worker
//! there. A request is cut into as many chunks as the backend needs. What a backend had not answered when it
//! left is sent to the next one, once the old one has let go of its pages, for which it has four seconds.
//!
//! While few requests are in flight, each response has an event. With many, a quarter of them shares an
//! event, and a timer polls for those that come slower than before.
//!
//! | file | what is in it |
//! |---|---|
//! | `frontend` | the handshake with the backend |
//! | `queue_worker` | the loop that works on one queue |
//! | `state` | requests and queues, behind the disk's lock |
//! | `ring_connection` | a ring, and the requests in it |
//! | `grant_pool` | pages granted to the backend |
//! | `features` | what the backend can do |
//! | `cache` | which writes are durable |
//!
//! # A backend that breaks the protocol
//!
//! | the backend | the frontend |
//! |---|---|
//! | sends responses to no request, repeats an id, or names another operation | the requests in flight fail with [`Broken`](crate::block::Error::Broken), and the backend is connected anew, twice at most |
//! | answers, and keeps a page mapped | as above; the page is never used again |
//! | leaves, and keeps pages mapped | their requests fail with [`Gone`](crate::block::Error::Gone); with the ring mapped, discards too |
//! | keeps pages of each connection, and leaves time and again | it is not connected to while its domain keeps more than 512 |
//! | looks at the pages of a read before it writes them | it finds zeros |
//! | leaves without a word, with answered writes that were not flushed | the next flush fails with [`Lost`](crate::block::Error::Lost), whether the next backend has a volatile cache or none |
//! | reports an unknown status | fails that request |
//! | does not know an operation that it offered | barriers for flushes; otherwise that request fails |
//! | describes an impossible disk | does not use the disk |
//! | never answers | waits; a request can be dropped, which disturbs no other |
//! | sends events without responses | waits longer and longer before it takes the next one |

mod cache;
mod coalescing;
mod disk;
mod error;
mod features;
mod frontend;
mod grant_pool;
mod name;
mod pending_request;
mod queue_worker;
mod ring_connection;
mod slab;
mod spread;
mod state;
mod wire;

pub use disk::Vbd;
pub use error::Error;
pub use features::is_empty_drive;
pub use frontend::BlkFront;
pub use spread::spread;
