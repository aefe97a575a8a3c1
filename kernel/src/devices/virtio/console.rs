// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queues of a virtio console (Virtual I/O Device 1.2, 5.3.2), of which one port is used. Nothing is
//! heard of it: it is looked at.

use prism_drivers::virtio::console::{BUFFER, Broken, Queues};
use virtio_drivers::Error;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use xen::grant::Page;

use super::hal::KernelHal;
use super::notify;
use super::registers::Registers;
use crate::grant::OwnPage;

bitflags::bitflags! {
    /// What a console offers, and we understand.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const VERSION_1 = 1 << 32;
    }
}

/// Queues of the first port, and descriptors of each; one is used.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
const DESCRIPTORS: usize = 2;

/// A console's first port.
pub(crate) struct Port {
    transport: Registers,
    receive: VirtQueue<KernelHal, DESCRIPTORS>,
    transmit: VirtQueue<KernelHal, DESCRIPTORS>,
    /// Where the device puts what is typed, and its token while the device has it.
    typed: OwnPage,
    offered: Option<u16>,
    /// What the device sends, and while the device has it, its token and its length.
    text: OwnPage,
    sending: Option<(u16, usize)>,
}

impl Port {
    pub(super) fn open(mut transport: Registers) -> virtio_drivers::Result<Self> {
        let features = transport.begin_init(Features::all());
        if !transport.requires_legacy_layout() && !features.contains(Features::VERSION_1) {
            return Err(Error::Unsupported);
        }
        let [typed, text] = [OwnPage::new().ok_or(Error::DmaError)?, OwnPage::new().ok_or(Error::DmaError)?];
        let mut receive = VirtQueue::new(&mut transport, RECEIVE, false, false)?;
        let mut transmit = VirtQueue::new(&mut transport, TRANSMIT, false, false)?;
        receive.set_dev_notify(false);
        transmit.set_dev_notify(false);
        transport.finish_init();
        Ok(Self { transport, receive, transmit, typed, offered: None, text, sending: None })
    }
}

impl Queues for Port {
    fn send(&mut self, text: &[u8]) {
        let length = text.len().min(BUFFER);
        let (buffer, _) = self.text.bytes_mut().split_at_mut(length);
        buffer.copy_from_slice(text.split_at(length).0);
        // SAFETY: the memory is the page's, which nobody touches until the token has come back.
        let token = unsafe { self.transmit.add(&[buffer], &mut []) };
        // Never refused: the device has nothing else.
        self.sending = token.ok().map(|token| (token, length));
        if notify::is_wanted(&self.transmit) {
            self.transport.notify(TRANSMIT);
        }
    }

    fn has_sent(&mut self) -> Result<bool, Broken> {
        let Some((token, length)) = self.sending else { return Ok(true) };
        if !self.transmit.can_pop() {
            return Ok(false);
        }
        let (buffer, _) = self.text.bytes().split_at(length);
        // SAFETY: the very slice that went with the token.
        unsafe { self.transmit.pop_used(token, &[buffer], &mut []) }.map_err(|_| Broken)?;
        self.sending = None;
        Ok(true)
    }

    fn offer(&mut self) {
        let (buffer, _) = self.typed.bytes_mut().split_at_mut(BUFFER);
        // SAFETY: the memory is the page's, which nobody touches until the token has come back.
        let token = unsafe { self.receive.add(&[], &mut [buffer]) };
        // Never refused: the device has nothing else.
        self.offered = token.ok();
        if notify::is_wanted(&self.receive) {
            self.transport.notify(RECEIVE);
        }
    }

    fn take_back(&mut self) -> Result<Option<usize>, Broken> {
        let Some(token) = self.offered.filter(|_| self.receive.can_pop()) else { return Ok(None) };
        let (buffer, _) = self.typed.bytes_mut().split_at_mut(BUFFER);
        // SAFETY: the very slice that went with the token.
        let length = unsafe { self.receive.pop_used(token, &[], &mut [buffer]) }.map_err(|_| Broken)?;
        self.offered = None;
        Ok(Some(length as usize))
    }

    fn typed(&self) -> &[u8] {
        self.typed.bytes()
    }
}
