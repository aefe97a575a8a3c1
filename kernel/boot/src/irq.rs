// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which interrupt controller a device's IRQ comes through.
//!
//! An IRQ below 16 comes through the 8259s where there are any: firmware routes PCI's interrupts there, and
//! only ACPI's methods tell how else they are routed. All others come through an I/O APIC.

use arrayvec::ArrayVec;

use crate::firmware::controllers::{Controllers, Input, PIC_IRQS, Signal};
use crate::services::IrqChips;

/// The route of an IRQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqRoute {
    /// Through this input of the 8259s.
    Pic(u8),
    /// Through this input of the I/O APICs.
    IoApic(Input),
}

/// The route of IRQ `number` through the `chosen` controllers; `None` if there is none. Trigger and polarity
/// are what the device tells, else what firmware does.
#[must_use]
pub fn route(
    chosen: IrqChips,
    controllers: &Controllers,
    number: u32,
    signal: Option<Signal>,
) -> Option<IrqRoute> {
    let (pic, io_apic) = match chosen {
        IrqChips::Both => (true, true),
        IrqChips::Pic => (true, false),
        IrqChips::IoApic => (false, true),
        IrqChips::None => (false, false),
    };
    match u8::try_from(number) {
        Ok(line) if pic && usize::from(line) < PIC_IRQS => Some(IrqRoute::Pic(line)),
        _ if io_apic => {
            let told = controllers.input(number);
            Some(IrqRoute::IoApic(Input { signal: signal.unwrap_or(told.signal), ..told }))
        }
        _ => None,
    }
}

/// The slots at which inputs of I/O APICs arrive: `MOST` of them, behind those of the 8259s.
#[derive(Debug, Default)]
pub struct IrqSlots<const MOST: usize> {
    /// Input number `routed[i]` arrives at slot `PIC_IRQS + i`.
    routed: ArrayVec<u32, MOST>,
}

impl<const MOST: usize> IrqSlots<MOST> {
    /// No input is routed to any.
    #[must_use]
    pub const fn new() -> Self {
        Self { routed: ArrayVec::new_const() }
    }

    /// The slot of an input. An input without one gets the next free slot, if `route_input` succeeds for
    /// that. `None` if it fails, or if no slot is free.
    pub fn of(&mut self, input: u32, route_input: impl FnOnce(usize) -> bool) -> Option<usize> {
        if let Some(index) = self.routed.iter().position(|number| *number == input) {
            return PIC_IRQS.checked_add(index);
        }
        let slot = PIC_IRQS.checked_add(self.routed.len()).filter(|_| !self.routed.is_full())?;
        route_input(slot).then(|| {
            self.routed.push(input);
            slot
        })
    }

    /// The number of the input that is routed to a slot; `None` for a slot of the 8259s, and for one that
    /// nothing is routed to.
    #[must_use]
    pub fn input(&self, slot: usize) -> Option<u32> {
        self.routed.get(slot.checked_sub(PIC_IRQS)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::firmware::controllers::{Polarity, Trigger};

    const FALLING: Signal = Signal { trigger: Trigger::Level, polarity: Polarity::Low };

    fn input(number: u32, signal: Signal) -> Option<IrqRoute> {
        Some(IrqRoute::IoApic(Input { number, signal }))
    }

    /// Line 9 was moved to input 20, and counts while it is low.
    fn moved() -> Controllers {
        let mut controllers = Controllers::default();
        controllers.override_irq(9, Input { number: 20, signal: FALLING });
        controllers
    }

    #[test]
    fn legacy_irqs_come_through_the_8259s_where_there_are_any() {
        let route = |chosen, number| route(chosen, &moved(), number, Some(FALLING));
        for line in [0, 9, 15] {
            assert_eq!(route(IrqChips::Both, line.into()), Some(IrqRoute::Pic(line)));
        }
        assert_eq!(route(IrqChips::Pic, 15), Some(IrqRoute::Pic(15)));
        assert_eq!(route(IrqChips::Both, 16), input(16, FALLING));
        assert_eq!([16, 255, 256, u32::MAX].map(|line| route(IrqChips::Pic, line)), [None; 4]);
    }

    #[test]
    fn without_8259s_a_legacy_irq_comes_through_the_input_that_firmware_names() {
        let route = |number| route(IrqChips::IoApic, &moved(), number, None);
        assert_eq!((route(9), route(10)), (input(20, FALLING), input(10, Signal::RISING)));
        assert_eq!(route(u32::MAX), input(u32::MAX, Signal::RISING));
    }

    #[test]
    fn a_device_knows_better_than_firmware_what_its_signal_is() {
        assert_eq!(route(IrqChips::IoApic, &moved(), 9, Some(Signal::RISING)), input(20, Signal::RISING));
    }

    #[test]
    fn without_controllers_nothing_arrives() {
        assert_eq!([0, 16, 300].map(|line| route(IrqChips::None, &moved(), line, None)), [None; 3]);
    }

    #[test]
    fn an_input_has_one_slot_whoever_asks() {
        let (mut slots, mut routed) = (IrqSlots::<3>::new(), vec![]);
        let mut of = |input| {
            slots.of(input, |slot| {
                routed.push((input, slot));
                true
            })
        };
        assert_eq!([20, 7, 20, 7].map(&mut of), [Some(16), Some(17), Some(16), Some(17)]);
        assert_eq!(routed, [(20, 16), (7, 17)]);
        assert_eq!([15, 16, 17, 18, 0].map(|slot| slots.input(slot)), [None, Some(20), Some(7), None, None]);
    }

    #[test]
    fn a_slot_that_an_input_could_not_use_goes_to_the_next_one() {
        let mut slots = IrqSlots::<3>::new();
        assert_eq!(slots.of(99, |_| false), None);
        assert_eq!(slots.of(7, |_| true), Some(16));
        assert_eq!(slots.of(99, |slot| slot == 17), Some(17), "it may be tried again");
    }

    #[test]
    fn without_free_slots_no_further_input_is_routed() {
        let mut slots = IrqSlots::<2>::new();
        let of: Vec<_> = (30..34).map(|input| slots.of(input, |_| true)).collect();
        assert_eq!(of, [Some(16), Some(17), None, None]);
        assert_eq!(slots.of(34, |_| panic!("there is none")), None);
        assert_eq!(slots.of(31, |_| panic!("it was routed")), Some(17));
    }
}
