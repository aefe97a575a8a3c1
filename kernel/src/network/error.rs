// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no network.

use core::fmt;

use prism_boot::command_line::ValueError;

/// Why there is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// What the command line says of the interface means nothing.
    CommandLine(ValueError<'static>),
    /// There is no xenstore to find interfaces in.
    NoXenstore,
    /// The toolstack gave no interface of that number.
    Absent,
    /// The interface's stack has been handed out before.
    Taken,
    /// Too many tasks run.
    Busy,
    /// The backend did not connect in time.
    NoBackend,
    /// The network gave no address in time.
    NoAddress,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandLine(error) => return error.fmt(f),
            Self::NoXenstore => "no network: without Xen's grants and xenstore there are no interfaces",
            Self::Absent => {
                "no network: the toolstack gave no such interface; add one to the guest's vif list"
            }
            Self::Taken => "the interface's stack was handed out before; pass that one on",
            Self::Busy => "no network: too many tasks run",
            Self::NoBackend => {
                "no network: the backend did not connect within 10 seconds; look at the backend"
            }
            Self::NoAddress => {
                "no network: no address within 30 seconds; is there a DHCP server? ip=ADDRESS/PREFIX sets one"
            }
        })
    }
}

impl core::error::Error for NetworkError {}
