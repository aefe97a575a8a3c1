// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;

mod advertise;
mod conntrack;
mod counters;
mod dhcp;
mod fragments;
mod guests;
mod icmp;
mod nat;
mod neighbors;
mod packet;
mod router;
mod rules;
mod tuple;

pub use counters::Counters;
pub use guests::Guest;
pub use packet::{Mac, Packet, Side};
pub use router::{Config, ROUTER_MAC, Router, Uplink};
pub use rules::{Network, RuleError, Rules};
