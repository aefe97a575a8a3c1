// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which vCPUs to use.

/// How many vCPUs to use: those that Xen has `made`, but no more than firmware's tables have `listed` as
/// switched on. If one of the two is unknown, the other one counts; if both are, there is one.
pub fn count(made: Option<u32>, listed: usize) -> u32 {
    let listed = u32::try_from(listed).ok().filter(|count| *count != 0);
    made.into_iter().chain(listed).min().unwrap_or(1)
}

/// The numbers of the vCPUs to start, of `count`: all but the boot vCPU and those that are known to be
/// offline.
pub fn others(count: u32, online: Option<&[bool]>) -> impl Iterator<Item = u32> + '_ {
    let is_off = move |number: u32| online.is_some_and(|online| online.get(number as usize) == Some(&false));
    (1..count).filter(move |number| !is_off(*number))
}

/// Those of the `others` to start: none if they cannot kick the boot vCPU, as it would sleep though they had
/// woken one of its tasks.
pub fn startable(others: &[u32], has_kick: bool) -> &[u32] {
    if has_kick { others } else { &[] }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn others(count: u32, online: Option<&[bool]>) -> Vec<u32> {
        super::others(count, online).collect()
    }

    #[test]
    fn the_smallest_known_count_is_used() {
        assert_eq!([count(None, 0), count(Some(4), 0), count(None, 3)], [1, 4, 3]);
        assert_eq!([count(Some(4), 2), count(Some(2), 4)], [2, 2]);
    }

    #[test]
    fn offline_vcpus_are_not_started() {
        assert_eq!(others(4, None), vec![1, 2, 3]);
        assert_eq!(others(4, Some(&[true, false, true, false])), vec![2]);
        assert_eq!(others(4, Some(&[false, true])), vec![1, 2, 3], "nothing is said of the last ones");
        assert_eq!((others(1, None), others(0, None)), (vec![], vec![]));
    }

    #[test]
    fn without_a_kick_no_other_vcpu_is_started() {
        assert_eq!(startable(&[1, 2], true), [1, 2]);
        assert!(startable(&[1, 2], false).is_empty());
    }
}
