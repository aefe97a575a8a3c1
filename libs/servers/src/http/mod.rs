// SPDX-License-Identifier: MIT OR Apache-2.0
//! A web server: files of a [`Site`], by HTTP/1.1 (RFC 9110 and 9112).
//!
//! It knows GET and HEAD, connections that stay open, single ranges, entity tags, and answers all
//! else with the error that says what is wrong. What a client can take is bounded: the head of a
//! request by [`HEAD_LIMIT`], the time it takes by [`HEAD_TIME`], the time between requests by
//! [`IDLE_TIME`], and that for an answer by [`MIN_RATE`]; below [`SLOW_RATE`] it gives its slot to others.
//! What the site may take for each thing is bounded by [`SITE_TIME`].

mod connection;
mod date;
mod metrics;
mod path;
mod range;
mod request;
mod response;
mod send_timeout;
mod server;
mod site;
mod target;

pub use connection::{HEAD_LIMIT, HEAD_TIME, IDLE_TIME, PIECE, RESUMED_TIME, SITE_TIME};
pub use metrics::Metrics;
pub use path::decode;
pub use range::{Range, Satisfied};
pub use request::{Method, Request};
pub use response::{Connection, Status};
pub use send_timeout::{GRACE, MIN_RATE, SLOW_RATE};
pub use server::Server;
pub use site::{File, Files, Page, ReadError, Site};
pub use tar_no_std::CorruptDataError;

/// The protocol's port.
pub const PORT: u16 = 80;
