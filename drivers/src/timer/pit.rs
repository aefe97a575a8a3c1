// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 8254 interval timer. Clocks of unknown speed are measured by it, and it wakes a vCPU where nothing
//! better can.

use crate::hal::Ports;

/// Frequency of the timer in Hz.
const FREQUENCY: u64 = 1_193_182;
/// Counts of a measurement: 10 ms.
const COUNTS: u16 = 11_932;

/// Line of the old interrupt controllers that channel 0 raises.
pub const LINE: u8 = 0;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 0: the output goes up when the count is done. (Channel 2, which
/// raises no interrupt, is of no use without a further port that small machines do not have.)
const COUNT_DOWN_0: u8 = 0b0011_0000;
/// Read-back command: the state of channel 0, but not its count.
const STATE_0: u8 = 0b1110_0010;
/// Bit of that state: the channel's output.
const OUTPUT: u8 = 1 << 7;

/// Looks at the output before giving up. A look takes a microsecond or more on any machine.
const MAX_SPINS: u32 = 1_000_000;
/// Measurements that are tried.
const TRIES: u32 = 3;

/// Whether there is such a timer: its state, read back, is the mode just set.
pub fn is_there<P: Ports + ?Sized>(ports: &P) -> bool {
    ports.write_u8(COMMAND, COUNT_DOWN_0);
    ports.write_u8(COMMAND, STATE_0);
    // Bits 6 and 7 are the state of the count and the output.
    ports.read_u8(CHANNEL_0) & 0x3f == COUNT_DOWN_0 & 0x3f
}

/// Raises [`LINE`] once `nanoseconds` have passed, or after 54 milliseconds, the most that the
/// counter holds. Replaces an earlier count.
pub fn fire_after<P: Ports + ?Sized>(ports: &P, nanoseconds: u64) {
    let counts = u128::from(nanoseconds) * u128::from(FREQUENCY) / 1_000_000_000 + 1;
    count_down(ports, u16::try_from(counts).unwrap_or(u16::MAX));
}

fn count_down<P: Ports + ?Sized>(ports: &P, counts: u16) {
    let [low, high] = counts.to_le_bytes();
    ports.write_u8(COMMAND, COUNT_DOWN_0);
    ports.write_u8(CHANNEL_0, low);
    ports.write_u8(CHANNEL_0, high);
}

/// Frequency of `counter` in kHz, measured for 10 ms while [`LINE`] is masked; `None` if there is no such
/// timer, or if what it shows makes no sense.
pub fn measure_khz<P: Ports + ?Sized>(ports: &P, counter: impl Fn() -> u64) -> Option<u64> {
    // A hypervisor may keep us from looking until the count is done.
    (0..TRIES).find_map(|_| try_to_measure_khz(ports, &counter))
}

fn try_to_measure_khz<P: Ports + ?Sized>(ports: &P, counter: impl Fn() -> u64) -> Option<u64> {
    count_down(ports, COUNTS);
    let start = counter();
    let is_done = || {
        ports.write_u8(COMMAND, STATE_0);
        ports.read_u8(CHANNEL_0) & OUTPUT != 0
    };
    let looks = (0..MAX_SPINS).find(|_| is_done());
    let elapsed = counter().checked_sub(start)?;
    // Up at the first look: nobody knows since when, or there is no timer.
    looks.filter(|looks| *looks != 0)?;
    let khz = u128::from(elapsed) * u128::from(FREQUENCY) / u128::from(COUNTS) / 1000;
    u64::try_from(khz).ok().filter(|khz| *khz != 0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::pci::tests::FakePorts;

    /// A timer whose output goes up after some looks, beside a counter that counts them; it is up at once in
    /// the first counts.
    struct FakeTimer {
        looks: Cell<u64>,
        up_after: u64,
        counts: Cell<u64>,
        up_at_once: u64,
    }

    impl Ports for FakeTimer {
        fn read_u8(&self, _port: u16) -> u8 {
            let looks = self.looks.get() + 1;
            self.looks.set(looks);
            let up_after = if self.counts.get() <= self.up_at_once { 0 } else { self.up_after };
            if looks > up_after { OUTPUT } else { 0 }
        }
        fn read_u16(&self, _port: u16) -> u16 {
            !0
        }
        fn read_u32(&self, _port: u16) -> u32 {
            !0
        }
        fn write_u8(&self, port: u16, value: u8) {
            if (port, value) == (COMMAND, COUNT_DOWN_0) {
                self.counts.set(self.counts.get() + 1);
                self.looks.set(0);
            }
        }
        fn write_u16(&self, _port: u16, _value: u16) {}
        fn write_u32(&self, _port: u16, _value: u32) {}
    }

    fn measure(up_after: u64) -> Option<u64> {
        measure_after(0, up_after)
    }

    fn measure_after(up_at_once: u64, up_after: u64) -> Option<u64> {
        let timer = FakeTimer { looks: Cell::new(0), up_after, counts: Cell::new(0), up_at_once };
        // Each look takes 1000 ticks of the counter.
        measure_khz(&timer, || timer.looks.get() * 1000)
    }

    #[test]
    fn a_sleep_longer_than_the_counter_ends_early() {
        let ports = FakePorts::default();
        fire_after(&ports, 1_000_000);
        fire_after(&ports, u64::MAX);
        let written = ports.written.borrow();
        let counts: Vec<u32> =
            written.iter().filter(|(port, _)| *port == CHANNEL_0).map(|(_, byte)| *byte).collect();
        assert_eq!(counts, [1194 & 0xff, 1194 >> 8, 0xff, 0xff]);
    }

    #[test]
    fn a_port_that_nobody_answers_is_no_timer() {
        assert!(!is_there(&FakePorts::default()));
    }

    #[test]
    fn ticks_in_ten_milliseconds_give_the_frequency() {
        let khz = measure(20_000).unwrap();
        assert!((1_999_000..2_001_000).contains(&khz), "{khz} kHz");
    }

    #[test]
    fn a_measurement_that_was_missed_is_tried_again() {
        assert_eq!(measure_after(2, 20_000), measure(20_000));
        assert_eq!(measure_after(3, 20_000), None);
    }

    #[test]
    fn an_output_that_is_up_at_once_is_no_timer() {
        assert_eq!(measure(0), None);
    }

    #[test]
    fn an_output_that_never_goes_up_is_given_up() {
        assert_eq!(measure(u64::MAX), None);
    }
}
