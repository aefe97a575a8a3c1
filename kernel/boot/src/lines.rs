// SPDX-License-Identifier: MIT OR Apache-2.0
//! By which interrupt controllers devices' lines arrive.
//!
//! A line below 16 comes through a PC's 8259s where there are any, as firmware leads PCI's lines
//! there, and only ACPI's methods tell what else they are led to. Any other comes through an I/O APIC.

use arrayvec::ArrayVec;

use crate::firmware::controllers::{Controllers, Input, PIC_LINES, Signal};
use crate::services::Lines;

/// By what a line arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By this line of the 8259s.
    Pic(u8),
    /// By this input of the I/O APICs.
    IoApic(Input),
}

/// The way of line `number` by the controllers that were `chosen`; `None` if it cannot arrive. What counts as
/// a signal is what the line's device tells, else what firmware does.
#[must_use]
pub fn way(chosen: Lines, controllers: &Controllers, number: u32, signal: Option<Signal>) -> Option<Way> {
    let (pic, io_apic) = match chosen {
        Lines::Both => (true, true),
        Lines::Pic => (true, false),
        Lines::IoApic => (false, true),
        Lines::None => (false, false),
    };
    match u8::try_from(number) {
        Ok(line) if pic && usize::from(line) < PIC_LINES => Some(Way::Pic(line)),
        _ if io_apic => {
            let told = controllers.input(number);
            Some(Way::IoApic(Input { signal: signal.unwrap_or(told.signal), ..told }))
        }
        _ => None,
    }
}

/// The places at which inputs of I/O APICs arrive: `MOST` of them, behind those of the 8259s.
#[derive(Debug, Default)]
pub struct Places<const MOST: usize> {
    /// Input number `led[i]` arrives at place `PIC_LINES + i`.
    led: ArrayVec<u32, MOST>,
}

impl<const MOST: usize> Places<MOST> {
    /// No input is led to any.
    #[must_use]
    pub const fn new() -> Self {
        Self { led: ArrayVec::new_const() }
    }

    /// The place of the input of this number. If it has none, `lead` leads it to the next one, and says
    /// whether it could; `None` if it could not, or if all are taken.
    pub fn of(&mut self, input: u32, lead: impl FnOnce(usize) -> bool) -> Option<usize> {
        if let Some(index) = self.led.iter().position(|number| *number == input) {
            return PIC_LINES.checked_add(index);
        }
        let place = PIC_LINES.checked_add(self.led.len()).filter(|_| !self.led.is_full())?;
        lead(place).then(|| {
            self.led.push(input);
            place
        })
    }

    /// The number of the input that is led to a place; `None` for a place of the 8259s, and for one that
    /// nothing is led to.
    #[must_use]
    pub fn input(&self, place: usize) -> Option<u32> {
        self.led.get(place.checked_sub(PIC_LINES)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::firmware::controllers::{Polarity, Trigger};

    const FALLING: Signal = Signal { trigger: Trigger::Level, polarity: Polarity::Low };

    fn input(number: u32, signal: Signal) -> Option<Way> {
        Some(Way::IoApic(Input { number, signal }))
    }

    /// Line 9 was moved to input 20, and counts while it is low.
    fn moved() -> Controllers {
        let mut controllers = Controllers::default();
        controllers.lead(9, Input { number: 20, signal: FALLING });
        controllers
    }

    #[test]
    fn old_lines_come_through_the_8259s_where_there_are_any() {
        let way = |chosen, number| way(chosen, &moved(), number, Some(FALLING));
        for line in [0, 9, 15] {
            assert_eq!(way(Lines::Both, line.into()), Some(Way::Pic(line)));
        }
        assert_eq!(way(Lines::Pic, 15), Some(Way::Pic(15)));
        assert_eq!(way(Lines::Both, 16), input(16, FALLING));
        assert_eq!([16, 255, 256, u32::MAX].map(|line| way(Lines::Pic, line)), [None; 4]);
    }

    #[test]
    fn without_8259s_an_old_line_comes_to_where_firmware_moved_it() {
        let way = |number| way(Lines::IoApic, &moved(), number, None);
        assert_eq!((way(9), way(10)), (input(20, FALLING), input(10, Signal::RISING)));
        assert_eq!(way(u32::MAX), input(u32::MAX, Signal::RISING));
    }

    #[test]
    fn a_device_knows_better_than_firmware_what_its_signal_is() {
        assert_eq!(way(Lines::IoApic, &moved(), 9, Some(Signal::RISING)), input(20, Signal::RISING));
    }

    #[test]
    fn without_controllers_nothing_arrives() {
        assert_eq!([0, 16, 300].map(|line| way(Lines::None, &moved(), line, None)), [None; 3]);
    }

    #[test]
    fn an_input_has_one_place_whoever_asks() {
        let (mut places, mut led) = (Places::<3>::new(), vec![]);
        let mut of = |input| {
            places.of(input, |place| {
                led.push((input, place));
                true
            })
        };
        assert_eq!([20, 7, 20, 7].map(&mut of), [Some(16), Some(17), Some(16), Some(17)]);
        assert_eq!(led, [(20, 16), (7, 17)]);
        assert_eq!(
            [15, 16, 17, 18, 0].map(|place| places.input(place)),
            [None, Some(20), Some(7), None, None]
        );
    }

    #[test]
    fn a_place_that_nothing_could_be_led_to_is_the_next_ones() {
        let mut places = Places::<3>::new();
        assert_eq!(places.of(99, |_| false), None);
        assert_eq!(places.of(7, |_| true), Some(16));
        assert_eq!(places.of(99, |place| place == 17), Some(17), "it may be tried again");
    }

    #[test]
    fn when_all_places_are_taken_no_more_is_led_anywhere() {
        let mut places = Places::<2>::new();
        let of: Vec<_> = (30..34).map(|input| places.of(input, |_| true)).collect();
        assert_eq!(of, [Some(16), Some(17), None, None]);
        assert_eq!(places.of(34, |_| panic!("there is none")), None);
        assert_eq!(places.of(31, |_| panic!("it was led")), Some(17));
    }
}
