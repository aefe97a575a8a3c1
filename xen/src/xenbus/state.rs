// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a side of a device says about itself.

use xen_sys::io::xenbus::*;

use crate::xenstore::Value;

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $number:ident,)*) => {
        /// State of one side of a device (`enum xenbus_state` of `io/xenbus.h`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum State {
            $($(#[$doc])* $variant,)*
        }

        impl State {
            /// The number in xenstore.
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The state with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                $(if number == $number { return Some(Self::$variant); })*
                None
            }
        }
    };
}

states! {
    /// There is no such side, or it says what makes no sense.
    Unknown = XenbusStateUnknown,
    /// It starts.
    Initialising = XenbusStateInitialising,
    /// It has said what it can do, and waits for the other.
    InitWait = XenbusStateInitWait,
    /// It has shared its rings, and waits for the other to connect to them.
    Initialised = XenbusStateInitialised,
    /// It works.
    Connected = XenbusStateConnected,
    /// It is about to go.
    Closing = XenbusStateClosing,
    /// It has gone.
    Closed = XenbusStateClosed,
    /// The device changes (PCI).
    Reconfiguring = XenbusStateReconfiguring,
    /// The device has changed (PCI).
    Reconfigured = XenbusStateReconfigured,
}

impl State {
    /// The state that a node's value means.
    pub fn of(value: &Value) -> Self {
        value.word().ok().and_then(Self::from_number).unwrap_or(Self::Unknown)
    }

    /// Whether a backend in this state can be told about rings. It may have skipped `InitWait`
    /// (`io/blkif.h`, the note behind the startup diagram).
    pub(super) fn is_offer(self) -> bool {
        matches!(self, Self::InitWait | Self::Initialised) || self.is_connected()
    }

    /// Whether a backend in this state uses our rings.
    pub(super) fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::Reconfiguring | Self::Reconfigured)
    }

    /// Whether a backend in this state has none of our rings: it is gone, or has started again.
    pub(super) fn has_let_go(self) -> bool {
        matches!(self, Self::Unknown | Self::Initialising | Self::InitWait | Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_the_numbers_of_the_header_and_all_else_is_unknown() {
        for number in 0..=8 {
            assert_eq!(State::from_number(number).map(State::number), Some(number));
        }
        for text in ["", "9", "-1", "4 ", "Connected", "4294967300"] {
            assert_eq!(State::of(&Value::new("state", text)), State::Unknown);
        }
        assert_eq!(State::of(&Value::new("state", "4")), State::Connected);
    }
}
