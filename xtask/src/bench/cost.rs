// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest costs Xen, by Xen's own trace, which shell scripts make with the functions of `cost.sh`.

/// What Xen counted for a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Hypercalls of a PV domain; exits of any other, but for the machine's own interrupts.
    pub(super) entries: u64,
    /// Events raised.
    pub(super) notifications: u64,
    /// Cycles that its vCPUs ran.
    pub(super) cycles: u64,
}

impl Cost {
    /// Without what another one cost.
    pub(super) const fn beyond(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(other.entries),
            notifications: self.notifications.saturating_sub(other.notifications),
            cycles: self.cycles.saturating_sub(other.cycles),
        }
    }

    /// From `xenalyze`'s summary: the block of the one domain that is neither dom0 nor Xen's idle
    /// domain. One that slept all the time has none.
    pub(super) fn of_summary(summary: &str) -> Option<Self> {
        let Some(block) = guest(summary) else {
            return summary.contains("|-- Domain 0 --|").then(Self::default);
        };
        let mut cost = Self::default();
        for line in block.lines() {
            let line = line.trim_start().trim_start_matches('[').replace(']', " ");
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            let mut numbers = words.filter_map(|word| word.parse::<u64>().ok());
            let Some(count) = numbers.next() else { continue };
            match name {
                // How often, and for how many cycles on average.
                "running:" => cost.cycles += count * numbers.next()?,
                "evtchn_op" => cost.notifications += count,
                "VMEXIT_INTR" => {}
                name if name == "hypercall" || name.starts_with("VMEXIT_") => cost.entries += count,
                _ => {}
            }
        }
        Some(cost)
    }

    /// The kinds of entries, and how many there were of each: hypercalls by their names, and exits that are
    /// not for a hypercall.
    pub(super) fn kinds(summary: &str) -> Vec<(&str, u64)> {
        guest(summary).unwrap_or_default().lines().filter_map(kind).collect()
    }
}

/// The guest's block of a summary.
fn guest(summary: &str) -> Option<&str> {
    let mut blocks = summary.split("|-- Domain ");
    blocks.find(|block| !block.starts_with("0 ") && !block.starts_with("32767 ") && block.contains(" --|"))
}

/// The kind that a line of a guest's block tells of, and how many there were.
fn kind(line: &str) -> Option<(&str, u64)> {
    let line = line.trim_start();
    if let Some((name, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
        return Some((name.trim(), rest.split_whitespace().next()?.parse().ok()?));
    }
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let second = words.next()?;
    match name {
        "VMEXIT_INTR" | "VMEXIT_VMMCALL" | "VMEXIT_VMCALL" => None,
        // A PV guest's hypercall, with its number in brackets.
        _ if second.starts_with('[') => Some((name, words.next_back()?.parse().ok()?)),
        _ if name.starts_with("VMEXIT_") => Some((name, second.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PV: &str = "|-- Domain 0 --|\n  hypercall  8355\n|-- Domain 2 --|\n Runstates:\n   full run:  9  0.01s \
                      3762699\n-- v0 --\n   running:  9  0.01s 3762699 {1|2|3}\n   hypercall  118\n    \
                      evtchn_op   [32]:  4\n|-- Domain 32767 --|\n  running: 3 0.1s 5\n";
    const PVH: &str = "|-- Domain 3 --|\n-- v0 --\n running: 2 0.01s 100\n-- v1 --\n running: 3 0.01s 100\n \
                       VMEXIT_INTR   6  0.01s\n VMEXIT_HLT   2  1.12s 24.86%\n VMEXIT_VMMCALL  32  0.04s\n   \
                       [ evtchn_op]  30  7.69s  8.06% 27 cyc {1|2|3}\n";

    #[test]
    fn only_the_guest_is_counted() {
        let cost = Cost { entries: 118, notifications: 4, cycles: 9 * 3_762_699 };
        assert_eq!(Cost::of_summary(PV), Some(cost));
        let cost = Cost { entries: 34, notifications: 30, cycles: 500 };
        assert_eq!(Cost::of_summary(PVH), Some(cost));
    }

    #[test]
    fn kinds_are_told_by_their_names() {
        assert_eq!(Cost::kinds(PV), [("evtchn_op", 4)]);
        assert_eq!(Cost::kinds(PVH), [("VMEXIT_HLT", 2), ("evtchn_op", 30)]);
        assert_eq!(Cost::kinds("no trace"), []);
    }

    #[test]
    fn a_guest_that_slept_cost_nothing() {
        assert_eq!(Cost::of_summary("|-- Domain 0 --|\n  hypercall  8355\n"), Some(Cost::default()));
        assert_eq!(Cost::of_summary("no trace\n"), None);
    }
}
