// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt controllers of a PC.

pub mod io_apic;
pub mod local_apic;
pub mod pic;
