// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that the toolstack gave this domain: found in xenstore, each driven by a task of its
//! own, at boot and whenever one is plugged in.
//!
//! A new class of devices implements [`Class`], and has [`attend`] spawned at boot.

mod attend;
mod platform;

#[allow(unused_imports, reason = "until there is a first class")]
pub(crate) use attend::{Class, attend};
#[allow(unused_imports, reason = "until there is a first class")]
pub(crate) use platform::XenPlatform;
