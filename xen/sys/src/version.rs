// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen this is.
//!
//! Commands of [`__HYPERVISOR_xen_version`](crate::xen::__HYPERVISOR_xen_version).
//!
//! Source: `xen/include/public/version.h`.

use crate::arch_x86::xen::xen_ulong_t;

/// Command: returns the major version in bits 31:16 and the minor one in bits 15:0. No argument.
pub const XENVER_version: u32 = 0;
/// Command: the rest of the version. Argument: [`xen_extraversion_t`]. Cuts off; prefer
/// [`XENVER_extraversion2`].
pub const XENVER_extraversion: u32 = 1;
/// Text such as `.3-pre`, ended by a zero.
pub type xen_extraversion_t = [u8; 16];
/// Size of [`xen_extraversion_t`] in bytes.
pub const XEN_EXTRAVERSION_LEN: usize = size_of::<xen_extraversion_t>();

/// Command: who compiled it, when and how. Argument: [`xen_compile_info`]. Cuts off.
pub const XENVER_compile_info: u32 = 2;

/// Argument of [`XENVER_compile_info`]: texts, each ended by a zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_compile_info {
    /// The compiler's name and version.
    pub compiler: [u8; 64],
    /// Who compiled it.
    pub compile_by: [u8; 16],
    /// Where it was compiled.
    pub compile_domain: [u8; 32],
    /// When it was compiled.
    pub compile_date: [u8; 32],
}
layout!(xen_compile_info: 144 {
    compiler: 0, compile_by: 64, compile_domain: 80, compile_date: 112,
});

/// Command: the guest types it can run. Argument: [`xen_capabilities_info_t`]. Cuts off; prefer
/// [`XENVER_capabilities2`].
pub const XENVER_capabilities: u32 = 3;
/// Words such as `xen-3.0-x86_64`, ended by a zero.
pub type xen_capabilities_info_t = [u8; 1024];
/// Size of [`xen_capabilities_info_t`] in bytes.
pub const XEN_CAPABILITIES_INFO_LEN: usize = size_of::<xen_capabilities_info_t>();

/// Command: the revision it was built from. Argument: [`xen_changeset_info_t`]. Cuts off; prefer
/// [`XENVER_changeset2`].
pub const XENVER_changeset: u32 = 4;
/// Text of a revision, ended by a zero.
pub type xen_changeset_info_t = [u8; 64];
/// Size of [`xen_changeset_info_t`] in bytes.
pub const XEN_CHANGESET_INFO_LEN: usize = size_of::<xen_changeset_info_t>();

/// Command: where Xen's addresses begin. Argument: [`xen_platform_parameters`].
pub const XENVER_platform_parameters: u32 = 5;

/// Argument of [`XENVER_platform_parameters`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_platform_parameters {
    /// Result: first virtual address of Xen; of no use but to 32-bit PV guests.
    pub virt_start: xen_ulong_t,
}
layout!(xen_platform_parameters: 8 { virt_start: 0 });

/// Command: the [`features`](crate::features) offered. Argument: [`xen_feature_info`].
pub const XENVER_get_features: u32 = 6;

/// Argument of [`XENVER_get_features`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_feature_info {
    /// Which word of feature bits, below
    /// [`XENFEAT_NR_SUBMAPS`](crate::features::XENFEAT_NR_SUBMAPS).
    pub submap_idx: u32,
    /// Result: the word.
    pub submap: u32,
}
layout!(xen_feature_info: 8 { submap_idx: 0, submap: 4 });

/// Command: returns the page size in bytes. No argument.
pub const XENVER_pagesize: u32 = 7;
/// Command: the guest's UUID. Argument:
/// [`xen_domain_handle_t`](crate::xen::xen_domain_handle_t).
pub const XENVER_guest_handle: u32 = 8;
/// Command: Xen's command line (privileged). Argument: [`xen_commandline_t`]. Cuts off; prefer
/// [`XENVER_commandline2`].
pub const XENVER_commandline: u32 = 9;
/// Xen's command line, ended by a zero.
pub type xen_commandline_t = [u8; 1024];

/// Header of a buffer for [`XENVER_build_id`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_build_id {
    /// Size of the buffer in bytes.
    pub len: u32,
    /// Result: the buffer follows here.
    pub buf: [u8; 0],
}
layout!(xen_build_id: 4 { len: 0, buf: 4 });

/// Header of a buffer for the commands from [`XENVER_build_id`] on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_varbuf {
    /// Size of the buffer in bytes.
    pub len: u32,
    /// Result: the buffer follows here, and no zero ends it.
    pub buf: [u8; 0],
}
layout!(xen_varbuf: 4 { len: 0, buf: 4 });

/// Command: the linker's build id of Xen (privileged). Argument: [`xen_build_id`]. This and the
/// following return the number of bytes, or with no argument the number needed.
pub const XENVER_build_id: u32 = 10;
/// Command: as [`XENVER_extraversion`], in full. Argument: [`xen_varbuf`].
pub const XENVER_extraversion2: u32 = 11;
/// Command: as [`XENVER_capabilities`], in full. Argument: [`xen_varbuf`].
pub const XENVER_capabilities2: u32 = 12;
/// Command: as [`XENVER_changeset`], in full. Argument: [`xen_varbuf`].
pub const XENVER_changeset2: u32 = 13;
/// Command: as [`XENVER_commandline`], in full (privileged). Argument: [`xen_varbuf`].
pub const XENVER_commandline2: u32 = 14;
