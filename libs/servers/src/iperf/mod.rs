// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measuring throughput with iperf3's protocol: the server that `iperf3 -c` talks to, by TCP or UDP, and
//! the client of `iperf3 -s`, by TCP.
//!
//! A test has a connection for control and one or more for data; all begin with the client's cookie
//! of 37 bytes. The parties tell each other single bytes, their states, and exchange JSON texts
//! behind their lengths:
//!
//! ```text
//!   client                                  server
//!   cookie                  ----->
//!                           <-----          9 PARAM_EXCHANGE
//!   parameters              ----->
//!                           <-----          10 CREATE_STREAMS
//!   (data connections)
//!                           <-----          1 TEST_START, 2 TEST_RUNNING
//!   (data, one way)
//!   4 TEST_END              ----->
//!                           <-----          13 EXCHANGE_RESULTS
//!   its results             ----->
//!                           <-----          its results, 14 DISPLAY_RESULTS
//!   16 IPERF_DONE           ----->
//! ```
//!
//! By UDP, a stream begins with a datagram of four bytes, which is answered; each of its datagrams has
//! the time and a number in front (the module `flow`).
//!
//! Source: `src/iperf_api.h` and the behaviour of iperf 3.18 (its protocol has no other
//! description).

mod client;
mod data;
mod flow;
mod server;
mod wire;

pub use client::{Failure, measure};
pub use server::{Datagrams, Meter};
pub use wire::{Parameters, Results, State};

/// The protocol's port.
pub const PORT: u16 = 5201;
