// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot protocols: one parser for each way to be told about the machine.
//!
//! Each is `parse(memory, address)`: it reads what lies at `address` by copy and fills a
//! [`BootInfo`](crate::BootInfo). It fails only where nothing sane can be done; whatever else is
//! odd is left out and noted.

mod gather;
pub mod multiboot1;
pub mod multiboot2;
pub mod pv;
pub mod pvh;
