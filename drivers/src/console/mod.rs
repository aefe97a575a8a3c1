// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PC's consoles - serial port, screen, keyboard - and text on its way to any console; the line that is
//! typed.

pub mod keyboard;
pub mod last_word;
pub mod output;
pub mod prompt;
pub mod serial;
pub mod vga;
