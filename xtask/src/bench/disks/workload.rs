// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured.

/// Reads of a disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    order: &'static str,
    depth: u32,
    size: u32,
    /// Requests of a run.
    requests: u64,
}

/// All of them.
pub(super) const ALL: [Workload; 3] = [
    Workload { name: "4 KiB random, QD1 (a read)", order: "random", depth: 1, size: 4 << 10, requests: 2000 },
    Workload {
        name: "4 KiB random, QD32 (a read)",
        order: "random",
        depth: 32,
        size: 4 << 10,
        requests: 20000,
    },
    Workload {
        name: "64 KiB sequential, QD1 (a read)",
        order: "sequential",
        depth: 1,
        size: 64 << 10,
        requests: 1000,
    },
];

impl Workload {
    /// Requests of a run.
    pub(super) const fn requests(&self, divisor: u64) -> u64 {
        self.requests / divisor
    }

    /// The word that has a guest read so.
    fn word(&self, requests: u64) -> String {
        format!("bench=xvda,{},{},{},{requests}", self.order, self.depth, self.size)
    }
}

/// The words for a guest: each workload by itself, then each between marks for those that trace, and
/// first of those nothing at all, which is what tracing costs.
pub(super) fn words(divisor: u64) -> String {
    let plain = ALL.iter().map(|workload| workload.word(workload.requests(divisor)));
    let nothing = std::iter::once(ALL[0].word(0));
    let traced = nothing.chain(ALL.iter().map(|workload| workload.word(workload.requests(divisor))));
    let traced = traced.map(|word| format!("mark=begin {word} mark=end"));
    plain.chain(traced).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_told_of_each_workload_twice_and_of_nothing_once() {
        assert_eq!(words(1).matches("bench=").count(), 2 * ALL.len() + 1);
        assert!(words(10).contains("mark=begin bench=xvda,random,1,4096,0 mark=end"));
        assert!(words(10).starts_with("bench=xvda,random,1,4096,200 "));
    }
}
