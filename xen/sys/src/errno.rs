// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers. A hypercall that fails returns one of them negated.
//!
//! Source: `xen/include/public/errno.h`.

/// The caller is not allowed to do this.
pub const XEN_EPERM: i32 = 1;
/// There is no such thing.
pub const XEN_ENOENT: i32 = 2;
/// There is no such domain.
pub const XEN_ESRCH: i32 = 3;
/// Input or output failed.
pub const XEN_EIO: i32 = 5;
/// There is no such device or address.
pub const XEN_ENXIO: i32 = 6;
/// The argument is too large.
pub const XEN_E2BIG: i32 = 7;
/// The image has the wrong format.
pub const XEN_ENOEXEC: i32 = 8;
/// The handle is not valid.
pub const XEN_EBADF: i32 = 9;
/// There is no child.
pub const XEN_ECHILD: i32 = 10;
/// Not now; try again.
pub const XEN_EAGAIN: i32 = 11;
/// The same as [`XEN_EAGAIN`].
pub const XEN_EWOULDBLOCK: i32 = 11;
/// There is not enough memory.
pub const XEN_ENOMEM: i32 = 12;
/// Access is denied.
pub const XEN_EACCES: i32 = 13;
/// An argument is not at a valid address.
pub const XEN_EFAULT: i32 = 14;
/// It is in use.
pub const XEN_EBUSY: i32 = 16;
/// It exists already.
pub const XEN_EEXIST: i32 = 17;
/// The two are not on the same device.
pub const XEN_EXDEV: i32 = 18;
/// There is no such device.
pub const XEN_ENODEV: i32 = 19;
/// It is not a directory.
pub const XEN_ENOTDIR: i32 = 20;
/// It is a directory.
pub const XEN_EISDIR: i32 = 21;
/// An argument is wrong.
pub const XEN_EINVAL: i32 = 22;
/// The system has too many open.
pub const XEN_ENFILE: i32 = 23;
/// The caller has too many open.
pub const XEN_EMFILE: i32 = 24;
/// There is no room left.
pub const XEN_ENOSPC: i32 = 28;
/// It can only be read.
pub const XEN_EROFS: i32 = 30;
/// There are too many links.
pub const XEN_EMLINK: i32 = 31;
/// The argument is outside the function's domain.
pub const XEN_EDOM: i32 = 33;
/// The result is out of range.
pub const XEN_ERANGE: i32 = 34;
/// It would deadlock.
pub const XEN_EDEADLK: i32 = 35;
/// The same as [`XEN_EDEADLK`].
pub const XEN_EDEADLOCK: i32 = 35;
/// The name is too long.
pub const XEN_ENAMETOOLONG: i32 = 36;
/// There are no locks left.
pub const XEN_ENOLCK: i32 = 37;
/// This Xen does not know the operation.
pub const XEN_ENOSYS: i32 = 38;
/// It is not empty.
pub const XEN_ENOTEMPTY: i32 = 39;
/// There is no data.
pub const XEN_ENODATA: i32 = 61;
/// The time is over.
pub const XEN_ETIME: i32 = 62;
/// The message is malformed.
pub const XEN_EBADMSG: i32 = 74;
/// The value does not fit.
pub const XEN_EOVERFLOW: i32 = 75;
/// The byte sequence is not valid.
pub const XEN_EILSEQ: i32 = 84;
/// It is not a socket.
pub const XEN_ENOTSOCK: i32 = 88;
/// The message is too long.
pub const XEN_EMSGSIZE: i32 = 90;
/// The operation is not supported here.
pub const XEN_EOPNOTSUPP: i32 = 95;
/// The address is in use.
pub const XEN_EADDRINUSE: i32 = 98;
/// The address is not available.
pub const XEN_EADDRNOTAVAIL: i32 = 99;
/// There is no buffer space.
pub const XEN_ENOBUFS: i32 = 105;
/// It is connected already.
pub const XEN_EISCONN: i32 = 106;
/// It is not connected.
pub const XEN_ENOTCONN: i32 = 107;
/// It took too long.
pub const XEN_ETIMEDOUT: i32 = 110;
/// The other side refused.
pub const XEN_ECONNREFUSED: i32 = 111;
