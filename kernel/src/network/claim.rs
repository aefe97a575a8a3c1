// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ownership of an interface's stack. It is handed out once. After a failed attempt another one may follow,
//! and gets the stack that was started for the first.

use embassy_net::Stack;
use prism_arch::vcpu;
use prism_boot::command_line::INTERFACES;
use prism_executor::claim::{self, Only};

use super::NetworkError;

static INTERFACE: [Only<Kept>; INTERFACES] = [const { Only::new() }; INTERFACES];

/// A stack that was started.
#[derive(Clone, Copy)]
struct Kept(Stack<'static>);

// SAFETY: the stack is made, used and copied on one vCPU only: claims, and who asks for what was handed
// out, look at its number before, and stay there.
unsafe impl Send for Kept {}

/// The stack of interface `index`, if it was handed out on the calling vCPU.
pub(super) fn handed_out(index: usize) -> Option<Stack<'static>> {
    let Kept(stack) = INTERFACE.get(index)?.handed_out(vcpu::number())?;
    Some(stack)
}

/// The exclusive right to an interface's stack. Dropping it lets another caller try.
pub(super) struct Claim(claim::Claim<'static, Kept>);

impl Claim {
    /// Claims the stack of interface `index`.
    ///
    /// # Errors
    ///
    /// Fails if there can be no such interface, or if its stack is handed out, claimed, or belongs to another
    /// vCPU.
    pub(super) fn on(index: usize) -> Result<Self, NetworkError> {
        let only = INTERFACE.get(index).ok_or(NetworkError::Absent)?;
        only.claim(vcpu::number()).map(Self).ok_or(NetworkError::Taken)
    }

    /// The stack, if there is one already.
    pub(super) fn stack(&self) -> Option<Stack<'static>> {
        self.0.made().map(|Kept(stack)| stack)
    }

    /// Keeps a stack that was started on this vCPU for the next caller, and returns it.
    pub(super) fn keep(&mut self, stack: Stack<'static>) -> Stack<'static> {
        self.0.keep(Kept(stack)).0
    }

    /// Hands the stack out.
    pub(super) fn hand_out(self) {
        self.0.hand_out();
    }
}
