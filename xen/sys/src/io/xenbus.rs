// SPDX-License-Identifier: MIT OR Apache-2.0
//! States of a paravirtual device, which each side writes as `state` to xenstore.
//!
//! Source: `xen/include/public/io/xenbus.h`.

/// State of one side of a device.
pub type XenbusState = u32;

/// There is no such side.
pub const XenbusStateUnknown: XenbusState = 0;
/// The side starts.
pub const XenbusStateInitialising: XenbusState = 1;
/// The side has told what it can do, and waits for the other or for a script.
pub const XenbusStateInitWait: XenbusState = 2;
/// The side has shared its rings, and waits for the other to connect.
pub const XenbusStateInitialised: XenbusState = 3;
/// The side works.
pub const XenbusStateConnected: XenbusState = 4;
/// The side gives up: an error, or the device goes away.
pub const XenbusStateClosing: XenbusState = 5;
/// The side has given up.
pub const XenbusStateClosed: XenbusState = 6;
/// The device changes (PCI).
pub const XenbusStateReconfiguring: XenbusState = 7;
/// The device has changed (PCI).
pub const XenbusStateReconfigured: XenbusState = 8;
