// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a request failed, and which side caused it.

use core::fmt;

use super::path::BadPath;
use super::refusal::Refusal;
use super::value::Unreadable;
use super::wire::Kind;

/// A result of a request to xenstored.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// xenstored answered, and the answer is no.
    Refused(Refusal),
    /// The path is not one; nothing was sent.
    Path(BadPath),
    /// The request has this many bytes, more than the 4096 that a message may have; nothing was
    /// sent.
    TooLong(usize),
    /// xenstored answered a request of this kind with something that is no answer to it.
    Protocol(Kind),
    /// A node's value is not what it should be.
    Value(Unreadable),
    /// The node's children kept changing while they were listed piece by piece.
    Changing,
    /// There is no connection to xenstored, or no longer the one the request went through. Whether
    /// the request was carried out is unknown.
    Disconnected(Disconnect),
}

impl Error {
    /// Whether xenstored says that the node does not exist.
    pub fn is_not_found(&self) -> bool {
        *self == Self::Refused(Refusal::NotFound)
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disconnect {
    /// xenstored wrote ring indices that cannot be.
    Indices,
    /// xenstored announced a message with this many bytes of payload; more than 4096 are
    /// forbidden, and there is no telling where the next message would start.
    Message(u32),
    /// xenstored gave up the connection and left this number (`XENSTORE_ERROR_*` of
    /// `io/xs_wire.h`) in the page.
    Server(u32),
    /// The rings were reset while the request was on its way, or the domain was restored before it was sent.
    Reset,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "xenstored refused: {refusal}"),
            Self::Path(error) => error.fmt(f),
            Self::TooLong(bytes) => write!(f, "{bytes} bytes do not fit into a xenstore message of 4096"),
            Self::Protocol(kind) => write!(f, "xenstored sent an invalid answer to {kind:?}"),
            Self::Value(error) => error.fmt(f),
            Self::Changing => f.write_str("the directory changed each time it was read; read it again later"),
            Self::Disconnected(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indices => f.write_str("xenstored wrote impossible ring indices; reconnect"),
            Self::Message(bytes) => {
                write!(f, "xenstored sent a message of {bytes} bytes, at most 4096 are allowed; reconnect")
            }
            Self::Server(code) => write!(f, "xenstored ended the connection with error {code}; reconnect"),
            Self::Reset => f.write_str("the connection to xenstored was reset; ask again"),
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for Disconnect {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BadPath> for Error {
    fn from(error: BadPath) -> Self {
        Self::Path(error)
    }
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        Self::Value(error)
    }
}

impl From<Disconnect> for Error {
    fn from(reason: Disconnect) -> Self {
        Self::Disconnected(reason)
    }
}
