// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a connection to a block backend failed.

use core::fmt;

use xen::ring::{NotMade, Violation};
use xen::xenstore;

/// Why a connection to a block backend failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no memory for the ring.
    NoMemory,
    /// The ring could not be made.
    Ring(NotMade),
    /// Xen gave no event channel.
    Channel(xen::Errno),
    /// xenstored refused something.
    Xenstore(xenstore::Error),
    /// The backend says that sectors have this many bytes.
    SectorSize(u64),
    /// The backend broke the protocol on the ring.
    Violation(Violation),
    /// The backend broke the protocol time and again.
    Untrusted,
    /// The backend's domain does not let go of so many pages of former connections.
    Quarantine(u32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("out of memory for the disk's ring; give the guest more memory"),
            Self::Ring(error) => error.fmt(f),
            Self::Channel(errno) => write!(f, "Xen refused an event channel ({errno})"),
            Self::Xenstore(error) => error.fmt(f),
            Self::SectorSize(bytes) => {
                write!(f, "the backend reports an invalid sector size of {bytes} bytes")
            }
            Self::Violation(violation) => violation.fmt(f),
            Self::Quarantine(pages) => write!(
                f,
                "the backend's domain keeps {pages} pages of former connections mapped; not connected until it unmaps them"
            ),
            Self::Untrusted => f.write_str("the backend broke the protocol too often; the disk is disabled"),
        }
    }
}

impl core::error::Error for Error {}

impl From<xenstore::Error> for Error {
    fn from(error: xenstore::Error) -> Self {
        Self::Xenstore(error)
    }
}

impl From<NotMade> for Error {
    fn from(error: NotMade) -> Self {
        Self::Ring(error)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
