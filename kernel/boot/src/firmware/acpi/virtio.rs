// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices whose registers are in memory, found in a table of definitions without running it: behind
//! the name that they all have stands the template of their resources (sections 6.4.3.4, 6.4.3.6).

use arrayvec::ArrayVec;

use super::table::{HEADER, Table};
use crate::PhysMemory;
use crate::bytes::{Record, u32_at};
use crate::firmware::controllers::{Polarity, Signal, Trigger};
use crate::firmware::virtio_mmio::{MAX_SLOTS, Slot};

/// What such a device calls itself (`_HID`), with the zero that ends it.
const NAME: &[u8; 9] = b"LNRO0005\0";
/// Heads of the descriptors of memory at a fixed place, of 9 more bytes, and of one interrupt, of 6.
const MEMORY: &[u8; 3] = &[0x86, 9, 0];
const INTERRUPT: &[u8; 3] = &[0x89, 6, 0];
/// Bits of an interrupt's flags.
const EDGE: u8 = 1 << 1;
const LOW: u8 = 1 << 2;

/// What is looked at behind the name: two short definitions, and the template.
const WINDOW: usize = 96;

/// The devices; one whose resources make no sense is left out.
pub(super) fn slots(definitions: &Table<'_, impl PhysMemory>) -> ArrayVec<Slot, MAX_SLOTS> {
    let names = (HEADER..definitions.length()).filter(|offset| {
        let first = definitions.record::<1>(*offset).filter(|byte| byte.u8(0) == NAME[0]);
        first.and_then(|_| definitions.record::<9>(*offset)).is_some_and(|name| name.0 == *NAME)
    });
    let windows = names.filter_map(|offset| definitions.record::<WINDOW>(offset.checked_add(9)?));
    windows.filter_map(|window| slot(&window)).take(MAX_SLOTS).collect()
}

fn slot(window: &Record<WINDOW>) -> Option<Slot> {
    let memory = behind(&window.0, MEMORY)?;
    // Behind a byte that tells whether it can be written.
    let (address, length) = (u32_at(memory, 1)?, u32_at(memory, 5)?);
    let interrupt = behind(memory, INTERRUPT)?;
    // Behind the flags and the number of interrupts.
    let (flags, line) = (*interrupt.first()?, u32_at(interrupt, 2)?);
    let signal = Signal {
        trigger: if flags & EDGE != 0 { Trigger::Edge } else { Trigger::Level },
        polarity: if flags & LOW != 0 { Polarity::Low } else { Polarity::High },
    };
    let slot = Slot::new(address.into(), length.into(), line)?;
    Some(Slot { signal: Some(signal), ..slot })
}

/// What follows the first `head`.
fn behind<'a>(bytes: &'a [u8], head: &[u8; 3]) -> Option<&'a [u8]> {
    let at = bytes.windows(head.len()).position(|window| window == head)?;
    bytes.get(at.checked_add(head.len())?..)
}
