// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which queues of a disk are served.

/// How many queues of a disk are served, from the first on, which its frontend serves: each further one by a
/// task on the vCPU of the same number, whose requests it takes, as far as `serve` can start one. `vcpus` are
/// those that run, in order.
pub fn spread(vcpus: &[u32], mut serve: impl FnMut(u32) -> bool) -> u32 {
    // The first vCPUs have the first numbers, unless one did not start.
    let further = (1..).zip(vcpus.iter().skip(1));
    let served = further.take_while(|(queue, vcpu)| queue == *vcpu && serve(**vcpu)).count();
    1 + served as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many queues are served where vCPU `full` has no room for a task, and by which vCPUs.
    fn served(vcpus: &[u32], full: u32) -> (u32, Vec<u32>) {
        let mut started = Vec::new();
        let count = spread(vcpus, |vcpu| {
            let has_room = vcpu != full;
            started.extend(has_room.then_some(vcpu));
            has_room
        });
        (count, started)
    }

    #[test]
    fn each_further_queue_is_served_by_its_own_vcpu() {
        assert_eq!(served(&[0, 1, 2, 3], 9), (4, vec![1, 2, 3]));
        assert_eq!((served(&[0], 9), served(&[], 9)), ((1, vec![]), (1, vec![])));
    }

    #[test]
    fn behind_a_vcpu_that_did_not_start_no_queue_is_served() {
        assert_eq!(served(&[0, 1, 3], 9), (2, vec![1]));
        assert_eq!(served(&[0, 2, 3], 9), (1, vec![]));
    }

    #[test]
    fn where_there_is_no_room_for_a_task_the_queues_before_it_are_served() {
        assert_eq!(served(&[0, 1, 2, 3], 2), (2, vec![1]));
    }
}
