// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CPU's local APIC: its timer, and interrupts to other CPUs (Intel SDM volume 3, chapter 11; offsets are
//! those of the register page).

use core::fmt;

/// How the registers of the local APIC of the CPU that runs this are reached: a page of memory
/// (xAPIC) or model-specific registers (x2APIC).
pub trait Registers {
    /// Reads the register at `offset` of the register page.
    fn read(&self, offset: u16) -> u32;
    /// Writes the register at `offset` of the register page.
    fn write(&self, offset: u16, value: u32);
    /// Number of this CPU.
    fn id(&self) -> u32;
    /// Writes the interrupt command register: `command` for CPU `destination`. Says whether it was
    /// accepted: xAPIC knows 8-bit numbers only.
    fn command(&self, destination: u32, command: u32) -> bool;
    /// Sets the time stamp at which the timer fires in [deadline mode](LocalApic::use_deadlines).
    fn write_deadline(&self, timestamp: u64);
}

const TASK_PRIORITY: u16 = 0x080;
const SPURIOUS: u16 = 0x0f0;
const ERROR_STATUS: u16 = 0x280;
const TIMER: u16 = 0x320;
const PIN_0: u16 = 0x350;
const PIN_1: u16 = 0x360;
const INITIAL_COUNT: u16 = 0x380;
const CURRENT_COUNT: u16 = 0x390;
const DIVIDER: u16 = 0x3e0;

/// Bit of the spurious-interrupt register that switches the APIC on.
const ENABLE: u32 = 1 << 8;
/// Bit of a local vector that keeps it from arriving.
const MASKED: u32 = 1 << 16;
/// Delivery mode of a pin to which the old interrupt controllers are wired.
const EXTERNAL: u32 = 0b111 << 8;
/// Timer mode: once, at a time stamp.
const AT_DEADLINE: u32 = 0b10 << 17;
/// The timer counts every tick of the bus.
const BY_ONE: u32 = 0b1011;

/// Commands: deliver a vector; initialise; start at a page.
const FIXED: u32 = 0b000 << 8;
const INIT: u32 = 0b101 << 8;
const STARTUP: u32 = 0b110 << 8;
/// The level of every command but a special form of INIT.
const ASSERT: u32 = 1 << 14;

/// A CPU whose number this APIC cannot address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable(pub u32);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {} is beyond the reach of this APIC", self.0)
    }
}

impl core::error::Error for Unreachable {}

/// The local APIC of whichever CPU runs the call.
#[derive(Debug)]
pub struct LocalApic<R: Registers> {
    registers: R,
}

