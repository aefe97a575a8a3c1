// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domain numbers.

/// Number of a domain (`domid_t` of `xen.h`). Dom0 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub u16);
