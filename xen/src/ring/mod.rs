// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings of requests and responses in shared pages: the frontend's end, [`Ring`], and the backend's,
//! [`BackendRing`].
//!
//! Source: `xen/include/public/io/ring.h` (layout, indices, the order of writes, events) and
//! XSA-155 (copy once, then check the copy).
//!
//! # What a backend can do to us
//!
//! Nothing but stop answering. For each response the [`Ring`]
//!
//! - reads `rsp_prod` once, and only then the entries behind it;
//! - refuses more responses than there are unanswered requests ([`Violation`]), after which the
//!   ring is [poisoned](Ring::is_poisoned) and says the same for ever;
//! - copies the entry out once, so that it cannot change after it was checked.
//!
//! Our own indices are kept outside of the shared pages. What a response *says* - its id, status
//! and lengths - is for the driver to check, against what it asked for.
//!
//! # What a frontend can do to us
//!
//! Nothing but stop asking. The [`BackendRing`] reads `req_prod` once, refuses more unanswered requests than
//! the ring has entries for, and copies each request out once. What else is in the shared pages - its own
//! indices, a request that it has taken - it never reads again.
//!
//! # Events
//!
//! Each side says from which index on it wants an event. [`Ring::publish`] makes requests visible
//! and tells whether the backend wants one; [`Ring::request_event`] says that we want one after so many
//! more responses, and tells whether some came meanwhile. Both sides publish first and look then,
//! with a full barrier between, so that one of them sees the other's news. [`BackendRing::publish`] and
//! [`BackendRing::request_event`] do the same with responses and requests.
//!
//! # Examples
//!
//! ```
//! use xen::fake::{BackRing, FakeXen};
//! use xen::DomainId;
//! use xen::ring::Ring;
//! use xen_sys::io::netif::{netif_rx_request, netif_rx_response};
//!
//! let xen = FakeXen::new();
//! let table = xen.table();
//! let mut ring = Ring::new(&table, vec![xen.page()], DomainId(3), size_of::<netif_rx_request>())?;
//! let backend = BackRing::map(&xen.peer(DomainId(3)), &ring);
//!
//! ring.push(netif_rx_request { id: 5, pad: 0, gref: 9 })?;
//! assert!(ring.publish(), "the backend has read everything and wants to be told");
//!
//! let request: netif_rx_request = backend.request(0);
//! backend.respond(0, netif_rx_response { id: request.id, offset: 0, flags: 0, status: 60 });
//! backend.publish(1);
//!
//! let response: netif_rx_response = ring.pop()?.expect("a response");
//! assert_eq!((response.id, response.status), (5, 60));
//! assert_eq!(ring.request_event(1)?, 0, "nothing more came; an event tells of the next");
//!
//! // A backend that answers what nobody asked is found out.
//! backend.publish(7);
//! assert!(ring.pop::<netif_rx_response>().is_err());
//! assert!(ring.is_poisoned());
//! # drop(backend);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod back;
mod bytes;
mod entry;
mod error;
mod front;
#[cfg(all(test, loom))]
mod model;
mod slots;

/// The memory that a ring is in, and the barrier between accesses to it: those of the machine.
#[cfg(not(all(test, loom)))]
mod memory {
    pub(super) use core::sync::atomic::fence;

    pub(super) use super::slots::Slots;
}

/// Those of the model checker.
#[cfg(all(test, loom))]
mod memory {
    pub(super) use loom::sync::atomic::fence;

    pub(super) use super::model::Slots;
}

pub use back::BackendRing;
pub use bytes::{BadIndices, Taken};
pub(crate) use bytes::{Layout, Reader, Writer};
pub use entry::Entry;
pub use error::{Error, Violation};
pub use front::Ring;
#[cfg(any(test, feature = "fake"))]
pub(crate) use slots::Slots;
pub use slots::{NotMade, RingPage};

#[cfg(test)]
mod tests;
