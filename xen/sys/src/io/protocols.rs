// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of the ABIs a frontend may write as `protocol` to xenstore.
//!
//! Source: `xen/include/public/io/protocols.h`.

/// Rings laid out as by a 32-bit x86 compiler.
pub const XEN_IO_PROTO_ABI_X86_32: &str = "x86_32-abi";
/// Rings laid out as by a 64-bit x86 compiler.
pub const XEN_IO_PROTO_ABI_X86_64: &str = "x86_64-abi";
/// Rings laid out as by an ARM compiler.
pub const XEN_IO_PROTO_ABI_ARM: &str = "arm-abi";
/// The ABI of this crate.
pub const XEN_IO_PROTO_ABI_NATIVE: &str = XEN_IO_PROTO_ABI_X86_64;
