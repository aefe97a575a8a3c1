// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs and interrupt controllers: one plain struct that ACPI's tables or the MP table fill.

use arrayvec::ArrayVec;

/// CPUs that are kept of a longer list.
pub const MAX_CPUS: usize = 256;

/// I/O APICs that are kept.
pub const MAX_IO_APICS: usize = 8;

/// A PC's old interrupt lines: those of its 8259s.
pub const PIC_IRQS: usize = 16;

/// What firmware tells of CPUs and interrupt controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controllers {
    /// Local APIC numbers of the CPUs that can be started, in the order of the table; the first is
    /// not always the one that boots. Empty if no table tells.
    pub cpus: ArrayVec<u32, MAX_CPUS>,
    /// The I/O APICs.
    pub io_apics: ArrayVec<IoApic, MAX_IO_APICS>,
    /// By old line, where it arrives if that is not the input of the same number, as a rising edge.
    overrides: [Option<Input>; PIC_IRQS],
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Address of its registers.
    pub address: u64,
    /// Number of its first input among those of all I/O APICs.
    pub first: u32,
}

/// An input of the I/O APICs, and what is a signal there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its number among those of all I/O APICs ("global system interrupt").
    pub number: u32,
    /// What is a signal.
    pub signal: Signal,
}

/// When an input counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// As it changes, or for as long as it lasts.
    pub trigger: Trigger,
    /// Up or down.
    pub polarity: Polarity,
}

/// Whether a change counts, or a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A change.
    Edge,
    /// A state.
    Level,
}

/// Which way is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// Up.
    High,
    /// Down.
    Low,
}

impl Signal {
    /// That of the old lines, unless a table says otherwise.
    pub const RISING: Self = Self { trigger: Trigger::Edge, polarity: Polarity::High };

    /// What the flags of both kinds of tables mean for an old line (ACPI 6.5, table 5.25;
    /// MultiProcessor Specification 1.4, table 4-10).
    #[must_use]
    pub const fn of_flags(flags: u16) -> Self {
        let polarity = if flags & 0b11 == 0b11 { Polarity::Low } else { Polarity::High };
        let trigger = if flags >> 2 & 0b11 == 0b11 { Trigger::Level } else { Trigger::Edge };
        Self { trigger, polarity }
    }
}

impl Controllers {
    /// The input at which line `number` arrives: a table may have moved one of the old lines; others are
    /// known by the number of their input.
    #[must_use]
    pub fn input(&self, number: u32) -> Input {
        let moved = usize::try_from(number).ok().and_then(|line| self.overrides.get(line));
        moved.copied().flatten().unwrap_or(Input { number, signal: Signal::RISING })
    }

    /// Adds a CPU; those beyond the limit stay asleep.
    pub(crate) fn add_cpu(&mut self, id: u32) {
        if !self.cpus.contains(&id) {
            let _ = self.cpus.try_push(id);
        }
    }

    /// Adds an I/O APIC, unless it has no address; those beyond the limit stay silent.
    pub(crate) fn add_io_apic(&mut self, found: IoApic) {
        if found.address != 0 && !self.io_apics.contains(&found) {
            let _ = self.io_apics.try_push(found);
        }
    }

    /// Notes where an old line arrives; the first word on it counts.
    pub(crate) fn override_irq(&mut self, line: u8, input: Input) {
        if let Some(place) = self.overrides.get_mut(usize::from(line)) {
            place.get_or_insert(input);
        }
    }
}
