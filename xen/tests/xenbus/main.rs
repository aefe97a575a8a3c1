// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake of devices: the pure machine, and a driver with a backend played by the test.

mod handshake;
mod machine;
