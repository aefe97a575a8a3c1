// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an interface does not work, and how a backend broke the protocol.

use core::fmt;

use xen::ring::{NotMade, Violation};
use xen::{Errno, grant, xenstore};

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
    /// The backend broke the protocol of packets.
    Protocol(ProtocolViolation),
    /// The backend's domain keeps so many pages of former connections.
    Quarantine(u32),
    /// The NIC broke its protocol: how.
    Nic(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCopy => f.write_str("the backend does not offer feature-rx-copy, which is required"),
            Self::NoMac => f.write_str("xenstore has no MAC address for the interface (mac)"),
            Self::NoMemory => {
                f.write_str("out of memory for the interface's pages; give the guest more memory")
            }
            Self::Ring(error) => error.fmt(f),
            Self::Grant(error) => error.fmt(f),
            Self::Channel(error) => write!(f, "Xen refused an event channel: {error}"),
            Self::Store(error) => error.fmt(f),
            Self::Violation(violation) => violation.fmt(f),
            Self::Protocol(violation) => violation.fmt(f),
            Self::Quarantine(pages) => {
                write!(
                    f,
                    "the backend's domain keeps {pages} pages of former connections mapped; not connected until it unmaps them"
                )
            }
            Self::Nic(how) => f.write_str(how),
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

impl From<ProtocolViolation> for Error {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Protocol(violation)
    }
}

/// What a backend that keeps to the protocol never says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// The response is to another request than the one in its place.
    Id {
        /// What it should have been.
        asked: u16,
        /// What it was.
        told: u16,
    },
    /// The data does not lie inside a page.
    OutsidePage {
        /// Where it is to begin.
        offset: u16,
        /// Its length.
        length: i16,
    },
    /// More data than a packet can have, or in more parts.
    TooLong,
    /// Extra information of a kind that was not asked for.
    Extra(u8),
    /// Extra information of the same kind twice.
    ExtraTwice,
    /// Segments of no size, or of a kind that was not asked for.
    Gso {
        /// Their size.
        size: u16,
        /// Their kind.
        kind: u8,
    },
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backend broke the protocol: ")?;
        match self {
            Self::Id { asked, told } => write!(f, "response to request {told} in place of {asked}"),
            Self::OutsidePage { offset, length } => {
                write!(f, "{length} bytes at offset {offset} cross the end of the page")
            }
            Self::TooLong => f.write_str("a packet of more than 64 KiB"),
            Self::Extra(kind) => write!(f, "extra information of type {kind}, which was not requested"),
            Self::ExtraTwice => f.write_str("extra information of the same type twice"),
            Self::Gso { size, kind } => {
                write!(f, "GSO segments of {size} bytes and of type {kind}")
            }
        }
    }
}

impl core::error::Error for ProtocolViolation {}
