// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a ring operation failed, and which side caused it.

use core::fmt;

/// The backend broke the protocol. The ring is of no more use; connect anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It claims to have answered more requests than there were, or took answers back.
    Index {
        /// Requests that were unanswered.
        unanswered: u32,
        /// Responses that the backend claims to have made to them.
        claimed: u32,
    },
    /// A response made no sense to the driver: see [`Ring::poison`](super::Ring::poison).
    Response,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { unanswered, claimed } => {
                write!(f, "the backend claims {claimed} responses to {unanswered} requests")
            }
            Self::Response => f.write_str("the backend sent an invalid response"),
        }
    }
}

impl core::error::Error for Violation {}

/// Why a request was not put into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// As many requests are unanswered as the ring has entries: wait for a response.
    Full,
    /// The request is larger than the ring's entries: our mistake.
    TooLarge,
    /// The backend broke the protocol before.
    Poisoned(Violation),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full of unanswered requests"),
            Self::TooLarge => f.write_str("the request is larger than an entry of this ring"),
            Self::Poisoned(violation) => violation.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Poisoned(violation)
    }
}
