// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks: the frontend of `xen/include/public/io/blkif.h`.
//!
//! ```text
//!   submit --> Job --> Piece, waiting --> Flight: a request in the ring --> Job, finished
//!               |                             |          |
//!            a buffer                       pages      answer
//! ```
//!
//! A [`Vbd`] is the disk, [`Front`] its driver, which connects it to a backend, and again when the
//! backend starts anew. A disk has a queue, with a ring and an event channel, for each vCPU if the
//! backend has as many; requests go over that of the vCPU that asks, and [`Vbd::serve`] runs there. A
//! request is cut into as many pieces as the backend needs. What a backend had not answered when it left is
//! asked again of the next one, but not before the old one has let go of its pages; it gets four seconds.
//!
//! While few requests are on their way, each answer has an event; of many, a quarter shares one, and a
//! timer looks after what comes slower than before.
//!
//! # Against a backend that lies
//!
//! | it | then |
//! |---|---|
//! | claims answers that nobody asked for, repeats an id, or answers another operation | the requests on their way fail with [`Broken`](crate::block::Error::Broken), and it is connected anew, twice at most |
//! | answers, and keeps a page mapped | as above; the page is never used again |
//! | leaves, and keeps pages mapped | their requests fail with [`Gone`](crate::block::Error::Gone); with the ring mapped, discards too |
//! | keeps pages of each connection, and leaves time and again | it is not connected to while its domain keeps more than 512 |
//! | looks at the pages of a read before it writes them | it finds zeros |
//! | leaves without a word, with answered writes that were not flushed | the next flush fails with [`Lost`](crate::block::Error::Lost), whether the next backend has a volatile cache or none |
//! | reports an unknown status | that request fails |
//! | does not know an operation that it offered | barriers for flushes; otherwise that request fails |
//! | describes a disk that cannot be | the disk is not used |
//! | never answers | whoever waits may drop the request, and disturbs nobody else |
//! | sends events without answers | it is listened to less and less often |

mod cache;
mod disk;
mod error;
mod front;
mod job;
mod lender;
mod link;
mod name;
mod offer;
mod pace;
mod server;
mod slab;
mod spread;
mod state;
mod wire;

pub use disk::Vbd;
pub use error::Error;
pub use front::Front;
pub use spread::spread;
