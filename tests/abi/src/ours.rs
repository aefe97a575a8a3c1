// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `xen-sys` says.

use crate::Facts;

include!(concat!(env!("OUT_DIR"), "/ours.rs"));

/// Every fact about every public item of `xen-sys`.
pub fn facts() -> Facts {
    let integers = INTEGERS.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
    let texts = TEXTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    integers.chain(texts).collect()
}

const fn field_size<T, F>(_projection: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

const fn element_size<T, E, const N: usize>(_projection: fn(&T) -> &[E; N]) -> usize {
    size_of::<E>()
}
