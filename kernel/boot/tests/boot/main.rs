// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `prism-boot` promises, a file for each module.

#![forbid(unsafe_code)]

mod acpi;
mod addressing;
mod command_line;
mod e820;
mod frames;
mod grid;
mod image;
mod memory_map;
mod mp_table;
mod multiboot1;
mod multiboot2;
mod pv;
mod pvh;
mod services;
mod symbols;
mod text;
mod translations;
mod virtio_mmio;
