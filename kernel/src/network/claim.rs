// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may have an interface's stack. It is handed out once; whoever asked in vain may ask again, and gets
//! the stack that was started for him, as an interface has one.

use embassy_net::Stack;
use prism_arch::vcpu;
use prism_boot::command_line::INTERFACES;
use prism_executor::claim::{self, Only};

use super::NetworkError;

static INTERFACE: [Only<Kept>; INTERFACES] = [const { Only::new() }; INTERFACES];

/// A stack that was started.
#[derive(Clone, Copy)]
struct Kept(Stack<'static>);

// SAFETY: the stack is made, used and copied on one vCPU only: a claim looks at its number before, and stays
// there.
unsafe impl Send for Kept {}

/// The right to an interface's stack. If it is dropped, somebody else may ask.
pub(super) struct Claim(claim::Claim<'static, Kept>);

impl Claim {
    /// The right to the stack of interface `index`.
    ///
    /// # Errors
    ///
    /// If there can be no such interface, or somebody else has its stack, waits for it, or did on another
    /// vCPU.
    pub(super) fn on(index: usize) -> Result<Self, NetworkError> {
        let only = INTERFACE.get(index).ok_or(NetworkError::Absent)?;
        only.claim(vcpu::number()).map(Self).ok_or(NetworkError::Taken)
    }

    /// The stack, if there is one already.
    pub(super) fn stack(&self) -> Option<Stack<'static>> {
        self.0.made().map(|Kept(stack)| stack)
    }

    /// Keeps a stack that was started on this vCPU for who asks next, and returns it.
    pub(super) fn keep(&mut self, stack: Stack<'static>) -> Stack<'static> {
        self.0.keep(Kept(stack)).0
    }

    /// The stack is handed out.
    pub(super) fn hand_out(self) {
        self.0.hand_out();
    }
}
