// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests on hardware virtualization (HVM and PVH). Source: `xen/include/public/hvm/`.

pub mod hvm_info_table;
pub mod hvm_op;
pub mod hvm_vcpu;
pub mod params;