impl<R: Registers> LocalApic<R> {
    /// That behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self { registers }
    }

    /// The registers.
    pub const fn registers(&self) -> &R {
        &self.registers
    }

    /// Switches it on: every vector gets through, none comes from the pins or the timer yet.
    /// `spurious` is the vector of interrupts that went away again. Each CPU does this for itself.
    pub fn enable(&self, spurious: u8) {
        for pin in [TIMER, PIN_0, PIN_1] {
            self.registers.write(pin, MASKED);
        }
        self.registers.write(TASK_PRIORITY, 0);
        self.registers.write(SPURIOUS, ENABLE | u32::from(spurious));
        // Errors from before are nobody's: the register is cleared by writing it.
        self.registers.write(ERROR_STATUS, 0);
    }

    /// Number of this CPU, as the others address it.
    pub fn own_id(&self) -> u32 {
        self.registers.id()
    }

    /// Raises `vector` on CPU `id`.
    ///
    /// # Errors
    ///
    /// [`Unreachable`].
    pub fn send(&self, id: u32, vector: u8) -> Result<(), Unreachable> {
        self.command(id, FIXED | ASSERT | u32::from(vector))
    }

    /// Resets CPU `id`, which then waits to be started.
    ///
    /// # Errors
    ///
    /// [`Unreachable`].
    pub fn send_init(&self, id: u32) -> Result<(), Unreachable> {
        self.command(id, INIT | ASSERT)
    }

    /// Has CPU `id`, which waits after [`send_init`](Self::send_init), begin in real mode at the
    /// page with number `page`, which is below 1 MiB. A second one does nothing to a CPU that runs.
    ///
    /// # Errors
    ///
    /// [`Unreachable`].
    pub fn send_startup(&self, id: u32, page: u8) -> Result<(), Unreachable> {
        self.command(id, STARTUP | ASSERT | u32::from(page))
    }

    fn command(&self, id: u32, command: u32) -> Result<(), Unreachable> {
        if self.registers.command(id, command) { Ok(()) } else { Err(Unreachable(id)) }
    }

    /// Lets interrupts of the 8259s through, which are wired to the first pin.
    pub fn let_pic_through(&self) {
        self.registers.write(PIN_0, EXTERNAL);
    }

    /// The timer raises `vector` when a time stamp has been reached; see [`fire_at`](Self::fire_at).
    pub fn use_deadlines(&self, vector: u8) {
        self.registers.write(TIMER, AT_DEADLINE | u32::from(vector));
    }

    /// Fires once the time-stamp counter has reached `timestamp`, at once if it has. Replaces an
    /// earlier deadline.
    pub fn fire_at(&self, timestamp: u64) {
        // Zero would switch the timer off.
        self.registers.write_deadline(timestamp.max(1));
    }

    /// The timer raises `vector` when it has counted down; see [`fire_after`](Self::fire_after).
    pub fn use_counts(&self, vector: u8) {
        self.registers.write(DIVIDER, BY_ONE);
        self.registers.write(TIMER, u32::from(vector));
    }

    /// Fires once the timer has counted `ticks`. Replaces an earlier count. What is longer than the
    /// counter is wide fires early.
    pub fn fire_after(&self, ticks: u64) {
        // Zero would switch the timer off.
        self.registers.write(INITIAL_COUNT, u32::try_from(ticks.max(1)).unwrap_or(u32::MAX));
    }

    /// How fast the timer counts, in kHz, watched while `wait` lets time pass and says how many
    /// nanoseconds that were. `None` if it does not count.
    pub fn measure_khz(&self, wait: impl FnOnce() -> u64) -> Option<u64> {
        self.registers.write(DIVIDER, BY_ONE);
        self.registers.write(TIMER, MASKED);
        self.registers.write(INITIAL_COUNT, u32::MAX);
        let before = self.registers.read(CURRENT_COUNT);
        let nanoseconds = wait();
        let after = self.registers.read(CURRENT_COUNT);
        self.registers.write(INITIAL_COUNT, 0);
        let ticks = u64::from(before.checked_sub(after)?);
        ticks.saturating_mul(1_000_000).checked_div(nanoseconds).filter(|khz| *khz != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    use super::*;

    /// An APIC whose counter goes down by 1000 with every look, and that takes 8-bit numbers.
    #[derive(Default)]
    struct Fake {
        registers: RefCell<HashMap<u16, u32>>,
        commands: RefCell<Vec<(u32, u32)>>,
        deadline: Cell<u64>,
        step: u32,
    }

    impl Registers for Fake {
        fn read(&self, offset: u16) -> u32 {
            let mut registers = self.registers.borrow_mut();
            if offset == CURRENT_COUNT {
                let count = registers.entry(INITIAL_COUNT).or_default();
                *count = count.wrapping_sub(self.step);
                return *count;
            }
            registers.get(&offset).copied().unwrap_or(0)
        }
        fn write(&self, offset: u16, value: u32) {
            self.registers.borrow_mut().insert(offset, value);
        }
        fn id(&self) -> u32 {
            3
        }
        fn command(&self, destination: u32, command: u32) -> bool {
            self.commands.borrow_mut().push((destination, command));
            destination < 256
        }
        fn write_deadline(&self, timestamp: u64) {
            self.deadline.set(timestamp);
        }
    }

    #[test]
    fn once_enabled_it_takes_every_vector_and_raises_none_by_itself() {
        let apic = LocalApic::new(Fake::default());
        apic.enable(0xff);
        let registers = apic.registers.registers.borrow();
        assert_eq!((registers[&SPURIOUS], registers[&TASK_PRIORITY]), (0x1ff, 0));
        assert!([TIMER, PIN_0, PIN_1].iter().all(|pin| registers[pin] == MASKED));
    }

    #[test]
    fn a_cpu_is_started_by_the_commands_of_the_manual() {
        let apic = LocalApic::new(Fake::default());
        apic.send_init(1).unwrap();
        apic.send_startup(1, 0x9a).unwrap();
        assert_eq!(*apic.registers.commands.borrow(), [(1, 0x4500), (1, 0x469a)]);
    }

    #[test]
    fn a_cpu_out_of_reach_is_named() {
        let apic = LocalApic::new(Fake::default());
        assert_eq!(apic.send(300, 0x40), Err(Unreachable(300)));
    }

    #[test]
    fn a_time_that_is_over_still_fires() {
        let apic = LocalApic::new(Fake::default());
        apic.fire_after(0);
        apic.fire_at(0);
        assert_eq!(apic.registers.registers.borrow()[&INITIAL_COUNT], 1);
        assert_eq!(apic.registers.deadline.get(), 1);
    }

    #[test]
    fn a_count_beyond_the_counter_fires_early() {
        let apic = LocalApic::new(Fake::default());
        apic.fire_after(u64::MAX);
        assert_eq!(apic.registers.registers.borrow()[&INITIAL_COUNT], u32::MAX);
    }

    #[test]
    fn ticks_while_waiting_give_the_frequency() {
        let apic = LocalApic::new(Fake { step: 100_000, ..Fake::default() });
        assert_eq!(apic.measure_khz(|| 1_000_000), Some(100_000));
    }

    #[test]
    fn a_timer_that_stands_still_is_none() {
        let apic = LocalApic::new(Fake::default());
        assert_eq!(apic.measure_khz(|| 1_000_000), None);
    }
}
