// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameters of an HVM or PVH domain: `xen/include/public/hvm/params.h`, `hvm/hvm_op.h`.
//!
//! A PV domain is told in its `start_info` where its console and xenstore are. An HVM or PVH domain asks:
//! each is a guest frame and an event channel. What the toolstack did not set reads as zero.
//!
//! # Examples
//!
//! ```
//! use xen::fake::FakeXen;
//! use xen::hvm::{self, Parameter};
//! use xen_sys::hvm::params::HVM_PARAM_STORE_PFN;
//!
//! let xen = FakeXen::new();
//! xen.set_parameter(HVM_PARAM_STORE_PFN, 0xfeffc);
//! assert_eq!(hvm::parameter(&xen, Parameter::StoreFrame)?, 0xfeffc);
//! assert_eq!(hvm::parameter(&xen, Parameter::ConsoleFrame)?, 0, "there is none");
//! # Ok::<(), xen::Errno>(())
//! ```

use xen_sys::hvm::hvm_op::*;
use xen_sys::hvm::params::*;
use xen_sys::xen::{__HYPERVISOR_hvm_op, DOMID_SELF};

use crate::error::Result;
use crate::hypercall::{Hypercall, command};

/// The parameters that a guest may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Parameter {
    /// Frame of the xenstore ring.
    StoreFrame = HVM_PARAM_STORE_PFN,
    /// Event channel of the xenstore ring.
    StoreEvent = HVM_PARAM_STORE_EVTCHN,
    /// Frame of the console ring.
    ConsoleFrame = HVM_PARAM_CONSOLE_PFN,
    /// Event channel of the console ring.
    ConsoleEvent = HVM_PARAM_CONSOLE_EVTCHN,
}

/// Reads a parameter; zero usually means that the toolstack didn't set it.
///
/// # Errors
///
/// What Xen answers.
pub fn parameter(hypercalls: &(impl Hypercall + ?Sized), parameter: Parameter) -> Result<u64> {
    let mut argument =
        xen_hvm_param { domid: DOMID_SELF as _, index: parameter as u32, ..Default::default() };
    // SAFETY: HVMOP_get_param takes a xen_hvm_param.
    unsafe { command(hypercalls, __HYPERVISOR_hvm_op, HVMOP_get_param, &mut argument)? };
    Ok(argument.value)
}

/// Has Xen deliver event channels as interrupt `vector` on every vCPU, without an end of
/// interrupt. Only where [`Features::HVM_CALLBACK_VECTOR`](crate::version::Features) is set.
///
/// # Safety
///
/// The caller's interrupt table must have a handler for the vector before interrupts are enabled.
///
/// # Errors
///
/// What Xen answers.
pub unsafe fn set_callback_vector(hypercalls: &(impl Hypercall + ?Sized), vector: u8) -> Result<()> {
    let mut argument = xen_hvm_param {
        domid: DOMID_SELF as _,
        index: HVM_PARAM_CALLBACK_IRQ,
        value: (HVM_PARAM_CALLBACK_TYPE_VECTOR) << 56 | u64::from(vector),
        ..Default::default()
    };
    // SAFETY: HVMOP_set_param takes a xen_hvm_param; the handler is the caller's promise.
    unsafe { command(hypercalls, __HYPERVISOR_hvm_op, HVMOP_set_param, &mut argument) }.map(drop)
}

/// Has Xen deliver event channels of `vcpu` as interrupt `vector` (16 to 255) of its local APIC, which
/// must be switched on and wants an end of interrupt. Goes before the other ways; where
/// `XEN_HVM_CPUID_UPCALL_VECTOR` (`arch-x86/cpuid.h`) is not set it does not go together with
/// physical interrupts.
///
/// # Safety
///
/// As for [`set_callback_vector`].
///
/// # Errors
///
/// What Xen answers; [`Errno::NOSYS`](crate::Errno::NOSYS) before Xen 4.6.
pub unsafe fn set_upcall_vector(hypercalls: &(impl Hypercall + ?Sized), vcpu: u32, vector: u8) -> Result<()> {
    let mut argument = xen_hvm_evtchn_upcall_vector { vcpu, vector, ..Default::default() };
    // SAFETY: HVMOP_set_evtchn_upcall_vector takes a xen_hvm_evtchn_upcall_vector; the handler is the
    // caller's promise.
    unsafe { command(hypercalls, __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, &mut argument) }
        .map(drop)
}

/// Has Xen deliver event channels of vCPU 0 as an interrupt of `line` (1 to 15) of a PC's interrupt
/// controllers, the same number at the old ones and at the I/O APIC: raised while
/// `evtchn_upcall_pending` is set (`HVM_PARAM_CALLBACK_TYPE_GSI`). No other vCPU is told of events.
///
/// # Errors
///
/// What Xen answers.
pub fn set_callback_line(hypercalls: &(impl Hypercall + ?Sized), line: u8) -> Result<()> {
    let mut argument = xen_hvm_param {
        domid: DOMID_SELF as _,
        index: HVM_PARAM_CALLBACK_IRQ,
        value: HVM_PARAM_CALLBACK_TYPE_GSI << 56 | u64::from(line),
        ..Default::default()
    };
    // SAFETY: HVMOP_set_param takes a xen_hvm_param.
    unsafe { command(hypercalls, __HYPERVISOR_hvm_op, HVMOP_set_param, &mut argument) }.map(drop)
}

/// Tells the toolstack that this domain has paravirtual drivers although nobody asked Xen for a vector or a
/// line: libxl reads that off the parameter not being zero (`tools/libs/light/libxl_domain.c`,
/// `libxl__domain_pvcontrol_available`). Where it is zero `xl shutdown` refuses, and the domain is
/// suspended without being asked. 1 is line 1, of a PC's keyboard; what is
/// [set per vCPU](set_upcall_vector) goes before it.
///
/// # Errors
///
/// What Xen answers.
///
/// # Examples
///
/// ```
/// use xen::{fake::FakeXen, hvm};
///
/// let xen = FakeXen::new();
/// hvm::announce_drivers(&xen)?;
/// # Ok::<(), xen::Errno>(())
/// ```
pub fn announce_drivers(hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
    /// The keyboard's line, which Linux sets for this purpose too.
    const LINE: u8 = 1;
    set_callback_line(hypercalls, LINE)
}
