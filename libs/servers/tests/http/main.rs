// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the web server promises its clients.

mod answers;
mod client;
mod limits;
mod requests;
mod tar;
