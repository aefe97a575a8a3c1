// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]

pub mod comparison;
pub mod newer;
pub mod ours;
pub mod probe;

use std::collections::BTreeMap;

/// What one side says: name of a fact, such as `sched_poll.timeout: offset`, and its value.
pub type Facts = BTreeMap<String, String>;
