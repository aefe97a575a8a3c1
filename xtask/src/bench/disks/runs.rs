// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest says of its workloads.

/// The requests and nanoseconds of each workload, from a guest's console; `None` if one is missing.
pub(in crate::bench) fn runs<const N: usize>(console: &str) -> Option<[(f64, f64); N]> {
    let mut told = console.lines().filter_map(|line| {
        let (requests, time) = line.split_once("bench: ")?.1.split_once(" requests, ")?;
        Some((requests.parse().ok()?, time.trim_end().strip_suffix(" ns")?.parse().ok()?))
    });
    let mut runs = [(0.0, 0.0); N];
    for run in &mut runs {
        *run = told.next()?;
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_those_without_a_trace() {
        let console = "bench: 10 requests, 7 ns\r\nbench: 4 requests, 8 ns\nnoise\nbench: 5 requests, 9 ns\n\
                       mark begin\nbench: 0 requests, 1 ns\n";
        assert_eq!(runs(console), Some([(10.0, 7.0), (4.0, 8.0), (5.0, 9.0)]));
        assert_eq!(runs::<2>("bench: 10 requests, 7 ns\n"), None);
    }
}
