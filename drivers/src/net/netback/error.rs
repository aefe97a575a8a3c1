// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an interface is not served to a frontend.

use core::fmt;

use xen::ring::{NotMade, Violation};
use xen::{grant, xenstore};

/// Why an interface is not served to a frontend.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The bridge has no port left.
    NoPort,
    /// The toolstack gave the interface no address (`mac`), or one that no interface can have.
    NoMac,
    /// Xenstore refused something, or a key makes no sense.
    Xenstore(xenstore::Error),
    /// The frontend does not say where its rings are.
    NoRing,
    /// The frontend would not have packets copied into its pages (`request-rx-copy`), the only way there is
    /// here.
    NoCopy,
    /// A page of a ring cannot be mapped.
    Map(grant::Error),
    /// A ring could not be made.
    Ring(NotMade),
    /// An event channel cannot be connected to.
    Channel(xen::Errno),
    /// The frontend broke the protocol on a ring.
    Violation(Violation),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort => f.write_str("the bridge has no port left"),
            Self::NoMac => f.write_str("the guest's configuration gives the interface no valid mac="),
            Self::Xenstore(error) => error.fmt(f),
            Self::NoRing => {
                f.write_str("the frontend does not say where its rings and its event channels are")
            }
            Self::NoCopy => f.write_str("the frontend does not set request-rx-copy, which is required"),
            Self::Map(error) => write!(f, "a ring of the frontend's cannot be mapped: {error}"),
            Self::Ring(error) => error.fmt(f),
            Self::Channel(errno) => {
                write!(f, "an event channel of the frontend's cannot be connected to ({errno})")
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
