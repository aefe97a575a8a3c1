// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a disk is not served to a frontend.

use core::fmt;

use xen::grant;
use xen::ring::{NotMade, Violation};
use xen::xenstore::{self, Excerpt};

/// Why a disk is not served to a frontend.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no memory for the queue.
    NoMemory,
    /// There is no such disk here.
    NoDisk(Excerpt),
    /// The toolstack names no disk.
    Unnamed,
    /// xenstored refused something, or a key makes no sense.
    Xenstore(xenstore::Error),
    /// The frontend does not say where its ring is.
    NoRing,
    /// The frontend speaks another protocol, such as that of 32-bit guests.
    Protocol(Excerpt),
    /// A page of the ring cannot be mapped.
    Map(grant::Error),
    /// The ring could not be made.
    Ring(NotMade),
    /// The event channel cannot be connected to.
    Channel(xen::Errno),
    /// The frontend broke the protocol on the ring.
    Violation(Violation),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("out of memory for the queue; give this domain more memory"),
            Self::NoDisk(name) => {
                write!(f, "there is no disk {name}; check target= in the guest's configuration")
            }
            Self::Unnamed => f.write_str("the guest's configuration names no disk; give it a target="),
            Self::Xenstore(error) => error.fmt(f),
            Self::NoRing => f.write_str("the frontend does not say where its ring and its event channel are"),
            Self::Protocol(name) => {
                write!(f, "the frontend speaks {name}; only x86_64-abi is served")
            }
            Self::Map(error) => write!(f, "the frontend's ring cannot be mapped: {error}"),
            Self::Ring(error) => error.fmt(f),
            Self::Channel(errno) => {
                write!(f, "the frontend's event channel cannot be connected to ({errno})")
            }
            Self::Violation(violation) => violation.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<xenstore::Error> for Error {
    fn from(error: xenstore::Error) -> Self {
        Self::Xenstore(error)
    }
}

impl From<xenstore::value::Unreadable> for Error {
    fn from(error: xenstore::value::Unreadable) -> Self {
        Self::Xenstore(error.into())
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
