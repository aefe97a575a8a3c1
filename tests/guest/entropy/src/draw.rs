// SPDX-License-Identifier: MIT OR Apache-2.0
use prism::entropy::Random;
use prism::entropy::rand_core::Rng;

/// A version 4 UUID (RFC 9562, section 5.4).
pub(crate) fn new_uuid() -> u128 {
    let mut bytes = [0; 16];
    Random.fill_bytes(&mut bytes);
    let random = u128::from_be_bytes(bytes);
    random & !(0xf << 76) & !(3 << 62) | 4 << 76 | 2 << 62
}
