// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake of paravirtual devices: how a frontend and a backend find and leave each other.
//!
//! Each side has a directory in xenstore and writes its [`State`] there
//! (`xen/include/public/io/xenbus.h`); the order is that of the state diagrams in `io/blkif.h` and
//! of the comments in `io/netif.h`.
//!
//! - [`Machine`] is the frontend's half as a pure state machine: events in, actions out.
//! - [`Device`] is one device's pair of directories.
//! - [`run`] puts them together with a [`Client`](crate::xenstore::Client): a driver implements
//!   [`Frontend`], four steps and an I/O loop, and knows nothing of states.
//!
//! The backend is not trusted: whatever it writes as its state, and whenever, no step is skipped
//! or done twice, and no wait is longer than the limit that the caller gives. Which domain it is,
//! and where its directory lies, is read from the frontend's directory, which the backend cannot
//! write.

mod device;
mod machine;
mod run;
mod state;

pub use device::Device;
pub use machine::{Action, Event, Machine, Phase};
pub use run::{Ended, Failure, Frontend, run};
pub use state::State;
