// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual network interfaces.
//!
//! There is a ring to transmit, with entries of 12 bytes, and a ring to receive, with entries of 8.
//! A packet may take several entries; a [`netif_extra_info`] may take one after the first.
//!
//! Source: `xen/include/public/io/netif.h`.

use crate::grant_table::grant_ref_t;

/// Entries of the transmit ring that every backend accepts for one packet.
pub const XEN_NETIF_NR_SLOTS_MIN: u32 = 18;

/// Bit number of [`XEN_NETIF_CTRL_HASH_TYPE_IPV4`].
pub const _XEN_NETIF_CTRL_HASH_TYPE_IPV4: u32 = 0;
/// What to hash: IPv4 addresses.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4: u32 = 1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV4;
/// Bit number of [`XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP`].
pub const _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP: u32 = 1;
/// What to hash: IPv4 addresses and TCP ports.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP: u32 = 1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP;
/// Bit number of [`XEN_NETIF_CTRL_HASH_TYPE_IPV6`].
pub const _XEN_NETIF_CTRL_HASH_TYPE_IPV6: u32 = 2;
/// What to hash: IPv6 addresses.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6: u32 = 1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV6;
/// Bit number of [`XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP`].
pub const _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP: u32 = 3;
/// What to hash: IPv6 addresses and TCP ports.
pub const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP: u32 = 1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;

/// How to hash: not at all.
pub const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE: u32 = 0;
/// How to hash: Toeplitz.
pub const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ: u32 = 1;

/// Type of a control message: none.
pub const XEN_NETIF_CTRL_TYPE_INVALID: u16 = 0;
/// Type of a control message: what the backend can hash.
pub const XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS: u16 = 1;
/// Type of a control message: what the backend shall hash.
pub const XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS: u16 = 2;
/// Type of a control message: the key to hash with.
pub const XEN_NETIF_CTRL_TYPE_SET_HASH_KEY: u16 = 3;
/// Type of a control message: how large the map from hashes to queues can be.
pub const XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE: u16 = 4;
/// Type of a control message: how large the map from hashes to queues shall be.
pub const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE: u16 = 5;
/// Type of a control message: the map from hashes to queues.
pub const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING: u16 = 6;
/// Type of a control message: how the backend shall hash.
pub const XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM: u16 = 7;
/// Type of a control message: how many grants the backend can keep mapped.
pub const XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE: u16 = 8;
/// Type of a control message: grants to keep mapped.
pub const XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING: u16 = 9;
/// Type of a control message: grants to keep mapped no longer.
pub const XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING: u16 = 10;

