// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hook in front of the stack.

use super::gso::GsoInfo;

/// Sees what an interface receives before its stack does, as a hook of netfilter's (`NF_INET_PRE_ROUTING`)
/// sees it.
pub trait Hook: Send + Sync {
    /// Whether it has taken `frame`, whose checksum is right; what there is to tell of it if it is several
    /// TCP segments. What it does not take is the stack's.
    fn takes(&self, frame: &[u8], gso: Option<GsoInfo>) -> bool;
}
