// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's version, build and features: `xen/include/public/version.h`, `features.h`.
//!
//! The version is for people. What a domain may use is told by [`Features`], and by asking for the thing
//! itself: distributions carry features back to older versions, and emulators claim versions that they
//! do not implement.
//!
//! # Examples
//!
//! ```
//! use xen::fake::FakeXen;
//! use xen::version::{self, Features};
//!
//! let xen = FakeXen::new();
//! let (number, rest) = (version::version(&xen)?, version::extra_version(&xen)?);
//! assert_eq!(format!("{number}{}", rest.as_str()), "4.20.2-fake");
//! assert!(version::features(&xen)?.contains(Features::HVM_CALLBACK_VECTOR));
//! # Ok::<(), xen::Errno>(())
//! ```

use core::fmt;

use bitflags::bitflags;
use xen_sys::features as sys_features;
use xen_sys::version::*;
use xen_sys::xen::__HYPERVISOR_xen_version;

use crate::error::{Result, check};
use crate::hypercall::{Hypercall, command};

/// A version of Xen, such as 4.20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number before the point.
    pub major: u16,
    /// The number behind the point.
    pub minor: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// From Xen's packed form: major in the upper 16 bits, minor in the lower.
    pub const fn from_packed(packed: u32) -> Self {
        Self { major: (packed >> 16) as u16, minor: packed as u16 }
    }
}

/// Asks Xen for its version.
///
/// # Errors
///
/// What Xen answers; there is no Xen that refuses this to a guest.
pub fn version(hypercalls: &(impl Hypercall + ?Sized)) -> Result<Version> {
    // SAFETY: this command takes no pointer.
    let packed = check(unsafe {
        hypercalls.issue(__HYPERVISOR_xen_version, [u64::from(XENVER_version), 0, 0, 0, 0])
    })?;
    Ok(Version::from_packed(packed as u32))
}

/// A short text that Xen returned: up to its first NUL, or its whole array.
#[derive(Clone, Copy)]
pub struct Text<const BYTES: usize> {
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Text<BYTES> {
    /// The text as far as it is UTF-8.
    pub fn as_str(&self) -> &str {
        let text = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => text
                .get(..error.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or_default(),
        }
    }
}

/// Asks Xen for the rest of its version: ".2-pre" of "4.20.2-pre".
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation.
pub fn extra_version(hypercalls: &(impl Hypercall + ?Sized)) -> Result<Text<16>> {
    let mut bytes = [0u8; 16];
    // SAFETY: XENVER_extraversion writes a xen_extraversion_t, 16 bytes.
    unsafe { command(hypercalls, __HYPERVISOR_xen_version, XENVER_extraversion, &mut bytes)? };
    Ok(Text { bytes })
}

bitflags! {
    /// What Xen offers this domain: the first word of `XENVER_get_features`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u32 {
        /// Page tables need not be read-only.
        const WRITABLE_PAGE_TABLES = 1 << sys_features::XENFEAT_writable_page_tables;
        /// Segment descriptors need not be read-only.
        const WRITABLE_DESCRIPTOR_TABLES = 1 << sys_features::XENFEAT_writable_descriptor_tables;
        /// Xen translates guest-physical addresses: an HVM or PVH domain.
        const AUTO_TRANSLATED_PHYSMAP = 1 << sys_features::XENFEAT_auto_translated_physmap;
        /// The kernel runs in ring 0.
        const SUPERVISOR_MODE_KERNEL = 1 << sys_features::XENFEAT_supervisor_mode_kernel;
        /// `MMU_PT_UPDATE_PRESERVE_AD` works.
        const MMU_PT_UPDATE_PRESERVE_AD = 1 << sys_features::XENFEAT_mmu_pt_update_preserve_ad;
        /// Event channels can be delivered as an interrupt vector.
        const HVM_CALLBACK_VECTOR = 1 << sys_features::XENFEAT_hvm_callback_vector;
        /// The paravirtual clock is safe to use in an HVM domain.
        const HVM_SAFE_PVCLOCK = 1 << sys_features::XENFEAT_hvm_safe_pvclock;
        /// Physical interrupts can be bound to event channels in an HVM domain.
        const HVM_PIRQS = 1 << sys_features::XENFEAT_hvm_pirqs;
        /// This is the initial domain.
        const DOM0 = 1 << sys_features::XENFEAT_dom0;
        /// The virtual address of a linear p2m may be given.
        const LINUX_RSDP_UNRESTRICTED = 1 << sys_features::XENFEAT_linux_rsdp_unrestricted;
    }
}

/// Asks Xen what it offers this domain. Unknown bits are dropped.
///
/// # Errors
///
/// What Xen answers.
pub fn features(hypercalls: &(impl Hypercall + ?Sized)) -> Result<Features> {
    let mut info = xen_feature_info { submap_idx: 0, submap: 0 };
    // SAFETY: XENVER_get_features takes a xen_feature_info.
    unsafe { command(hypercalls, __HYPERVISOR_xen_version, XENVER_get_features, &mut info)? };
    Ok(Features::from_bits_truncate(info.submap))
}
