// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's half of the handshake: for a domain that serves devices to others (a driver domain).
//!
//! - [`Bus`] tells which devices there are: directories `backend/<class>/<domain>/<number>` that the
//!   toolstack makes in this domain's home, where the guest's configuration names this domain (`backend=`).
//! - [`Device`] is one device's pair of directories.
//! - [`Handshake`] is the backend's half as a pure state machine: events in, actions out.
//! - [`run`] puts them together with a [`Client`](crate::xenstore::Client): a driver implements [`Backend`],
//!   and knows nothing of states.
//!
//! The frontend is not trusted: whatever it writes as its state, and whenever, nothing is mapped twice, and
//! nothing stays mapped when it has let go. One that connects again and again is given rests that double up
//! to ten seconds. Which domain it is, and where its directory lies, is read from our own directory, which it
//! cannot write.
//!
//! The toolstack removes a device by `online` = 0. The frontend then has until the limit to write what it
//! has left; in any case our state ends as Closed, and our directory is removed, as `libxl` waits for both
//! (`device_backend_callback`, `device_destroy_be_watch_cb` of `tools/libs/light/libxl_device.c`). Neither
//! hotplug scripts nor `xl devd` are needed.

mod bus;
mod device;
mod handshake;
mod run;

pub use bus::{Bus, Devices, Id};
pub use device::{Device, Nodes};
pub use handshake::{Action, Event, Handshake, Phase};
pub use run::{Backend, Ended, Failure, Served, run};
