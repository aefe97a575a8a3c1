// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an interface does not work.

use core::fmt;

use xen::ring::{NotMade, Violation};
use xen::{Errno, grant, xenstore};

use super::packet::Lie;

/// Why an interface does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The backend does not copy into our pages (`feature-rx-copy`), the only way there is here.
    NoCopy,
    /// The toolstack gave the interface no address (`mac`).
    NoMac,
    /// There is no memory for the pages.
    NoMemory,
    /// A ring could not be made.
    Ring(NotMade),
    /// A page could not be granted.
    Grant(grant::Error),
    /// Xen refused an event channel.
    Channel(Errno),
    /// Xenstore refused or answered nonsense.
    Store(xenstore::Error),
    /// The backend broke the ring's protocol.
    Violation(Violation),
    /// The backend said what cannot be.
    Lie(Lie),
    /// The backend's domain keeps so many pages of former connections.
    Quarantine(u32),
    /// The card broke its protocol: how.
    Card(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCopy => f.write_str("the backend cannot copy packets into our pages (feature-rx-copy)"),
            Self::NoMac => f.write_str("the toolstack gave the interface no address (mac)"),
            Self::NoMemory => f.write_str("no memory for the interface's pages; give the guest more"),
            Self::Ring(error) => error.fmt(f),
            Self::Grant(error) => error.fmt(f),
            Self::Channel(error) => write!(f, "Xen refused an event channel: {error}"),
            Self::Store(error) => error.fmt(f),
            Self::Violation(violation) => violation.fmt(f),
            Self::Lie(lie) => lie.fmt(f),
            Self::Quarantine(pages) => {
                write!(f, "the backend's domain keeps {pages} pages of former connections")
            }
            Self::Card(how) => f.write_str(how),
        }
    }
}

impl core::error::Error for Error {}

impl From<NotMade> for Error {
    fn from(error: NotMade) -> Self {
        Self::Ring(error)
    }
}

impl From<xenstore::Error> for Error {
    fn from(error: xenstore::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Lie> for Error {
    fn from(lie: Lie) -> Self {
        Self::Lie(lie)
    }
}
