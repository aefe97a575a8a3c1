// SPDX-License-Identifier: MIT OR Apache-2.0
//! An I/O APIC, which routes interrupts of devices to the local APICs of CPUs (Intel 82093AA datasheet,
//! chapter 3).

use alloc::vec::Vec;

use crate::hal::Registers;

/// Bytes of registers that are used: the select register and the window (section 3.1).
pub const LENGTH: u64 = 0x20;

/// Where the number of a register is written, and then the register is.
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;

/// Register with the number of the last input, from bit 16 on.
const VERSION: u32 = 0x01;
/// The first of two registers for each input.
const ROUTES: u32 = 0x10;
/// Inputs that have registers: a register's number has 8 bits.
const MAX_INPUTS: u32 = (0x100 - ROUTES) / 2;

/// Bits of a route's lower half.
const LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
/// Where the local APIC's number is in the upper half.
const DESTINATION: u32 = 24;

/// Where an input leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The vector that is raised, which is to be acknowledged at the local APIC.
    pub vector: u8,
    /// Number of the local APIC of the CPU that takes it: one of 8 bits ("destination field", section 3.2.4).
    pub apic_id: u8,
    /// Whether it counts while it is active, and not only as it becomes so.
    pub level: bool,
    /// Whether it is active when it is low.
    pub low: bool,
}

/// An I/O APIC.
#[derive(Debug)]
pub struct IoApic<R: Registers> {
    registers: R,
    inputs: u32,
}

impl<R: Registers> IoApic<R> {
    /// That behind `registers`, of which no input leads anywhere from now on; `None` if there is none.
    pub fn new(registers: R) -> Option<Self> {
        let mut apic = Self { registers, inputs: 0 };
        let version = apic.read(VERSION);
        if version == 0 || version == !0 {
            return None;
        }
        apic.inputs = ((version >> 16 & 0xff) + 1).min(MAX_INPUTS);
        (0..apic.inputs).for_each(|input| apic.write(ROUTES + 2 * input, MASKED));
        Some(apic)
    }

    /// How many inputs it has.
    pub fn inputs(&self) -> u32 {
        self.inputs
    }

    /// Leads `input` there from now on; false if there is no such input.
    pub fn lead(&self, input: u32, route: Route) -> bool {
        if input >= self.inputs {
            return false;
        }
        let level = if route.level { LEVEL } else { 0 };
        let low = if route.low { LOW } else { 0 };
        let register = ROUTES + 2 * input;
        // The half that opens it comes last.
        self.write(register + 1, u32::from(route.apic_id) << DESTINATION);
        self.write(register, u32::from(route.vector) | level | low);
        true
    }

    fn read(&self, register: u32) -> u32 {
        self.registers.write_u32(SELECT, register);
        self.registers.read_u32(WINDOW)
    }

    fn write(&self, register: u32, value: u32) {
        self.registers.write_u32(SELECT, register);
        self.registers.write_u32(WINDOW, value);
    }
}

/// The I/O APICs of a machine, whose inputs are counted through.
#[derive(Debug)]
pub struct IoApics<R: Registers>(Vec<(u32, IoApic<R>)>);

impl<R: Registers> Default for IoApics<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Of each, the number of its first input.
impl<R: Registers> FromIterator<(u32, IoApic<R>)> for IoApics<R> {
    fn from_iter<I: IntoIterator<Item = (u32, IoApic<R>)>>(apics: I) -> Self {
        Self(apics.into_iter().collect())
    }
}

