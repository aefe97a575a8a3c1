// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore: the tree of small texts through which domains find each other's devices.
//!
//! `docs/misc/xenstore.txt` defines what can be asked, `docs/misc/xenstore-ring.txt` and
//! `xen/include/public/io/xs_wire.h` the page through which, `docs/misc/xenstore-paths.pandoc`
//! what is found there.
//!
//! # Use
//!
//! A [`Client`] is made from the page that Xen names. Its methods are asynchronous, and any number
//! of tasks on any vCPU may use it at once; the answers find their askers by number.
//!
//! ```
//! use xen::xenstore::{Client, fake};
//!
//! let xenstored = fake::Xenstored::new(fake::page());
//! xenstored.write("/local/domain/1/name", "guest");
//! let client = Client::new(xenstored.page());
//!
//! xenstored.run(&client, async {
//!     assert_eq!(client.read_str("name").await?, "guest");
//!
//!     let mut watch = client.watch("data/volume").await?;
//!     assert_eq!(watch.next().await?.path, "data/volume"); // the first event comes at once
//!     client.write("data/volume", "11").await?;
//!     assert_eq!(watch.next().await?.path, "data/volume");
//!
//!     let no_time = |_| core::future::ready(());
//!     let volume = client
//!         .transaction(&no_time, async |transaction| {
//!             let volume = transaction.value("data/volume").await?.integer(0..=11)? - 1;
//!             transaction.write("data/volume", volume.to_string()).await?;
//!             Ok::<_, xen::xenstore::Error>(volume)
//!         })
//!         .await?;
//!     assert_eq!(volume, 10);
//!     Ok::<_, xen::xenstore::Error>(())
//! })?;
//! # Ok::<(), xen::xenstore::Error>(())
//! ```
//!
//! The client knows no event channel and never waits for one: a task of the kernel calls
//! [`Client::pump`] when the page's port has an event and when there is something new to send.
//! Nor does it know the time: to set a time limit, race a request against a timer, and drop it.
//!
//! # An xenstored that breaks the protocol
//!
//! | xenstored | the client |
//! |---|---|
//! | answers an unknown id | drops the answer, and [counts](Counters) it |
//! | answers with another type | fails that request with [`Error::Protocol`] |
//! | sends an invalid answer | as above |
//! | never answers | keeps the request waiting, and no other |
//! | announces a message of more than 4096 bytes, or impossible indices | [disconnects](Error::Disconnected) |
//! | floods a watch | keeps [16 events](Watch), then one that stands for all |
//! | sends events of no watch | drops and counts them |
//! | puts anything into a [`Value`] | reports an error that shows it, when it is read as what it should be |
//!
//! # Parts
//!
//! ```text
//!    Client, Transaction --- Store --- Watch        what tasks call
//!                  \           |         /
//!                   Connection: a lock around State
//!                   /          |         \
//!        Calls (who waits)   Ring     Watches (what happened)
//!                              |
//!                        the shared page
//! ```
//!
//! Whatever the tasks do, xenstored has at most 16 requests of ours before it, of which 12 are those
//! of tasks; the others wait their turn. C xenstored stops reading at 20.

mod calls;
mod client;
mod connection;
mod directory;
mod error;
mod excerpt;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod path;
mod permissions;
mod refusal;
mod reply;
mod request;
pub mod ring;
mod state;
mod store;
mod transaction;
pub mod value;
mod watch;
mod watches;
pub mod wire;

pub use client::{Client, Counters, Pumped};
pub use error::{Disconnect, Error, Result};
pub use excerpt::Excerpt;
pub use permissions::{Access, Permission};
pub use refusal::Refusal;
pub use store::Store;
pub use transaction::Transaction;
pub use value::Value;
pub use watch::Watch;
pub use watches::Event;
