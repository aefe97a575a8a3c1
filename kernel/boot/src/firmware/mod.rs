// SPDX-License-Identifier: MIT OR Apache-2.0
//! What firmware tells of the machine: ACPI's tables, the MP table, virtio devices on MMIO.
//!
//! All of it is read by copy and checked: it is untrusted input.

pub mod acpi;
mod bios;
mod checksum;
pub mod controllers;
pub mod mp_table;
pub mod virtio_mmio;