/// A control message to the backend.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_netif_ctrl_request {
    /// Chosen by the frontend, repeated in the response.
    pub id: u16,
    /// One of the `XEN_NETIF_CTRL_TYPE_*`.
    pub r#type: u16,
    /// Arguments, as the type says.
    pub data: [u32; 3],
}
layout!(xen_netif_ctrl_request: 16 { id: 0, r#type: 2, data: 4 });

/// Status of a control message: done.
pub const XEN_NETIF_CTRL_STATUS_SUCCESS: u32 = 0;
/// Status of a control message: the backend does not know it.
pub const XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED: u32 = 1;
/// Status of a control message: an argument is wrong.
pub const XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER: u32 = 2;
/// Status of a control message: an argument is too large.
pub const XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW: u32 = 3;

/// The backend's response to a control message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_netif_ctrl_response {
    /// From the request.
    pub id: u16,
    /// From the request.
    pub r#type: u16,
    /// One of the `XEN_NETIF_CTRL_STATUS_*`.
    pub status: u32,
    /// Result, as the type says.
    pub data: u32,
}
layout!(xen_netif_ctrl_response: 12 { id: 0, r#type: 2, status: 4, data: 8 });

/// Bit number of [`XEN_NETIF_CTRLF_GREF_readonly`].
pub const _XEN_NETIF_CTRLF_GREF_readonly: u16 = 0;
/// Flag of [`xen_netif_gref`]: reading only.
pub const XEN_NETIF_CTRLF_GREF_readonly: u16 = 1 << _XEN_NETIF_CTRLF_GREF_readonly;

/// A grant for the backend to keep mapped.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct xen_netif_gref {
    /// The grant.
    pub r#ref: grant_ref_t,
    /// 0 or [`XEN_NETIF_CTRLF_GREF_readonly`].
    pub flags: u16,
    /// Result: one of the `XEN_NETIF_CTRL_STATUS_*`.
    pub status: u16,
}
layout!(xen_netif_gref: 8 { r#ref: 0, flags: 4, status: 6 });

/// Bit number of [`NETTXF_csum_blank`].
pub const _NETTXF_csum_blank: u16 = 0;
/// Flag of a transmitted packet: its checksum is yet to be filled in.
pub const NETTXF_csum_blank: u16 = 1 << _NETTXF_csum_blank;
/// Bit number of [`NETTXF_data_validated`].
pub const _NETTXF_data_validated: u16 = 1;
/// Flag of a transmitted packet: its data is known to be good.
pub const NETTXF_data_validated: u16 = 1 << _NETTXF_data_validated;
/// Bit number of [`NETTXF_more_data`].
pub const _NETTXF_more_data: u16 = 2;
/// Flag of a transmit request: the packet goes on in the next.
pub const NETTXF_more_data: u16 = 1 << _NETTXF_more_data;
/// Bit number of [`NETTXF_extra_info`].
pub const _NETTXF_extra_info: u16 = 3;
/// Flag of a transmit request: a [`netif_extra_info`] comes next.
pub const NETTXF_extra_info: u16 = 1 << _NETTXF_extra_info;

/// Largest packet to transmit, in bytes.
pub const XEN_NETIF_MAX_TX_SIZE: usize = 0xffff;

/// A request to transmit.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_tx_request {
    /// Grant of the page with the data.
    pub gref: grant_ref_t,
    /// Where in the page the data begins, in bytes.
    pub offset: u16,
    /// `NETTXF_*` flags.
    pub flags: u16,
    /// Chosen by the frontend, repeated in the response.
    pub id: u16,
    /// Size in bytes: in a packet's first request of the whole packet, in others of this part.
    pub size: u16,
}
layout!(netif_tx_request: 12 { gref: 0, offset: 4, flags: 6, id: 8, size: 10 });

/// Type of extra information: none.
pub const XEN_NETIF_EXTRA_TYPE_NONE: u8 = 0;
/// Type of extra information: the packet is to be cut into segments.
pub const XEN_NETIF_EXTRA_TYPE_GSO: u8 = 1;
/// Type of extra information: a multicast address to receive.
pub const XEN_NETIF_EXTRA_TYPE_MCAST_ADD: u8 = 2;
/// Type of extra information: a multicast address to receive no longer.
pub const XEN_NETIF_EXTRA_TYPE_MCAST_DEL: u8 = 3;
/// Type of extra information: the packet's hash.
pub const XEN_NETIF_EXTRA_TYPE_HASH: u8 = 4;
/// One more than the largest type of extra information.
pub const XEN_NETIF_EXTRA_TYPE_MAX: u8 = 5;

/// Bit number of [`XEN_NETIF_EXTRA_FLAG_MORE`].
pub const _XEN_NETIF_EXTRA_FLAG_MORE: u8 = 0;
/// Flag of extra information: more of it comes next.
pub const XEN_NETIF_EXTRA_FLAG_MORE: u8 = 1 << _XEN_NETIF_EXTRA_FLAG_MORE;

/// Kind of segments: none.
pub const XEN_NETIF_GSO_TYPE_NONE: u8 = 0;
/// Kind of segments: TCP over IPv4.
pub const XEN_NETIF_GSO_TYPE_TCPV4: u8 = 1;
/// Kind of segments: TCP over IPv6.
pub const XEN_NETIF_GSO_TYPE_TCPV6: u8 = 2;

/// Extra information about a packet, in place of a request or response.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_extra_info {
    /// One of the `XEN_NETIF_EXTRA_TYPE_*`.
    pub r#type: u8,
    /// 0 or [`XEN_NETIF_EXTRA_FLAG_MORE`].
    pub flags: u8,
    /// The 6 bytes of a [`netif_extra_info_gso`], [`netif_extra_info_mcast`] or
    /// [`netif_extra_info_hash`], as the type says; in C a union.
    pub u: [u16; 3],
}
layout!(netif_extra_info: 8 { r#type: 0, flags: 1, u: 2 });

/// Extra information [`XEN_NETIF_EXTRA_TYPE_GSO`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_extra_info_gso {
    /// Largest payload of a segment, in bytes.
    pub size: u16,
    /// One of the `XEN_NETIF_GSO_TYPE_*`.
    pub r#type: u8,
    /// Unused.
    pub pad: u8,
    /// Zero.
    pub features: u16,
}
layout!(netif_extra_info_gso: 6 { size: 0, r#type: 2, pad: 3, features: 4 });

/// Extra information [`XEN_NETIF_EXTRA_TYPE_MCAST_ADD`] and [`XEN_NETIF_EXTRA_TYPE_MCAST_DEL`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_extra_info_mcast {
    /// The address.
    pub addr: [u8; 6],
}
layout!(netif_extra_info_mcast: 6 { addr: 0 });

/// Extra information [`XEN_NETIF_EXTRA_TYPE_HASH`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_extra_info_hash {
    /// What is hashed: one of the `_XEN_NETIF_CTRL_HASH_TYPE_*`.
    pub r#type: u8,
    /// One of the `XEN_NETIF_CTRL_HASH_ALGORITHM_*`.
    pub algorithm: u8,
    /// The hash, least significant byte first.
    pub value: [u8; 4],
}
layout!(netif_extra_info_hash: 6 { r#type: 0, algorithm: 1, value: 2 });

/// The response to a transmit request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_tx_response {
    /// From the request.
    pub id: u16,
    /// One of the `NETIF_RSP_*`.
    pub status: i16,
}
layout!(netif_tx_response: 4 { id: 0, status: 2 });

/// A page to receive into.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_rx_request {
    /// Chosen by the frontend, repeated in the response.
    pub id: u16,
    /// Unused.
    pub pad: u16,
    /// Grant of the page.
    pub gref: grant_ref_t,
}
layout!(netif_rx_request: 8 { id: 0, pad: 2, gref: 4 });

/// Bit number of [`NETRXF_data_validated`].
pub const _NETRXF_data_validated: u16 = 0;
/// Flag of a received packet: its data is known to be good.
pub const NETRXF_data_validated: u16 = 1 << _NETRXF_data_validated;
/// Bit number of [`NETRXF_csum_blank`].
pub const _NETRXF_csum_blank: u16 = 1;
/// Flag of a received packet: its checksum was never filled in.
pub const NETRXF_csum_blank: u16 = 1 << _NETRXF_csum_blank;
/// Bit number of [`NETRXF_more_data`].
pub const _NETRXF_more_data: u16 = 2;
/// Flag of a receive response: the packet goes on in the next.
pub const NETRXF_more_data: u16 = 1 << _NETRXF_more_data;
/// Bit number of [`NETRXF_extra_info`].
pub const _NETRXF_extra_info: u16 = 3;
/// Flag of a receive response: a [`netif_extra_info`] comes next.
pub const NETRXF_extra_info: u16 = 1 << _NETRXF_extra_info;
/// Bit number of [`NETRXF_gso_prefix`].
pub const _NETRXF_gso_prefix: u16 = 4;
/// Flag of a receive response: it only tells of segments to come; no longer in use.
pub const NETRXF_gso_prefix: u16 = 1 << _NETRXF_gso_prefix;

/// Data received.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct netif_rx_response {
    /// From the request.
    pub id: u16,
    /// Where in the page the data begins, in bytes.
    pub offset: u16,
    /// `NETRXF_*` flags.
    pub flags: u16,
    /// Size of the data in bytes, or one of the negative `NETIF_RSP_*`.
    pub status: i16,
}
layout!(netif_rx_response: 8 { id: 0, offset: 2, flags: 4, status: 6 });

/// Status: the packet was dropped.
pub const NETIF_RSP_DROPPED: i16 = -2;
/// Status: it failed.
pub const NETIF_RSP_ERROR: i16 = -1;
/// Status: done.
pub const NETIF_RSP_OKAY: i16 = 0;
/// Status: no response, for the entry of a [`netif_extra_info`].
pub const NETIF_RSP_NULL: i16 = 1;
