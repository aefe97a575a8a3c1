// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    reason = "every name is the one Xen's headers use, so that a search finds it in both trees"
)]

#[macro_use]
mod layout;

pub mod arch_x86;
pub mod callback;
pub mod elfnote;
pub mod errno;
pub mod event_channel;
pub mod features;
pub mod grant_table;
pub mod hvm;
pub mod io;
pub mod memory;
pub mod nmi;
pub mod physdev;
pub mod sched;
pub mod vcpu;
pub mod version;
pub mod xen;
