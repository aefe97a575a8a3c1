// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any list of operations does what the model does.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fake::exercise::{Operation, machines, run};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_list_of_operations_does_what_the_model_does(
        machine in 0..4_usize,
        operations in vec(any::<[u8; 2]>(), 0..200),
    ) {
        run(machines()[machine], operations.into_iter().map(Operation::from));
    }

    /// Starting with so few references free that the table is full most of the time.
    #[test]
    fn a_table_that_is_always_full_does_what_the_model_does(
        machine in 0..4_usize,
        operations in vec(any::<[u8; 2]>(), 0..100),
    ) {
        let fill = [Operation::Reserve(255); 4];
        run(machines()[machine], fill.into_iter().chain(operations.into_iter().map(Operation::from)));
    }
}
