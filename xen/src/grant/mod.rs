// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grant tables: letting other domains into pages of ours, and using pages of theirs.
//!
//! Sources: `xen/include/public/grant_table.h` (entries, commands, the order of writes),
//! `xen/include/public/memory.h` (placing the table in HVM and PVH domains), and XSA-396 and
//! XSA-403 for what goes wrong.
//!
//! # Pages of ours
//!
//! A [`Table`] hands out references and stands behind a type for each state of a page:
//!
//! ```text
//!            grant              end, and nobody has it mapped
//!   P  ------------->  Granted  ----------------------------->  P
//!                         |
//!                         | end or drop, and the peer still has it mapped
//!                         v
//!                     quarantine  ---- retry_quarantine, later ---->  P is dropped
//! ```
//!
//! So a page is never used again under somebody's mapping, whatever the peer does, and a peer that
//! keeps pages costs exactly those pages. Granting and ending are a few stores and one
//! compare-and-exchange: no hypercall, unless the table has to grow.
//!
//! The table grows one frame of 4096 bytes at a time (512 entries in version 1, 256 in version 2)
//! up to the limit Xen gives. Then [`Error::Full`] is the answer, and [`Table::wait_for_free`]
//! waits for a reference, first come, first served. References 0 to 7 are Xen's and never handed out.
//!
//! Before it is granted, a page must not hold anything that the peer may not see (XSA-403): zero a
//! fresh one.
//!
//! A domain that was saved and restored has an empty table. [`Table::resume`] goes on with that one: pages
//! that were granted before are granted to nobody, and all of them come back as their grants end.
//!
//! # Pages of others
//!
//! Backends [`map`](foreign::map) what another domain granted, or have Xen [`copy`](copy::copy) it.
//!
//! # Examples
//!
//! ```
//! use xen::fake::FakeXen;
//! use xen::DomainId;
//! use xen::grant::{Error, ReadOnly};
//!
//! let xen = FakeXen::new();
//! let table = xen.table();
//! let backend = xen.peer(DomainId(3));
//!
//! let granted = table.try_grant::<ReadOnly>(xen.page(), DomainId(3))?;
//! granted.write(0, b"hello")?;
//!
//! // The backend, having read the reference from a ring, maps the page and forgets to unmap it.
//! let mapping = backend.map_to_read(granted.reference())?;
//! assert_eq!(mapping.read::<5>(0), *b"hello");
//! assert!(granted.end().is_err());
//! assert_eq!(table.report().quarantined, 1);
//!
//! // Later it does.
//! drop(mapping);
//! assert_eq!(table.retry_quarantine(), 1);
//! assert!(table.report().is_idle());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod addresses;
mod close;
pub mod copy;
mod entries;
mod error;
pub mod foreign;
mod granted;
mod operation;
mod report;
pub mod setup;
mod table;
mod waiting;

use core::fmt;
use core::num::NonZeroU32;

use xen_sys::grant_table::GTF_readonly;

pub use crate::page::{Frame, Memory, PAGE_SIZE, Page};
pub use addresses::Addresses;
pub use entries::Version;
pub use error::{Error, Result, Status};
pub use granted::{FreeRef, Granted, InUse, NotGranted};
pub use report::Report;
pub use table::Table;
pub use waiting::WaitForFree;

/// Index of an entry in a domain's grant table (`grant_ref_t`), and what a peer is told.
///
/// Never 0, which many peers take for "none" and Xen keeps for the console. References that a
/// [`Table`] hands out are 8 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(NonZeroU32);

impl Reference {
    /// The reference of this number, as a peer sent it; `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number, as it is put into rings and xenstore.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the peer may do with a page: [`ReadOnly`] or [`ReadWrite`].
pub trait Access: sealed::Sealed {
    /// `GTF_*` bits of an entry that grants this much.
    const FLAGS: u16;
    /// Whether the peer may only read.
    const READ_ONLY: bool = Self::FLAGS & GTF_readonly != 0;
}

/// The peer may read the page: enough for data that it is given.
#[derive(Debug)]
pub enum ReadOnly {}

/// The peer may read and write the page: needed for rings, for data that it gives, and for
/// persistent grants of block devices.
#[derive(Debug)]
pub enum ReadWrite {}

impl Access for ReadOnly {
    const FLAGS: u16 = GTF_readonly;
}

impl Access for ReadWrite {
    const FLAGS: u16 = 0;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::ReadWrite {}
}

#[cfg(test)]
mod tests;
