// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen answers instead of yes: `xen/include/public/errno.h`.

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
    pub const NOSYS: Self = Self(XEN_ENOSYS as i32);
    /// The operation is not supported.
    pub const OPNOTSUPP: Self = Self(XEN_EOPNOTSUPP as i32);
    /// Not permitted to this domain.
    pub const PERM: Self = Self(XEN_EPERM as i32);
    /// An argument makes no sense to Xen.
    pub const INVAL: Self = Self(XEN_EINVAL as i32);

    /// Whether the answer means "not available here": the caller should fall back.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::NOSYS | Self::OPNOTSUPP)
    }

    /// The number's name in `errno.h`, if it is one of the common ones.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number as i32 == self.0).map(|(_, name)| *name)
    }
}

/// The numbers that hypercalls of a guest return.
const NAMES: &[(u32, &str)] = &[
    (XEN_EPERM as u32, "EPERM"),
    (XEN_ENOENT as u32, "ENOENT"),
    (XEN_ESRCH as u32, "ESRCH"),
    (XEN_E2BIG as u32, "E2BIG"),
    (XEN_EAGAIN as u32, "EAGAIN"),
    (XEN_ENOMEM as u32, "ENOMEM"),
    (XEN_EACCES as u32, "EACCES"),
    (XEN_EFAULT as u32, "EFAULT"),
    (XEN_EBUSY as u32, "EBUSY"),
    (XEN_EEXIST as u32, "EEXIST"),
    (XEN_ENODEV as u32, "ENODEV"),
    (XEN_EINVAL as u32, "EINVAL"),
    (XEN_ENOSPC as u32, "ENOSPC"),
    (XEN_ENOSYS as u32, "ENOSYS"),
    (XEN_ENODATA as u32, "ENODATA"),
    (XEN_ETIME as u32, "ETIME"),
    (XEN_EOPNOTSUPP as u32, "EOPNOTSUPP"),
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
