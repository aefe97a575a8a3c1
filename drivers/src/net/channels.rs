// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels between frontend and backend: one for each direction if both can, else one for both.
//!
//! Two are better even for a single queue. Linux's backend takes an event of a shared channel to be spurious
//! if one direction has nothing to do, and unmasks the channel later and later
//! (`drivers/net/xen-netback/interface.c`, late EOI).

use alloc::format;
use alloc::string::String;

use embassy_futures::select::select;
use xen::DomainId;

use super::error::Error;
use crate::hal::{Channel, Platform};

/// The events that a backend wants, for what it was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a backend that waits for an event does nothing without"]
pub struct Events {
    /// For packets to transmit.
    pub transmit: bool,
    /// For pages to receive into.
    pub receive: bool,
}

/// Event channels to the other end.
pub(super) enum Channels<C> {
    Shared(C),
    Split { transmit: C, receive: C },
}

impl<C: Channel> Channels<C> {
    /// Channels that `domain` may connect to.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`].
    pub(super) fn open(
        platform: &impl Platform<Channel = C>,
        domain: DomainId,
        split: bool,
    ) -> Result<Self, Error> {
        let open = || platform.channel(domain).map_err(Error::Channel);
        Ok(if split { Self::Split { transmit: open()?, receive: open()? } } else { Self::Shared(open()?) })
    }

    /// What tells the backend of them, and of no others that there were in a former life: keys that begin
    /// with `prefix`, and their values.
    pub(super) fn keys(&self, prefix: &str) -> [(String, Option<String>); 3] {
        let port = |channel: &C| Some(format!("{}", channel.port().0));
        let (shared, transmit, receive) = match self {
            Self::Shared(channel) => (port(channel), None, None),
            Self::Split { transmit, receive } => (None, port(transmit), port(receive)),
        };
        [("event-channel", shared), ("event-channel-tx", transmit), ("event-channel-rx", receive)]
            .map(|(key, value)| (format!("{prefix}{key}"), value))
    }

    /// Raises these events.
    pub(super) fn notify(&self, events: Events) {
        match self {
            Self::Shared(channel) if events.transmit || events.receive => channel.notify(),
            Self::Shared(_) => {}
            Self::Split { transmit, receive } => {
                if events.transmit {
                    transmit.notify();
                }
                if events.receive {
                    receive.notify();
                }
            }
        }
    }

    /// Tells of an event whether it came with work, see [`Channel::found_nothing`]. Both directions are one
    /// backend's.
    pub(super) fn note_event(&self, had_work: bool) {
        let note = if had_work { C::found_work } else { C::found_nothing };
        match self {
            Self::Shared(channel) => note(channel),
            Self::Split { transmit, receive } => [transmit, receive].into_iter().for_each(note),
        }
    }

    /// Waits for an event.
    pub(super) async fn wait(&self) {
        match self {
            Self::Shared(channel) => channel.wait().await,
            Self::Split { transmit, receive } => {
                select(transmit.wait(), receive.wait()).await;
            }
        }
    }
}
