// SPDX-License-Identifier: MIT OR Apache-2.0
//! A choice between methods, with the reasons against the better ones.

use core::fmt;

use arrayvec::ArrayVec;

/// A better method that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver<T> {
    /// The method.
    pub method: T,
    /// Why it was not taken.
    pub reason: &'static str,
}

/// The method chosen for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    /// The best method there is.
    pub chosen: T,
    /// The methods that would have been better on a machine of this kind, best first.
    pub passed_over: ArrayVec<PassedOver<T>, 6>,
}

/// What stands against a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// This, which is worth saying.
    Reason(&'static str),
    /// The machine is not of the kind that has it; said once, of the machine.
    Kind,
}

/// What stands against a method; `Ok` if nothing does.
pub(super) type Verdict = Result<(), Against>;

impl<T: Copy> Choice<T> {
    /// The first of `methods` that nothing stands against, or else `last`.
    pub(super) fn best<const N: usize>(methods: [(T, Verdict); N], last: T) -> Self {
        const { assert!(N <= 6) };
        let mut passed_over = ArrayVec::new();
        for (method, verdict) in methods {
            match verdict {
                Ok(()) => return Self { chosen: method, passed_over },
                Err(Against::Reason(reason)) => passed_over.extend([PassedOver { method, reason }]),
                Err(Against::Kind) => {}
            }
        }
        Self { chosen: last, passed_over }
    }
}

impl<T: fmt::Display> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chosen)?;
        for (index, PassedOver { method, reason }) in self.passed_over.iter().enumerate() {
            let before = if index == 0 { " (" } else { "; " };
            write!(f, "{before}not {method}: {reason}")?;
        }
        f.write_str(if self.passed_over.is_empty() { "" } else { ")" })
    }
}
