// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot protocols: one parser for each way to be told about the machine.
//!
//! Each is `parse(memory, address)`: it reads the structure at `address` by copy and fills a
//! [`BootInfo`](crate::BootInfo). Suspicious values are recorded as notes; invalid ones are ignored. It fails
//! only if the boot cannot continue.

mod gather;
pub mod multiboot1;
pub mod multiboot2;
pub mod pv;
pub mod pvh;
