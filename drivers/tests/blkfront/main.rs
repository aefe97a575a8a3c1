// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver of paravirtual disks, against backends that are honest, and backends that fault.
mod backend;
#[path = "../failing/mod.rs"]
mod failing;
mod faults;
mod handshake;
mod memory;
mod migration;
mod queues;
mod transfers;
mod violations;
