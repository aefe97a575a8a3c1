// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is particular to x86. Source: `xen/include/public/arch-x86/`.

pub mod cpuid;
pub mod hvm;
pub mod xen;
pub mod xen_x86_64;
