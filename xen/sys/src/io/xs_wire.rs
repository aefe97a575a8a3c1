// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore: the page a guest talks to it through, and the messages.
//!
//! Source: `xen/include/public/io/xs_wire.h`.

/// Type of a message: control of the daemon.
pub const XS_CONTROL: u32 = 0;
/// The earlier name of [`XS_CONTROL`].
pub const XS_DEBUG: u32 = XS_CONTROL;
/// Type of a message: list a node's children.
pub const XS_DIRECTORY: u32 = 1;
/// Type of a message: read a node.
pub const XS_READ: u32 = 2;
/// Type of a message: read a node's permissions.
pub const XS_GET_PERMS: u32 = 3;
/// Type of a message: watch a node.
pub const XS_WATCH: u32 = 4;
/// Type of a message: stop watching a node.
pub const XS_UNWATCH: u32 = 5;
/// Type of a message: start a transaction.
pub const XS_TRANSACTION_START: u32 = 6;
/// Type of a message: commit or drop a transaction.
pub const XS_TRANSACTION_END: u32 = 7;
/// Type of a message: a new domain (privileged).
pub const XS_INTRODUCE: u32 = 8;
/// Type of a message: a domain is gone (privileged).
pub const XS_RELEASE: u32 = 9;
/// Type of a message: the home of a domain.
pub const XS_GET_DOMAIN_PATH: u32 = 10;
/// Type of a message: write a node.
pub const XS_WRITE: u32 = 11;
/// Type of a message: make an empty node.
pub const XS_MKDIR: u32 = 12;
/// Type of a message: remove a node and all below it.
pub const XS_RM: u32 = 13;
/// Type of a message: set a node's permissions.
pub const XS_SET_PERMS: u32 = 14;
/// Type of a message, from the daemon: a watched node changed.
pub const XS_WATCH_EVENT: u32 = 15;
/// Type of a message, from the daemon: the request failed; the payload names the error.
pub const XS_ERROR: u32 = 16;
/// Type of a message: is a domain known?
pub const XS_IS_DOMAIN_INTRODUCED: u32 = 17;
/// Type of a message: a domain goes on after a suspend (privileged).
pub const XS_RESUME: u32 = 18;
/// Type of a message: give one domain the rights of another (privileged).
pub const XS_SET_TARGET: u32 = 19;
/// Type of a message: drop all watches of the caller.
pub const XS_RESET_WATCHES: u32 = 21;
/// Type of a message: list a node's children piece by piece.
pub const XS_DIRECTORY_PART: u32 = 22;
/// No type of message, ever.
pub const XS_INVALID: u32 = 0xffff;

/// The errors of [`XS_ERROR`]: number, and name as it stands in the payload. Other names may come.
pub const xsd_errors: [(i32, &str); 16] = [
    (22, "EINVAL"),
    (13, "EACCES"),
    (17, "EEXIST"),
    (21, "EISDIR"),
    (2, "ENOENT"),
    (12, "ENOMEM"),
    (28, "ENOSPC"),
    (5, "EIO"),
    (39, "ENOTEMPTY"),
    (38, "ENOSYS"),
    (30, "EROFS"),
    (16, "EBUSY"),
    (11, "EAGAIN"),
    (106, "EISCONN"),
    (7, "E2BIG"),
    (1, "EPERM"),
];

/// What every message starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xsd_sockmsg {
    /// One of the `XS_*` types.
    pub r#type: u32,
    /// Chosen by the guest, repeated in the answer.
    pub req_id: u32,
    /// The transaction; 0 outside of any.
    pub tx_id: u32,
    /// Size of the payload that follows, in bytes, at most [`XENSTORE_PAYLOAD_MAX`].
    pub len: u32,
}
layout!(xsd_sockmsg: 16 { r#type: 0, req_id: 4, tx_id: 8, len: 12 });

/// Place of the path among the strings of an [`XS_WATCH_EVENT`].
pub const XS_WATCH_PATH: usize = 0;
/// Place of the token among the strings of an [`XS_WATCH_EVENT`].
pub const XS_WATCH_TOKEN: usize = 1;

/// Size of each of the two rings in bytes.
pub const XENSTORE_RING_SIZE: usize = 1024;

/// A free-running index into one of the rings.
pub type XENSTORE_RING_IDX = u32;

/// The place in a ring that `idx` means.
pub const fn MASK_XENSTORE_IDX(idx: XENSTORE_RING_IDX) -> usize {
    idx as usize & (XENSTORE_RING_SIZE - 1)
}

/// The xenstore page. Later versions of Xen add fields after these.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xenstore_domain_interface {
    /// Bytes from the guest.
    pub req: [u8; XENSTORE_RING_SIZE],
    /// Bytes from the daemon.
    pub rsp: [u8; XENSTORE_RING_SIZE],
    /// How far the daemon has read `req`.
    pub req_cons: XENSTORE_RING_IDX,
    /// How far the guest has filled `req`.
    pub req_prod: XENSTORE_RING_IDX,
    /// How far the guest has read `rsp`.
    pub rsp_cons: XENSTORE_RING_IDX,
    /// How far the daemon has filled `rsp`.
    pub rsp_prod: XENSTORE_RING_IDX,
    /// `XENSTORE_SERVER_FEATURE_*` bits.
    pub server_features: u32,
    /// [`XENSTORE_CONNECTED`] or [`XENSTORE_RECONNECT`].
    pub connection: u32,
    /// One of the `XENSTORE_ERROR_*`, if the daemon has [`XENSTORE_SERVER_FEATURE_ERROR`].
    pub error: u32,
}
layout!(xenstore_domain_interface: 2076 {
    req: 0, rsp: 1024, req_cons: 2048, req_prod: 2052, rsp_cons: 2056, rsp_prod: 2060,
    server_features: 2064, connection: 2068, error: 2072,
});

/// Largest payload of a message, in bytes.
pub const XENSTORE_PAYLOAD_MAX: usize = 4096;
/// Longest absolute path, in bytes.
pub const XENSTORE_ABS_PATH_MAX: usize = 3072;
/// Longest path relative to the domain's home, in bytes.
pub const XENSTORE_REL_PATH_MAX: usize = 2048;

/// Feature of the daemon: the guest can have the rings reset.
pub const XENSTORE_SERVER_FEATURE_RECONNECTION: u32 = 1;
/// Feature of the daemon: it fills in `error`.
pub const XENSTORE_SERVER_FEATURE_ERROR: u32 = 2;

/// State of the connection: it works.
pub const XENSTORE_CONNECTED: u32 = 0;
/// State of the connection: the guest wants the rings reset.
pub const XENSTORE_RECONNECT: u32 = 1;

/// Error: none.
pub const XENSTORE_ERROR_NONE: u32 = 0;
/// Error: the communication failed.
pub const XENSTORE_ERROR_COMM: u32 = 1;
/// Error: an index of the rings is wrong.
pub const XENSTORE_ERROR_RINGIDX: u32 = 2;
/// Error: a message is too long.
pub const XENSTORE_ERROR_PROTO: u32 = 3;
