// SPDX-License-Identifier: MIT OR Apache-2.0
//! What firmware tells of the machine: ACPI's tables, the MP table, virtio devices in memory.
//!
//! All of it is read by copy and checked: firmware is foreign data like any other.

pub mod acpi;
mod bios;
mod checksum;
pub mod controllers;
pub mod mp_table;
pub mod virtio_mmio;
