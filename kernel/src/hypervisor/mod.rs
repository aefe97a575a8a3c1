// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor: detecting which one it is, and using what Xen offers a domain.

pub(crate) mod balloon;
pub(crate) mod detect;
pub mod event;
pub mod grant;
pub(crate) mod interface;
pub(crate) mod lifecycle;
pub(crate) mod meminfo;
pub(crate) mod suspend;
pub(crate) mod sysrq;
pub(crate) mod upcall;
pub(crate) mod xenstore;
