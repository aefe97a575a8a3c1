// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of operations that nobody thought of.

use proptest::collection::vec;
use proptest::prelude::*;
use xen::fake::event_exercise::{Operation, machines, run};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_is_lost_and_none_is_invented(
        machine in 0..machines().len(),
        operations in vec(any::<[u8; 2]>(), 0..200),
    ) {
        run(machines()[machine], operations.into_iter().map(Operation::from));
    }
}
