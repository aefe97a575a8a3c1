// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network frontend against backends that are honest, and that are not.

mod backend;
mod connection;
mod packets;
mod segments;
mod violations;
