// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block backend with a frontend that the test plays: how data goes, and what becomes of lies.

mod frontend;
mod handshake;
mod moves;
mod persistent;
#[path = "../random/mod.rs"]
mod random;
mod transfers;
mod violations;
