// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no network.

use core::fmt;

use prism_boot::command_line::ValueError;

/// Why there is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// The command line's value for the interface is invalid.
    CommandLine(ValueError<'static>),
    /// There are no interfaces here.
    NoDevices,
    /// There is no interface of that number.
    Absent,
    /// The interface's stack has been handed out before.
    Taken,
    /// There is no memory for a task.
    Busy,
    /// There is no memory for a stack.
    NoMemory,
    /// The backend did not connect in time, or the NIC was not ready.
    NoConnection,
    /// The NIC has no link.
    NoCable,
    /// The interface got no address in time.
    NoAddress,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandLine(error) => return error.fmt(f),
            Self::NoDevices => "no network: there is neither a NIC with a driver here nor Xen's xenstore",
            Self::Absent => {
                "no network: the toolstack gave no such interface; add one to the guest's vif list"
            }
            Self::Taken => "the interface's stack was handed out before; pass that one on",
            Self::NoMemory => "no network: no memory is left for a stack; give the guest more",
            Self::Busy => "no network: there is no memory for a task",
            Self::NoConnection => {
                "no network: the backend did not connect within 10 seconds, or the NIC does not work; look at it"
            }
            Self::NoCable => "no network: no cable is plugged into the NIC",
            Self::NoAddress => {
                "no network: no address within 30 seconds; is there a DHCP server? ip=ADDRESS/PREFIX sets one"
            }
        })
    }
}

impl core::error::Error for NetworkError {}
