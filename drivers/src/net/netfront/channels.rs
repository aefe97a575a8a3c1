// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels to a backend: one for each direction if the backend can, else one for both.
//!
//! Two are better even for a single queue. Linux's backend takes an event of a shared channel to be spurious
//! if one direction has nothing to do, and unmasks the channel later and later
//! (`drivers/net/xen-netback/interface.c`, late EOI).

use alloc::format;

use embassy_futures::select::select;
use xen::DomainId;
use xen::xenbus::Device;

use super::queue_pair::Events;
use crate::hal::{Channel, Platform};
use crate::net::error::Error;

/// Where a backend that hears both directions apart finds the ports.
const SPLIT: [&str; 2] = ["event-channel-tx", "event-channel-rx"];

/// Removes a key of a former life.
///
/// # Errors
///
/// [`Error::Store`].
pub(super) async fn forget(device: &Device, key: &str) -> Result<(), Error> {
    match device.remove(key).await {
        // QEMU's xenstored refuses to remove what is not there.
        Err(error) if error.is_not_found() => Ok(()),
        removed => Ok(removed?),
    }
}

/// Event channels to a backend.
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

    /// Tells the backend of them by keys that begin with `prefix`, and of no others that there were in a
    /// former life.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub(super) async fn publish(&self, device: &Device, prefix: &str) -> Result<(), Error> {
        match self {
            Self::Split { transmit, receive } => {
                for (key, channel) in SPLIT.into_iter().zip([transmit, receive]) {
                    device.write(&format!("{prefix}{key}"), format!("{}", channel.port().0)).await?;
                }
            }
            Self::Shared(channel) => {
                for key in SPLIT {
                    forget(device, &format!("{prefix}{key}")).await?;
                }
                device.write(&format!("{prefix}event-channel"), format!("{}", channel.port().0)).await?;
            }
        }
        Ok(())
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
