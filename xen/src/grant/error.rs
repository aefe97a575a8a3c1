// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a grant operation failed, and the status codes of Xen.

use core::fmt;

use xen_sys::grant_table::*;

use super::Frame;
use crate::Errno;

/// A result of this module's.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a page could not be granted, mapped or copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Every reference is in use, and the table is as large as Xen lets it be. Wait for one.
    Full,
    /// The frame's number has more than 32 bits, which a version 1 table cannot hold.
    FrameTooHigh(Frame),
    /// The kernel has no memory, or no address, for what is needed.
    NoRoom,
    /// The bytes do not lie inside one page: the caller's mistake.
    OutsidePage,
    /// Xen refused the hypercall.
    Refused(Errno),
    /// Xen did not do the operation.
    Failed(Status),
}

impl Error {
    /// Whether the hypervisor does not offer the operation, as QEMU's Xen emulation and the PV shim
    /// offer no mapping and copying.
    pub fn is_unsupported(self) -> bool {
        matches!(self, Self::Refused(errno) if errno.is_unsupported())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str(
                "all grant references are in use; raise max_grant_frames in the domain's configuration",
            ),
            Self::FrameTooHigh(frame) => {
                write!(f, "frame {:#x} needs grant table version 2; allow it with max_grant_version", frame.0)
            }
            Self::NoRoom => f.write_str("no memory is left for the grant table; give the guest more"),
            Self::OutsidePage => f.write_str("these bytes are not all inside one page"),
            Self::Refused(errno) => write!(f, "Xen refused a grant operation ({errno})"),
            Self::Failed(status) => write!(f, "a grant operation failed: {status}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

/// What Xen says of one operation that it did not do (`GNTST_*`). The hypercall itself succeeds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub(crate) i16);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:ident, $text:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// What it means, if it is one of those that `grant_table.h` lists.
            pub fn text(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Some error that has no number of its own; the usual answer to a grant that does not permit.
    GENERAL_ERROR = GNTST_general_error, "general error";
    /// There is no such domain.
    BAD_DOMAIN = GNTST_bad_domain, "no such domain";
    /// There is no such grant, or it is not of this kind.
    BAD_REFERENCE = GNTST_bad_gntref, "no such grant";
    /// There is no such mapping.
    BAD_HANDLE = GNTST_bad_handle, "no such mapping";
    /// Nothing can be mapped at this address.
    BAD_ADDRESS = GNTST_bad_virt_addr, "nothing can be mapped at this address";
    /// The address for devices is wrong.
    BAD_DEVICE_ADDRESS = GNTST_bad_dev_addr, "wrong address for devices";
    /// The I/O memory unit has no room.
    NO_DEVICE_SPACE = GNTST_no_device_space, "the I/O memory unit has no room";
    /// Not allowed to this domain.
    PERMISSION_DENIED = GNTST_permission_denied, "permission denied";
    /// The granted page cannot be used.
    BAD_PAGE = GNTST_bad_page, "the page cannot be used";
    /// A copy reaches past a page.
    BAD_COPY = GNTST_bad_copy_arg, "the copy reaches past a page";
    /// The page lies too high.
    ADDRESS_TOO_BIG = GNTST_address_too_big, "the page lies too high";
    /// Not now: the granter's page is on its way back from a disk.
    AGAIN = GNTST_eagain, "not ready, even after trying again";
    /// This domain maps as many foreign pages as it may.
    NO_SPACE = GNTST_no_space, "this domain has no mappings left; raise max_maptrack_frames";
}

impl Status {
    /// Takes a status field apart.
    pub(super) fn check(number: i16) -> Result<()> {
        if number == GNTST_okay { Ok(()) } else { Err(Error::Failed(Self(number))) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "grant status {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Status {}
