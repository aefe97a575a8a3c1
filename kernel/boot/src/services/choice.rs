// SPDX-License-Identifier: MIT OR Apache-2.0
//! A choice between methods, with the reasons against the better ones.

use core::fmt;

use arrayvec::ArrayVec;

/// A better way that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver<T> {
    /// The way.
    pub way: T,
    /// Why it was not taken.
    pub reason: &'static str,
}

/// The way chosen for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// The best way there is.
    pub chosen: T,
    /// The ways that would have been better on a machine of this kind, best first.
    pub passed_over: ArrayVec<PassedOver<T>, 6>,
}

/// What stands against a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// This, which is worth saying.
    Reason(&'static str),
    /// The machine is not of the kind that has it; said once, of the machine.
    Kind,
}

/// What stands against a way; `Ok` if nothing does.
pub(super) type Verdict = Result<(), Against>;

impl<T: Copy> Choice<T> {
    /// The first of `ways` that nothing stands against, or else `last`.
    pub(super) fn best<const N: usize>(ways: [(T, Verdict); N], last: T) -> Self {
        const { assert!(N <= 6) };
        let mut passed_over = ArrayVec::new();
        for (way, verdict) in ways {
            match verdict {
                Ok(()) => return Self { chosen: way, passed_over },
                Err(Against::Reason(reason)) => passed_over.extend([PassedOver { way, reason }]),
                Err(Against::Kind) => {}
            }
        }
        Self { chosen: last, passed_over }
    }
}

impl<T: fmt::Display> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chosen)?;
        for (index, PassedOver { way, reason }) in self.passed_over.iter().enumerate() {
            let before = if index == 0 { " (" } else { "; " };
            write!(f, "{before}not {way}: {reason}")?;
        }
        f.write_str(if self.passed_over.is_empty() { "" } else { ")" })
    }
}
