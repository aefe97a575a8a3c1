// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_fuzz::fuzz_target;
use xen::fake::event_exercise::{Operation, machines, run};

/// More only takes longer.
const MOST_OPERATIONS: usize = 400;

fuzz_target!(|input: (u8, Vec<[u8; 2]>)| {
    let (machine, operations) = input;
    let machines = machines();
    let machine = machines[usize::from(machine) % machines.len()];
    run(machine, operations.into_iter().take(MOST_OPERATIONS).map(Operation::from));
});
