// SPDX-License-Identifier: MIT OR Apache-2.0
//! The board that QEMU gives a guest, where that is not its usual one.

/// What differs from QEMU's usual board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Which board it is, and its properties; empty for the usual one.
    machine: &'static str,
    /// Properties of its processors, with a comma before each.
    pub processor: &'static str,
    /// More options.
    pub options: &'static [&'static str],
}

impl Board {
    /// The usual one.
    pub const USUAL: Self = Self { machine: "", processor: "", options: &[] };

    /// One of this kind, with these properties.
    pub const fn of(machine: &'static str) -> Self {
        Self { machine, ..Self::USUAL }
    }

    /// The same, but its processors have these properties, with a comma before each.
    pub const fn processor(self, processor: &'static str) -> Self {
        Self { processor, ..self }
    }

    /// The same with more options.
    pub const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// Whether it is one without PCI, whose devices have their registers in memory.
    pub fn is_micro(&self) -> bool {
        self.machine.starts_with("microvm")
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
    }

    #[test]
    fn properties_and_options_are_passed_on() {
        let board = Board::of("microvm,acpi=off").options(&["-global", "a.b=c"]);
        assert_eq!(board.words().collect::<Vec<_>>(), ["-M", "microvm,acpi=off", "-global", "a.b=c"]);
        assert!(board.is_micro());
    }
}
