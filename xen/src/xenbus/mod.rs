// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake of paravirtual devices: how a frontend and a backend find and leave each other.
//!
//! Each side has a directory in xenstore and writes its [`State`] there
//! (`xen/include/public/io/xenbus.h`); the order is that of the state diagrams in `io/blkif.h` and
//! of the comments in `io/netif.h`.
//!
//! - [`Handshake`] is the frontend's half as a pure state machine: events in, actions out.
//! - [`Device`] is one device's pair of directories; [`Bus`] tells which there are of a class.
//! - [`run`] puts them together with a [`Client`](crate::xenstore::Client): a driver implements
//!   [`Frontend`], four steps and an I/O loop, and knows nothing of states.
//! - [`wait_for_restart`] waits until a device that was left begins again.
//!
//! [`backend`] has the same for the other half.
//!
//! The backend is not trusted: whatever it writes as its state, and whenever, no step is skipped
//! or done twice, and no wait is longer than the limit that the caller gives, which begins anew up to
//! thirty times while other backends get on ([`StepLimit`]). Which domain it is, and where its directory
//! lies, is read from the frontend's directory, which the backend cannot write.
//!
//! # Use
//!
//! A keyboard (`io/kbdif.h`) that is connected, used and given up, and its backend:
//!
//! ```
//! use core::future::pending;
//! use core::time::Duration;
//! use futures::future::join;
//! use xen::xenbus::{Device, Ended, Frontend, StepLimit, run};
//! use xen::xenstore::{Client, Error, fake};
//!
//! struct Keyboard;
//!
//! impl Frontend for Keyboard {
//!     type Error = Error;
//!
//!     async fn publish(&mut self, device: &Device) -> Result<(), Error> {
//!         device.write("page-gref", "8").await // of a page that was granted to device.backend_id()
//!     }
//!
//!     async fn connect(&mut self, device: &Device) -> Result<(), Error> {
//!         if let Some(width) = device.read("width").await? {
//!             width.integer(1..=65535)?;
//!         }
//!         Ok(())
//!     }
//!
//!     async fn serve(&mut self) -> Result<(), Error> {
//!         Ok(()) // typed enough
//!     }
//!
//!     fn stop(&mut self) {}
//!
//!     async fn release(&mut self) {} // ends the grant
//!
//!     fn abandon(&mut self) {}
//! }
//!
//! const FRONTEND: &str = "/local/domain/1/device/vkbd/0";
//! const BACKEND: &str = "/local/domain/3/backend/vkbd/1/0";
//!
//! let xenstored = fake::Xenstored::new(fake::page());
//! let client = Client::new(xenstored.page());
//! # let write = |path: String, value: &str| xenstored.write(&path, value);
//! write(format!("{FRONTEND}/backend"), BACKEND);
//! write(format!("{FRONTEND}/backend-id"), "3");
//! write(format!("{FRONTEND}/state"), "1"); // Initialising
//! write(format!("{BACKEND}/state"), "2"); // InitWait
//! # xenstored.give(&format!("{FRONTEND}/state"), 1);
//!
//! let driver = async {
//!     let device = Device::open(&client, FRONTEND).await?;
//!     let no_limit = |_| pending::<()>();
//!     let limit = StepLimit::new(Duration::from_secs(10));
//!     Ok::<_, Error>(run(&device, &mut Keyboard, &no_limit, &limit).await)
//! };
//! let backend = async {
//!     let mut watch = client.watch(&format!("{FRONTEND}/state")).await?;
//!     loop {
//!         watch.next().await?;
//!         match xenstored.read(&format!("{FRONTEND}/state")).as_deref() {
//!             Some(b"3") => write(format!("{BACKEND}/state"), "4"), // Initialised: Connected
//!             Some(b"6") => break write(format!("{BACKEND}/state"), "6"), // Closed: Closed
//!             _ => {}
//!         }
//!     }
//!     Ok::<(), Error>(())
//! };
//! let (ended, served) = xenstored.run(&client, join(driver, backend));
//! served?;
//! assert_eq!(ended?, Ended::Stopped);
//! # Ok::<(), Error>(())
//! ```

pub mod backend;
mod bus;
mod device;
mod handshake;
mod limit;
mod restart;
mod run;
mod state;

pub use bus::Bus;
pub use device::Device;
pub use handshake::{Action, Event, Handshake, Phase};
pub use limit::StepLimit;
pub use restart::wait_for_restart;
pub use run::{Ended, Failure, Frontend, run};
pub use state::State;
