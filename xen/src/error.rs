// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers of Xen: `xen/include/public/errno.h`.
//!
//! A guest that runs on more than one hypervisor expects "there is no such hypercall", and falls back to the
//! next best method. [`Errno::is_unsupported`] tells that from a refusal.
//!
//! # Examples
//!
//! ```
//! use xen::{Errno, fake::{Call, FakeXen}, sched};
//! use xen_sys::sched::SCHEDOP_block;
//!
//! let xen = FakeXen::new();
//! assert!(sched::block(&xen).is_ok());
//!
//! // QEMU's emulation of Xen does not have this one.
//! xen.remove(Call::sched(SCHEDOP_block), Errno::NOSYS);
//! let answer = sched::block(&xen).unwrap_err();
//! assert!(answer.is_unsupported());
//! assert_eq!(answer.to_string(), "ENOSYS");
//! ```

use core::fmt;

use xen_sys::errno::*;

/// A result of a hypercall.
pub type Result<T> = core::result::Result<T, Errno>;

/// An error number of Xen's, positive.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// The hypercall, or this operation of it, does not exist here. To a guest that runs on more
    /// than one hypervisor this is an answer, not a failure: use something else.
    pub const NOSYS: Self = Self(XEN_ENOSYS);
    /// The operation is not supported.
    pub const OPNOTSUPP: Self = Self(XEN_EOPNOTSUPP);
    /// There is no such thing.
    pub const NOENT: Self = Self(XEN_ENOENT);
    /// It is there already.
    pub const EXIST: Self = Self(XEN_EEXIST);
    /// There is no such device.
    pub const NODEV: Self = Self(XEN_ENODEV);
    /// Not permitted to this domain.
    pub const PERM: Self = Self(XEN_EPERM);
    /// An argument makes no sense to Xen.
    pub const INVAL: Self = Self(XEN_EINVAL);
    /// Somebody is using it.
    pub const BUSY: Self = Self(XEN_EBUSY);
    /// There is no memory, here or in Xen.
    pub const NOMEM: Self = Self(XEN_ENOMEM);
    /// A limit of the domain's is reached.
    pub const NOSPC: Self = Self(XEN_ENOSPC);

    /// Whether the answer means "not available here": the caller should fall back.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::NOSYS | Self::OPNOTSUPP)
    }

    /// The number's name in `errno.h`, if it is one of the common ones.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }
}

/// The numbers that hypercalls of a guest return.
const NAMES: &[(i32, &str)] = &[
    (XEN_EPERM, "EPERM"),
    (XEN_ENOENT, "ENOENT"),
    (XEN_ESRCH, "ESRCH"),
    (XEN_E2BIG, "E2BIG"),
    (XEN_EAGAIN, "EAGAIN"),
    (XEN_ENOMEM, "ENOMEM"),
    (XEN_EACCES, "EACCES"),
    (XEN_EFAULT, "EFAULT"),
    (XEN_EBUSY, "EBUSY"),
    (XEN_EEXIST, "EEXIST"),
    (XEN_ENODEV, "ENODEV"),
    (XEN_EINVAL, "EINVAL"),
    (XEN_ENOSPC, "ENOSPC"),
    (XEN_ENOSYS, "ENOSYS"),
    (XEN_ENODATA, "ENODATA"),
    (XEN_ETIME, "ETIME"),
    (XEN_EOPNOTSUPP, "EOPNOTSUPP"),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Xen error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Errno {}

/// Splits a hypercall's return value: negative values are errors.
pub fn check(value: i64) -> Result<u64> {
    if value < 0 { Err(Errno(value.unsigned_abs().min(i32::MAX as u64) as i32)) } else { Ok(value as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_return_values_are_errors_with_their_name() {
        assert_eq!(check(-38), Err(Errno::NOSYS));
        assert_eq!(check(-38).unwrap_err().to_string(), "ENOSYS");
        assert_eq!(check(-9999).unwrap_err().to_string(), "Xen error 9999");
        assert_eq!(check(i64::MIN), Err(Errno(i32::MAX)));
    }

    #[test]
    fn non_negative_return_values_are_results() {
        assert_eq!(check(0), Ok(0));
        assert_eq!(check(i64::MAX), Ok(i64::MAX as u64));
    }
}
