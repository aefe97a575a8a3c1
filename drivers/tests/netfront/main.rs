// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network frontend against backends that are honest, and that are not.

mod backend;
mod connection;
#[path = "../failing/mod.rs"]
mod failing;
mod packets;
mod segments;
mod violations;
