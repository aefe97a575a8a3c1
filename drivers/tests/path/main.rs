// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stack behind a port, and a peer's, with a network between them that takes less than they believe.

mod echo;
mod host;
mod network;
mod too_big;
mod transfers;
