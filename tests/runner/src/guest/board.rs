// SPDX-License-Identifier: MIT OR Apache-2.0
//! The board that QEMU gives a guest, where that is not its usual one.

/// What differs from QEMU's usual board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Which board it is, and its properties; empty for the usual one.
    machine: &'static str,
    /// Properties of its processors.
    processor: &'static [&'static str],
    /// What its console is.
    console: Console,
    /// More options of QEMU's.
    options: &'static [&'static str],
}

/// The device behind a guest's console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// The board's own: a serial port, or Xen's console.
    #[default]
    Own,
    /// A virtio device. Nobody reads a serial port then.
    Virtio,
}

impl Board {
    /// The usual one.
    pub const USUAL: Self = Self { machine: "", processor: &[], console: Console::Own, options: &[] };

    /// One of this kind, with these properties.
    pub const fn of(machine: &'static str) -> Self {
        Self { machine, ..Self::USUAL }
    }

    /// The same, but its processors have these properties, such as `-apic`.
    pub const fn with_processor(self, processor: &'static [&'static str]) -> Self {
        Self { processor, ..self }
    }

    /// The same, but its console is this one.
    pub const fn with_console(self, console: Console) -> Self {
        Self { console, ..self }
    }

    /// What its console is.
    pub const fn console(&self) -> Console {
        self.console
    }

    /// The same with these options of QEMU's.
    pub const fn with_options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// Whether it is one without PCI, whose devices have their registers in memory.
    pub fn is_micro(&self) -> bool {
        self.machine.starts_with("microvm")
    }

    /// QEMU's words for its processors, which are of this model but for their properties.
    pub fn processor(&self, model: &str) -> String {
        [&[model], self.processor].concat().join(",")
    }

    /// QEMU's words for the board itself.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let machine = (!self.machine.is_empty()).then_some(["-M", self.machine]);
        machine.into_iter().flatten().chain(self.options.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_board_takes_no_words() {
        assert_eq!(Board::USUAL.words().count(), 0);
        assert!(!Board::USUAL.is_micro());
        assert_eq!(Board::USUAL.processor("host"), "host");
    }

    #[test]
    fn properties_and_options_are_passed_on() {
        let board = Board::of("microvm,acpi=off").with_options(&["-global", "a.b=c"]);
        assert_eq!(board.words().collect::<Vec<_>>(), ["-M", "microvm,acpi=off", "-global", "a.b=c"]);
        assert!(board.is_micro());
        let board = board.with_processor(&["-apic", "xen-vapic=on"]);
        assert_eq!(board.processor("host"), "host,-apic,xen-vapic=on");
    }
}
