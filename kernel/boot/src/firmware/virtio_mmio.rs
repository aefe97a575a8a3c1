// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio devices on MMIO (Virtual I/O Device 1.2, 4.2): the slots that the command line and ACPI list.

use arrayvec::ArrayVec;

use crate::PhysRange;
use crate::firmware::controllers::Signal;

/// Maximum number of slots.
pub const MAX_SLOTS: usize = 32;

/// Registers before those of the device's own configuration, of which there are 4 bytes at least.
const LEAST: u64 = 0x104;
/// No device has more registers.
const MOST: u64 = 1 << 20;
/// No I/O APIC has an input of this number.
const LINES: u32 = 1024;

/// A slot: registers where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its registers.
    pub range: PhysRange,
    /// Number of its interrupt line, or of its input of the I/O APICs: the same to firmware.
    pub line: u32,
    /// What is a signal there, if that was told.
    pub signal: Option<Signal>,
}

impl Slot {
    /// The slot of `length` bytes at `address`; `None` if no device's registers can lie there, or no
    /// interrupt has that number.
    #[must_use]
    pub fn new(address: u64, length: u64, line: u32) -> Option<Self> {
        let sane = (LEAST..=MOST).contains(&length) && address != 0 && address.is_multiple_of(8);
        let range = PhysRange::with_length(address, length).filter(|_| sane && line < LINES)?;
        Some(Self { range, line, signal: None })
    }

    /// The slot that `SIZE@BASE:LINE` or `SIZE@BASE:LINE:ID` stands for, as Linux documents it
    /// (Documentation/admin-guide/kernel-parameters.txt, `virtio_mmio.device=`); `number` and `size` read
    /// numbers. The id is for Linux's own names.
    pub(crate) fn parse(
        text: &str,
        number: impl Fn(&str) -> Option<u64>,
        size: impl Fn(&str) -> Option<u64>,
    ) -> Option<Self> {
        let (length, rest) = text.split_once('@')?;
        let (address, rest) = rest.split_once(':')?;
        let (line, id) = rest.split_once(':').unwrap_or((rest, "0"));
        number(id)?;
        Self::new(number(address)?, size(length)?, u32::try_from(number(line)?).ok()?)
    }
}

/// The slots that are looked at of those that were `told` of, and whether there are more. Of several that
/// overlap it is the first.
pub fn distinct(told: impl IntoIterator<Item = Slot>) -> (ArrayVec<Slot, MAX_SLOTS>, bool) {
    let mut slots: ArrayVec<Slot, MAX_SLOTS> = ArrayVec::new();
    for slot in told {
        let is_known = slots.iter().any(|other| other.range.overlaps(slot.range));
        if !is_known && slots.try_push(slot).is_err() {
            return (slots, true);
        }
    }
    (slots, false)
}
