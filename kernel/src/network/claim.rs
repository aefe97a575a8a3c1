// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may have an interface's stack. It is handed out once; whoever asked in vain may ask again, and gets
//! the stack that was started for him, as an interface has one.

use embassy_net::Stack;
use prism_arch::vcpu;
use prism_boot::command_line::INTERFACES;
use spin::Mutex;

use super::NetworkError;

static INTERFACE: [Mutex<State>; INTERFACES] = [const { Mutex::new(State::Free) }; INTERFACES];

/// What has become of an interface's stack.
enum State {
    /// There is none.
    Free,
    /// Somebody waits for it.
    Claimed,
    /// It runs, and nobody has it.
    Kept(Kept),
    /// It was handed out.
    HandedOut,
}

/// A stack, and the vCPU that it belongs to.
struct Kept {
    vcpu: u32,
    stack: Stack<'static>,
}

// SAFETY: the stack is made, used and copied on one vCPU only: `Claim::on` looks at its number before.
unsafe impl Send for Kept {}

/// The right to an interface's stack. If it is dropped, somebody else may ask.
pub(super) struct Claim {
    state: &'static Mutex<State>,
    stack: Option<Stack<'static>>,
}

impl Claim {
    /// The right to the stack of interface `index`.
    ///
    /// # Errors
    ///
    /// If there can be no such interface, or somebody else has its stack, waits for it, or did on another
    /// vCPU.
    pub(super) fn on(index: usize) -> Result<Self, NetworkError> {
        let state = INTERFACE.get(index).ok_or(NetworkError::Absent)?;
        let mut now = state.lock();
        let stack = match &*now {
            State::Free => None,
            State::Kept(kept) if kept.vcpu == vcpu::number() => Some(kept.stack),
            State::Claimed | State::Kept(_) | State::HandedOut => return Err(NetworkError::Taken),
        };
        *now = State::Claimed;
        Ok(Self { state, stack })
    }

    /// The stack, if there is one already.
    pub(super) fn stack(&self) -> Option<Stack<'static>> {
        self.stack
    }

    /// Keeps a stack that was started on this vCPU for who asks next, and returns it.
    pub(super) fn keep(&mut self, stack: Stack<'static>) -> Stack<'static> {
        *self.stack.insert(stack)
    }

    /// The stack is handed out.
    pub(super) fn hand_out(self) {
        *self.state.lock() = State::HandedOut;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut now = self.state.lock();
        if let State::Claimed = *now {
            let kept = self.stack.map(|stack| State::Kept(Kept { vcpu: vcpu::number(), stack }));
            *now = kept.unwrap_or(State::Free);
        }
    }
}
