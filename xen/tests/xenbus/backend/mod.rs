// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend's half, with a frontend and a toolstack played by the test.

mod bus;
mod handshake;
mod transitions;
