// SPDX-License-Identifier: MIT OR Apache-2.0
//! Getting at the table's frames: what a kernel needs to implement [`FrameMapper`].
//!
//! | domain | where the frame is | the kernel then |
//! |---|---|---|
//! | PV | [`table_mfn`] (`GNTTABOP_setup_table`, `GNTTABOP_get_status_frames`) | maps that machine frame at an address |
//! | HVM, PVH | [`place`] (`XENMEM_add_to_physmap`) puts it where there is no memory | maps that guest frame |

use alloc::vec::Vec;

use xen_sys::grant_table::*;
use xen_sys::memory::*;
use xen_sys::xen::{__HYPERVISOR_memory_op, DOMID_SELF};

use super::operation::operate;
use super::{Error, Frame, Memory, Result, Status, Version};
use crate::Hypercall;
use crate::hypercall::command;

/// One of the frames that make up a grant table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFrame {
    /// A frame of entries.
    Entries(u32),
    /// A frame of status words, in version 2 only.
    Status(u32),
}

/// Makes frames of the grant table accessible.
pub trait FrameMapper: Send + Sync {
    /// Maps `frame` for good. Each frame is asked for once, and in order; Xen makes it when it does
    /// not exist yet. After an error the same one is asked for again, when a reference is next
    /// needed. After [`Table::resume`](super::Table::resume) all are asked for again, from the first on.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] if the kernel has no page-table memory or no address for it, or what
    /// [`table_mfn`] or [`place`] returned.
    fn map(&self, frame: TableFrame) -> Result<Memory>;
}

/// Machine frame of a frame of the table (PV).
///
/// # Errors
///
/// What Xen answers; [`Status::GENERAL_ERROR`] beyond the table's limit, or if Xen has no memory.
pub fn table_mfn(hypercalls: &(impl Hypercall + ?Sized), frame: TableFrame) -> Result<Frame> {
    match frame {
        TableFrame::Entries(index) => last_of_list(index, |count, list| setup_table(hypercalls, count, list)),
        TableFrame::Status(index) => {
            last_of_list(index, |count, list| get_status_frames(hypercalls, count, list))
        }
    }
}

/// Xen lists frames from the first on: has `fill` make a list up to `index`, and takes the last.
fn last_of_list(index: u32, fill: impl FnOnce(u32, u64) -> Result<()>) -> Result<Frame> {
    let count = index.checked_add(1).ok_or(Error::NoRoom)?;
    let mut list = Vec::<u64>::new();
    list.try_reserve_exact(count as usize).map_err(|_| Error::NoRoom)?;
    list.resize(count as usize, 0);
    fill(count, list.as_mut_ptr().expose_provenance() as u64)?;
    list.last().copied().map(Frame).ok_or(Error::NoRoom)
}

fn setup_table(hypercalls: &(impl Hypercall + ?Sized), nr_frames: u32, frame_list: u64) -> Result<()> {
    let mut argument = [gnttab_setup_table { dom: DOMID_SELF, nr_frames, frame_list, ..Default::default() }];
    // SAFETY: takes a gnttab_setup_table, and writes `nr_frames` numbers to the list.
    unsafe { operate(hypercalls, GNTTABOP_setup_table, &mut argument)? };
    let [done] = argument;
    Status::check(done.status)
}

fn get_status_frames(hypercalls: &(impl Hypercall + ?Sized), nr_frames: u32, frame_list: u64) -> Result<()> {
    let mut argument =
        [gnttab_get_status_frames { dom: DOMID_SELF, nr_frames, frame_list, ..Default::default() }];
    // SAFETY: takes a gnttab_get_status_frames, and writes `nr_frames` numbers to the list.
    unsafe { operate(hypercalls, GNTTABOP_get_status_frames, &mut argument)? };
    let [done] = argument;
    Status::check(done.status)
}

/// Puts a frame of the table at guest frame `at` (HVM and PVH).
///
/// # Safety
///
/// What was at that frame before is gone: nothing may use it.
///
/// # Errors
///
/// What Xen answers; `EINVAL` beyond the table's limit.
pub unsafe fn place(hypercalls: &(impl Hypercall + ?Sized), frame: TableFrame, at: Frame) -> Result<()> {
    let idx = match frame {
        TableFrame::Entries(index) => u64::from(index),
        TableFrame::Status(index) => u64::from(index) | XENMAPIDX_grant_table_status,
    };
    let mut argument = xen_add_to_physmap {
        domid: DOMID_SELF,
        space: XENMAPSPACE_grant_table,
        idx,
        gpfn: at.0,
        ..Default::default()
    };
    // SAFETY: XENMEM_add_to_physmap takes a xen_add_to_physmap; the caller gave the frame up.
    unsafe { command(hypercalls, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, &mut argument)? };
    Ok(())
}

/// Frames that the domain's table may have (64 by Xen's default; `max_grant_frames` of `xl.cfg`).
/// 1 where Xen cannot be asked: that much there always is.
pub(super) fn limit(hypercalls: &(impl Hypercall + ?Sized)) -> u32 {
    let mut argument = [gnttab_query_size { dom: DOMID_SELF, ..Default::default() }];
    // SAFETY: takes a gnttab_query_size.
    let asked = unsafe { operate(hypercalls, GNTTABOP_query_size, &mut argument) };
    let [answer] = argument;
    match asked.and_then(|()| Status::check(answer.status)) {
        Ok(()) => answer.max_nr_frames.clamp(1, MAX_FRAMES),
        Err(_) => 1,
    }
}

/// More than any Xen allows, and few enough that no sum of entries overflows.
const MAX_FRAMES: u32 = 1 << 20;

/// Settles the table's version: the one in effect, or version 2 if `highest` needs it and Xen
/// agrees. Version 1 is never asked for: it is what there is where versions are not known (in the
/// PV shim, for one).
///
/// # Safety
///
/// No entry beyond the reserved ones is in use: setting the version clears them.
pub(super) unsafe fn settle_version(hypercalls: &(impl Hypercall + ?Sized), highest: Frame) -> Version {
    let now = version(hypercalls);
    if now.reaches(highest) {
        return now;
    }
    let mut argument = [gnttab_set_version { version: Version::V2 as u32 }];
    // SAFETY: takes a gnttab_set_version; the caller has nothing to lose.
    let set = unsafe { operate(hypercalls, GNTTABOP_set_version, &mut argument) };
    if set.is_ok() { Version::V2 } else { now }
}

/// The version in effect. Whoever ran in this domain before us may have changed it.
fn version(hypercalls: &(impl Hypercall + ?Sized)) -> Version {
    match told_version(hypercalls) {
        Ok(version) if version == Version::V2 as u32 => Version::V2,
        _ => Version::V1,
    }
}

/// Whether tables have versions, as they have on every Xen since 4.0, but not in a PV shim, which passes on
/// no operations but those that every guest needs (`pv_shim_grant_table_op` in `xen/arch/x86/pv/shim.c`).
pub fn knows_versions(hypercalls: &(impl Hypercall + ?Sized)) -> bool {
    told_version(hypercalls).is_ok()
}

fn told_version(hypercalls: &(impl Hypercall + ?Sized)) -> Result<u32> {
    let mut argument = [gnttab_get_version { dom: DOMID_SELF, ..Default::default() }];
    // SAFETY: takes a gnttab_get_version.
    unsafe { operate(hypercalls, GNTTABOP_get_version, &mut argument)? };
    let [answer] = argument;
    Ok(answer.version)
}
