// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual devices: shared pages and the messages in them. Source: `xen/include/public/io/`.

pub mod blkif;
pub mod console;
pub mod netif;
pub mod protocols;
pub mod ring;
pub mod xenbus;
pub mod xs_wire;
