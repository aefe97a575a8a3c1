// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events in both ABIs against the fake hypervisor.

mod abis;
mod dispatch;
mod fifo;
mod guest;
mod lists;
mod migration;
mod threads;
