// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen does in the 2-level ABI (`xen/common/event_2l.c`).

use core::mem::offset_of;
use core::sync::atomic::Ordering::SeqCst;

use xen_sys::xen::{shared_info, vcpu_info};

use crate::shared::Shared;

/// Sets a port pending, and says whether the vCPU is to be told.
pub(super) fn set_pending(page: Shared<shared_info>, vcpu: Shared<vcpu_info>, port: u32) -> bool {
    let was = pending(page, port).atomic().fetch_or(bit(port), SeqCst) & bit(port) != 0;
    !was && !is_masked(page, port) && select(vcpu, port)
}

pub(super) fn clear_pending(page: Shared<shared_info>, port: u32) {
    pending(page, port).atomic().fetch_and(!bit(port), SeqCst);
}

pub(super) fn is_pending(page: Shared<shared_info>, port: u32) -> bool {
    pending(page, port).atomic().load(SeqCst) & bit(port) != 0
}

/// Unmasks a port, and says whether the vCPU is to be told.
pub(super) fn unmask(page: Shared<shared_info>, vcpu: Shared<vcpu_info>, port: u32) -> bool {
    let was = mask(page, port).atomic().fetch_and(!bit(port), SeqCst) & bit(port) != 0;
    was && is_pending(page, port) && select(vcpu, port)
}

fn is_masked(page: Shared<shared_info>, port: u32) -> bool {
    mask(page, port).atomic().load(SeqCst) & bit(port) != 0
}

/// Sets the word's bit in the selector, and says whether it was clear.
fn select(vcpu: Shared<vcpu_info>, port: u32) -> bool {
    let selector = vcpu.field::<u64>(offset_of!(vcpu_info, evtchn_pending_sel)).expect("a field");
    let word = 1 << (port / 64);
    selector.atomic().fetch_or(word, SeqCst) & word == 0
}

fn pending(page: Shared<shared_info>, port: u32) -> Shared<u64> {
    word(page, offset_of!(shared_info, evtchn_pending), port)
}

fn mask(page: Shared<shared_info>, port: u32) -> Shared<u64> {
    word(page, offset_of!(shared_info, evtchn_mask), port)
}

fn word(page: Shared<shared_info>, array: usize, port: u32) -> Shared<u64> {
    page.field(array + (port / 64) as usize * 8).expect("a port of the 2-level ABI")
}

fn bit(port: u32) -> u64 {
    1 << (port % 64)
}
