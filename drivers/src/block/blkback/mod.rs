// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks for other domains: the backend of `xen/include/public/io/blkif.h`.
//!
//! ```text
//!   ring --> Parsed --> Transfer --> Prepared --> InFlight --> Finished --> response
//!                         |            |                           |
//!                    its segments  pages of ours            of a read: copied to
//!                    copied once   of a write: copied       the frontend's pages
//!                                  from the frontend's
//! ```
//!
//! [`BlkBack`] is the driver of one device: [`xen::xenbus::backend::run`] connects it to its frontend, time
//! and again. What it serves is an [`Export`], a [`Disk`](crate::block::Disk) of any kind or a part of one,
//! which [`Exports`] finds by the name in the toolstack's configuration.
//!
//! What is written is what was copied, whatever the frontend does to its pages meanwhile. Pages of a frontend
//! that keeps them granted (persistent grants) are mapped from their first use on, as far as there is room
//! for them, and data is copied from and to them here. All else is copied by Xen (`GNTTABOP_copy`), all of a
//! round's requests by one hypercall each way: the frontend can take such pages back at any time.
//!
//! | file | what is in it |
//! |---|---|
//! | `backend` | the handshake with the frontend |
//! | `keys` | what the frontend says of its rings |
//! | `parse` | requests, as they lie in the ring |
//! | `queue` | the loop that works on one ring |
//! | `persistent` | pages of the frontend's that stay mapped |
//! | `transfer` | segments, and copies of them |
//! | `export` | what is served |
//! | `spare` | pages of requests that are over, for those to come |
//! | `budget` | how much memory all frontends together may take |
//!
//! # A frontend that lies
//!
//! | the frontend | the backend |
//! |---|---|
//! | claims more requests than its ring has room for, or takes some back | closes the connection; serves the frontend again when that starts anew, after a rest |
//! | names an operation that was not offered | answers `BLKIF_RSP_EOPNOTSUPP` |
//! | asks for sectors beyond the disk, for parts of sectors, for none or too many segments, for segments beyond their page, or to write what can only be read | answers `BLKIF_RSP_ERROR` |
//! | names a page that is not granted, only for reading, or not any more | answers `BLKIF_RSP_ERROR` |
//! | changes requests, segments or data while they are served | has what was copied done |
//! | uses an id twice | answers each of them with it |
//! | writes keys that make no sense | does not connect, and says why in xenstore |
//! | sends more than is served | has to wait; a device takes so many requests at a time, and no more memory than the budget of all |
//! | takes no responses | the ring fills, and nothing happens any more |
//! | sends events without requests | waits longer and longer before it takes the next one |
//! | takes back a page that it said it would keep granted | goes on with that page, which Xen keeps as long as it is mapped |
//! | vanishes | lets what the disk has end, and unmaps its pages |

mod backend;
mod budget;
mod error;
mod export;
mod keys;
mod parse;
mod persistent;
mod queue;
mod spare;
mod transfer;

pub use backend::BlkBack;
pub use budget::Budget;
pub use error::Error;
pub use export::{Export, Exports};
