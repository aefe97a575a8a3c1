// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, clippy::allow_attributes_without_reason)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

pub mod capabilities;
pub mod command_line;
pub mod e820;
pub mod firmware;
pub mod frames;
pub mod grid;
pub mod irq;
pub mod protocol;
pub mod registers;
pub mod services;
pub mod symbols;
pub mod translations;
pub mod vcpus;

mod boot_error;
mod boot_info;
mod boot_note;
mod bytes;
mod memory_map;
mod phys_memory;
mod phys_range;
mod region;
mod text;

pub use boot_error::BootError;
pub use boot_info::{BootInfo, BootProtocol, Dom0Console, Module, PvLayout, SharedRing};
pub use boot_note::{BootNote, Notes};
pub use capabilities::Capabilities;
pub use command_line::CommandLine;
pub use firmware::acpi::Acpi;
pub use firmware::controllers::Controllers;
pub use frames::{FrameAllocator, FrameNumber};
pub use grid::Grid;
pub use memory_map::MemoryMap;
pub use phys_memory::{PhysMemory, SliceMemory};
pub use phys_range::{ADDRESS_LIMIT, MAPPED_LIMIT, PAGE_SIZE, PhysRange};
pub use region::{Kind, Region};
pub use services::Services;
pub use symbols::SymbolTable;
pub use text::Text;
