// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding devices, and their handshake: its transitions alone, and a driver with the other end played by the
//! test.

mod backend;
mod discovery;
mod handshake;
mod transitions;
