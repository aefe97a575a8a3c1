// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples in the documentation of `prism::task`.

pub(crate) mod embassy;
pub(crate) mod spawning;
pub(crate) mod waiting;
