// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is particular to x86 guests on hardware virtualization. Source:
//! `xen/include/public/arch-x86/hvm/`.

pub mod start_info;
