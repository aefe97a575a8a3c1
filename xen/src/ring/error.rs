// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a ring operation failed, and which side caused it.

use core::fmt;

/// The other end broke the protocol. The ring is of no more use; connect anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The backend claims to have answered more requests than there were, or took answers back.
    Index {
        /// Requests that were unanswered.
        unanswered: u32,
        /// Responses that the backend claims to have made to them.
        claimed: u32,
    },
    /// A response made no sense to the driver: see [`Ring::poison`](super::Ring::poison).
    Response,
    /// The frontend claims to have made more requests than the ring has entries for, or took requests back.
    Requests {
        /// Entries of the ring.
        capacity: u32,
        /// Requests without a response that the frontend claims there are.
        claimed: u32,
    },
    /// A request made no sense to the driver: see [`BackendRing::poison`](super::BackendRing::poison).
    Request,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { unanswered, claimed } => {
                write!(f, "the backend claims {claimed} responses to {unanswered} requests")
            }
            Self::Response => f.write_str("the backend sent an invalid response"),
            Self::Requests { capacity, claimed } => {
                write!(f, "the frontend claims {claimed} unanswered requests in a ring of {capacity}")
            }
            Self::Request => f.write_str("the frontend sent an invalid request"),
        }
    }
}

impl core::error::Error for Violation {}

/// Why a request, or a response, was not put into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// As many requests are unanswered as the ring has entries: wait for a response.
    Full,
    /// There is no request that a response would be to: our mistake.
    Unasked,
    /// It is larger than the ring's entries: our mistake.
    TooLarge,
    /// The other end broke the protocol before.
    Poisoned(Violation),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full of unanswered requests"),
            Self::Unasked => f.write_str("there is no request for this response"),
            Self::TooLarge => f.write_str("the request or response is larger than an entry of this ring"),
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
