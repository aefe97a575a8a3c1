// SPDX-License-Identifier: MIT OR Apache-2.0
//! The date: when it was that the hypervisor's clock showed zero.

use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use xen_sys::xen::shared_info;

use super::TRIES;
use crate::shared::Shared;

const NANOSECONDS_PER_SECOND: u32 = 1_000_000_000;

/// The wall clock: the time since 1970-01-01 00:00 UTC at which the hypervisor's clock showed
/// zero.
///
/// It is a base, not the present: the [clock](super::Clock)'s reading is to be added. It changes when
/// the host's clock is set, in either direction; durations are measured by something else.
#[derive(Clone, Copy)]
pub struct WallClock {
    version: Shared<u32>,
    seconds: Shared<u32>,
    nanoseconds: Shared<u32>,
    /// The upper half of the seconds, where there is one: else they end in the year 2106.
    seconds_high: Option<Shared<u32>>,
}

impl WallClock {
    /// Xen's: `wc_version`, `wc_sec`, `wc_nsec` and `wc_sec_hi` of `shared_info`
    /// (`xen/include/public/xen.h`).
    pub fn of_xen(page: Shared<shared_info>) -> Option<Self> {
        Some(Self {
            version: page.field(offset_of!(shared_info, wc_version))?,
            seconds: page.field(offset_of!(shared_info, wc_sec))?,
            nanoseconds: page.field(offset_of!(shared_info, wc_nsec))?,
            seconds_high: Some(page.field(offset_of!(shared_info, wc_sec_hi))?),
        })
    }

    /// KVM's: version, seconds and nanoseconds (Linux `Documentation/virt/kvm/x86/msr.rst`,
    /// `MSR_KVM_WALL_CLOCK_NEW`).
    pub fn of_kvm(page: Shared<[u32; 3]>) -> Option<Self> {
        Some(Self {
            version: page.field(0)?,
            seconds: page.field(4)?,
            nanoseconds: page.field(8)?,
            seconds_high: None,
        })
    }

    /// Time from 1970-01-01 00:00 UTC until the hypervisor's clock showed zero.
    ///
    /// `None` if the hypervisor has never filled it in, never stops changing it, or claims a second
    /// of a billion nanoseconds or more.
    pub fn at_zero(self) -> Option<Duration> {
        for _ in 0..TRIES {
            let before = self.version.read();
            fence(Ordering::Acquire);
            let low = self.seconds.read();
            let high = self.seconds_high.map_or(0, Shared::read);
            let nanoseconds = self.nanoseconds.read();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && before == self.version.read() {
                return duration(u64::from(high) << 32 | u64::from(low), nanoseconds);
            }
            core::hint::spin_loop();
        }
        None
    }

    /// Time since 1970-01-01 00:00 UTC when the hypervisor's clock shows `nanoseconds`; `None` as for
    /// [`at_zero`](Self::at_zero), or if that is more than a [`Duration`] holds.
    pub fn at(self, nanoseconds: u64) -> Option<Duration> {
        self.at_zero()?.checked_add(Duration::from_nanos(nanoseconds))
    }
}

/// A host that boots in 1970 has no idea of the time, and neither has one whose second is too long.
fn duration(seconds: u64, nanoseconds: u32) -> Option<Duration> {
    (seconds != 0 && nanoseconds < NANOSECONDS_PER_SECOND).then(|| Duration::new(seconds, nanoseconds))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;
    use xen_sys::xen::shared_info;

    use super::*;

    /// A shared page whose wall clock is as given.
    fn with_page<T>(version: u32, seconds: u64, nanoseconds: u32, test: impl FnOnce(WallClock) -> T) -> T {
        let mut page = Box::new([0u64; size_of::<shared_info>() / 8]);
        let address = (&raw mut *page).expose_provenance() as u64;
        // SAFETY: zeroed memory of the right size and alignment that outlives the value, and that
        // nothing else uses meanwhile.
        let shared = unsafe { Shared::<shared_info>::at(address) };
        let put = |offset, value| shared.field::<u32>(offset).unwrap().write(value);
        put(offset_of!(shared_info, wc_version), version);
        put(offset_of!(shared_info, wc_sec), seconds as u32);
        put(offset_of!(shared_info, wc_sec_hi), (seconds >> 32) as u32);
        put(offset_of!(shared_info, wc_nsec), nanoseconds);
        test(WallClock::of_xen(shared).unwrap())
    }

    #[test]
    fn the_base_and_the_clock_make_the_present() {
        let now = with_page(2, 1_700_000_000, 999_999_999, |clock| clock.at(2_000_000_001));
        assert_eq!(now, Some(Duration::new(1_700_000_003, 0)));
    }

    #[test]
    fn seconds_have_64_bits() {
        let base = with_page(2, (3 << 32) + 5, 0, WallClock::at_zero);
        assert_eq!(base, Some(Duration::from_secs((3 << 32) + 5)));
    }

    #[test]
    fn a_clock_that_is_always_being_changed_has_no_time() {
        assert_eq!(with_page(3, 1, 0, WallClock::at_zero), None);
    }

    #[test]
    fn a_clock_that_was_never_filled_in_has_no_time() {
        assert_eq!(with_page(0, 0, 0, WallClock::at_zero), None);
    }

    #[test]
    fn kvms_clock_has_32_bits_of_seconds() {
        let mut place = [4u32, 1_800_000_000, 7];
        let address = (&raw mut place).expose_provenance() as u64;
        // SAFETY: `place` outlives the clock, and nothing else uses it meanwhile.
        let clock = WallClock::of_kvm(unsafe { Shared::at(address) }).unwrap();
        assert_eq!(clock.at_zero(), Some(Duration::new(1_800_000_000, 7)));
    }

    proptest! {
        #[test]
        fn whatever_xen_writes_the_answer_is_exact_or_none(
            version in any::<u32>(), seconds in any::<u64>(), nanoseconds in any::<u32>(), clock in any::<u64>(),
        ) {
            let told = with_page(version, seconds, nanoseconds, |wall| wall.at(clock));
            let sane = version % 2 == 0 && seconds != 0 && nanoseconds < NANOSECONDS_PER_SECOND;
            let sum = u128::from(seconds) * 1_000_000_000 + u128::from(nanoseconds) + u128::from(clock);
            let fits = sum / 1_000_000_000 <= u128::from(u64::MAX);
            prop_assert_eq!(told.map(|time| time.as_nanos()), (sane && fits).then_some(sum));
        }
    }
}
