// SPDX-License-Identifier: MIT OR Apache-2.0
//! The clock of one vCPU: `struct vcpu_time_info` of `xen/include/public/xen.h`.

use core::sync::atomic::{Ordering, fence};

use xen_sys::xen::vcpu_time_info;

use super::TRIES;
use crate::shared::Shared;

/// The clock of one vCPU.
#[derive(Clone, Copy)]
pub struct Clock {
    info: Shared<vcpu_time_info>,
}

impl Clock {
    /// The clock in `info`.
    pub fn new(info: Shared<vcpu_time_info>) -> Self {
        Self { info }
    }

    /// Nanoseconds since the hypervisor started; `timestamp` reads the time-stamp counter.
    ///
    /// `None` if Xen has never filled the numbers in, or never stops changing them.
    pub fn nanoseconds(self, timestamp: impl Fn() -> u64) -> Option<u64> {
        for _ in 0..TRIES {
            let before = self.version();
            fence(Ordering::Acquire);
            let info = self.info.read();
            let now = timestamp();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.version() {
                return (info.tsc_to_system_mul != 0).then(|| scale(&info, now));
            }
            core::hint::spin_loop();
        }
        None
    }

    /// Frequency of the time-stamp counter in kHz, from the clock's own scale; `None` if unset.
    pub fn timestamp_khz(self) -> Option<u64> {
        let info = self.info.read();
        let multiplier = u64::from(info.tsc_to_system_mul);
        let period = (1_000_000u64 << 32).checked_div(multiplier)?;
        let shift = u32::from(info.tsc_shift.unsigned_abs());
        if info.tsc_shift < 0 { period.checked_shl(shift) } else { period.checked_shr(shift) }
    }

    fn version(self) -> u32 {
        self.info.read().version
    }
}

/// `system_time + (timestamp - tsc_timestamp) * 2^shift * mul / 2^32`; a time stamp from before
/// the reference counts as the reference.
fn scale(info: &vcpu_time_info, timestamp: u64) -> u64 {
    let elapsed = u128::from(timestamp.saturating_sub(info.tsc_timestamp));
    let shift = u32::from(info.tsc_shift.unsigned_abs()).min(63);
    let shifted = if info.tsc_shift < 0 { elapsed >> shift } else { elapsed << shift };
    // 64 bits shifted by up to 63 and multiplied by 32 bits can exceed 128: saturate, the clock
    // is then centuries away anyway.
    let nanoseconds = shifted.saturating_mul(u128::from(info.tsc_to_system_mul)) >> 32;
    info.system_time.saturating_add(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn info(mul: u32, shift: i8) -> vcpu_time_info {
        vcpu_time_info {
            version: 2,
            tsc_timestamp: 1000,
            system_time: 5,
            tsc_to_system_mul: mul,
            tsc_shift: shift,
            ..Default::default()
        }
    }

    fn clock(info: &mut vcpu_time_info) -> Clock {
        // SAFETY: the value outlives the clock and is only changed through it.
        Clock::new(unsafe { Shared::at((&raw mut *info).expose_provenance() as u64) })
    }

    #[test]
    fn a_2_ghz_counter_counts_half_nanoseconds() {
        assert_eq!(scale(&info(1 << 31, 0), 3000), 5 + 1000);
    }

    #[test]
    fn negative_shifts_divide() {
        assert_eq!(scale(&info(1 << 31, -1), 5000), 5 + 1000);
    }

    #[test]
    fn a_time_stamp_before_the_reference_counts_as_the_reference() {
        assert_eq!(scale(&info(1 << 31, 0), 10), 5);
    }

    #[test]
    fn absurd_scales_saturate() {
        assert_eq!(scale(&info(u32::MAX, i8::MAX), u64::MAX), u64::MAX);
        assert_eq!(scale(&info(u32::MAX, i8::MIN), u64::MAX), 5);
    }

    #[test]
    fn a_clock_that_is_never_filled_in_has_no_time() {
        assert_eq!(clock(&mut vcpu_time_info::default()).nanoseconds(|| 1), None);
    }

    #[test]
    fn a_clock_that_is_always_being_changed_has_no_time() {
        let mut odd = info(1 << 31, 0);
        odd.version = 3;
        assert_eq!(clock(&mut odd).nanoseconds(|| 3000), None);
    }

    #[test]
    fn the_scale_tells_the_frequency_of_the_counter() {
        assert_eq!(clock(&mut info(1 << 31, 0)).timestamp_khz(), Some(2_000_000));
        assert_eq!(clock(&mut info(1 << 31, -1)).timestamp_khz(), Some(4_000_000));
        assert_eq!(clock(&mut info(0, 0)).timestamp_khz(), None);
    }
}
