// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network backend with a frontend that the test plays: how packets go, and what becomes of lies.

mod frontend;
mod handshake;
mod moves;
mod packets;
#[path = "../random/mod.rs"]
mod random;
mod violations;