impl<R: Registers> IoApics<R> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leads the input of this number among all of them there from now on; false if there is no such input.
    pub fn lead(&self, number: u32, route: Route) -> bool {
        let leads = |(first, apic): &(u32, IoApic<R>)| {
            number.checked_sub(*first).is_some_and(|input| apic.lead(input, route))
        };
        self.0.iter().any(leads)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// One with 24 inputs, all of which firmware has left open; it remembers what was written in order.
    struct Fake {
        selected: Cell<u32>,
        version: u32,
        written: RefCell<Vec<(u32, u32)>>,
    }

    impl Fake {
        fn new(version: u32) -> Self {
            Self { selected: Cell::new(0), version, written: RefCell::default() }
        }
    }

    impl Registers for Fake {
        fn read_u32(&self, offset: usize) -> u32 {
            assert_eq!(offset, WINDOW);
            if self.selected.get() == VERSION { self.version } else { 0 }
        }
        fn write_u32(&self, offset: usize, value: u32) {
            match offset {
                SELECT => self.selected.set(value),
                WINDOW => self.written.borrow_mut().push((self.selected.get(), value)),
                _ => panic!("there is no register at {offset:#x}"),
            }
        }
    }

    const ROUTE: Route = Route { vector: 0x35, apic_id: 3, level: false, low: false };

    #[test]
    fn what_firmware_left_open_is_closed() {
        let apic = IoApic::new(Fake::new(0x0017_0011)).unwrap();
        assert_eq!(apic.inputs(), 24);
        let closed: Vec<_> = (0..24).map(|input| (0x10 + 2 * input, 1 << 16)).collect();
        assert_eq!(*apic.registers.written.borrow(), closed);
    }

    #[test]
    fn a_route_is_opened_when_its_destination_is_known() {
        let apic = IoApic::new(Fake::new(0x0017_0011)).unwrap();
        apic.registers.written.borrow_mut().clear();
        assert!(apic.lead(5, ROUTE));
        assert!(apic.lead(23, Route { level: true, low: true, ..ROUTE }));
        let expected = [(0x1b, 3 << 24), (0x1a, 0x35), (0x3f, 3 << 24), (0x3e, 0xa035)];
        assert_eq!(*apic.registers.written.borrow(), expected);
    }

    #[test]
    fn an_input_that_is_not_there_leads_nowhere() {
        let apic = IoApic::new(Fake::new(0x0017_0011)).unwrap();
        apic.registers.written.borrow_mut().clear();
        assert!(!apic.lead(24, ROUTE) && !apic.lead(u32::MAX, ROUTE));
        assert!(apic.registers.written.borrow().is_empty());
    }

    #[test]
    fn more_inputs_than_have_registers_are_not_believed() {
        let apic = IoApic::new(Fake::new(0x00ff_0011)).unwrap();
        assert_eq!(apic.inputs(), 120);
        assert!(apic.registers.written.borrow().iter().all(|(register, _)| *register <= 0xff));
        assert!(apic.lead(119, ROUTE) && !apic.lead(120, ROUTE));
    }

    #[test]
    fn inputs_are_counted_through_several_of_them() {
        let apics: IoApics<_> = [24, 0, 60]
            .map(|first| (first, IoApic::new(Fake::new(0x0017_0011)).unwrap()))
            .into_iter()
            .collect();
        let written = |index: usize| std::mem::take(&mut *apics.0[index].1.registers.written.borrow_mut());
        (0..3).for_each(|index| drop(written(index)));
        assert!(apics.lead(23, ROUTE) && apics.lead(25, ROUTE));
        assert_eq!(
            [0, 1, 2].map(|index| written(index).last().copied()),
            [Some((0x12, 0x35)), Some((0x3e, 0x35)), None]
        );
        assert!(!apics.lead(48, ROUTE) && !apics.lead(59, ROUTE) && !apics.lead(u32::MAX, ROUTE));
        assert!(apics.lead(83, ROUTE) && !apics.lead(84, ROUTE));
        assert!(!apics.is_empty() && IoApics::<Fake>::default().is_empty());
    }

    #[test]
    fn where_nothing_answers_there_is_none() {
        assert!(IoApic::new(Fake::new(!0)).is_none());
        assert!(IoApic::new(Fake::new(0)).is_none());
    }
}
