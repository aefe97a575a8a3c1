// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor beneath: finding out which one it is, and what Xen offers a domain.

pub(crate) mod detect;
pub mod event;
pub mod grant;
pub(crate) mod interface;
pub(crate) mod lifecycle;
pub(crate) mod upcall;
pub(crate) mod xenstore;
