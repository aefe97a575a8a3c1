// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PC's consoles - serial port, screen, keyboard - and text on its way to any console.

pub mod keyboard;
pub mod last_word;
pub mod output;
pub mod serial;
pub mod vga;
