// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio network cards (Virtual I/O Device 1.2, 5.1), without any of their offloads.

use alloc::boxed::Box;
use alloc::vec::Vec;

use log::info;
use prism_drivers::net::{self, ETHERNET_HEADER, Error, Events, Properties, Wire};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{InterruptStatus, Transport};
use xen::grant::Page;

use super::hal::KernelHal;
use super::{Device, notify};
use crate::devices::card::Ended;
use crate::grant::OwnPage;
use crate::network::interfaces::Interface;

bitflags::bitflags! {
    /// What a card offers, and we understand.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const MAC = 1 << 5;
        const STATUS = 1 << 16;
        const VERSION_1 = 1 << 32;
    }
}

/// Queues, and descriptors of each. A frame takes one.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
const DESCRIPTORS: usize = 64;

/// Bytes in front of each frame, of which all are zero here; a card of the time before version 1 has fewer.
const HEADER: usize = 12;
const OLD_HEADER: usize = 10;
const MTU: usize = 1500;
const MOST: usize = HEADER + ETHERNET_HEADER + MTU;

/// Where the card's configuration has its status, and the bit for a cable that is plugged in.
const STATUS: usize = 6;
const LINK_UP: u16 = 1 << 0;

/// Drives a card, until it fails.
pub(in crate::devices) async fn drive(device: &Device, interface: &Interface) -> Ended {
    let (transport, line) = match device.open() {
        Ok(opened) => opened,
        Err(error) => return Ended::not_driven(error),
    };
    match Card::open(transport) {
        Ok((card, properties)) => {
            info!("network card at {device}: virtio");
            Ended::Failed(net::serve(interface, card, properties, &line).await)
        }
        Err(error) => Ended::not_driven(error),
    }
}

struct Card<T: Transport> {
    transport: T,
    receive: VirtQueue<KernelHal, DESCRIPTORS>,
    transmit: VirtQueue<KernelHal, DESCRIPTORS>,
    /// By token, the pages that the card has.
    received: Box<[Option<OwnPage>; DESCRIPTORS]>,
    /// By token, the pages that the card has, and how much of each it is to send.
    sent: Box<[Option<(OwnPage, usize)>; DESCRIPTORS]>,
    /// Pages to send from.
    free: Vec<OwnPage>,
    /// Bytes in front of each frame.
    header: usize,
    has_status: bool,
    is_up: bool,
    /// What the card has not been told of.
    untold: Events,
    /// Frames that there was no room for.
    failed: u64,
}

/// The card broke the protocol.
const WRONG_TOKEN: Error = Error::Card("it names a buffer that it was not given");
const TOO_LONG: Error = Error::Card("it claims to have written more than a buffer holds");

impl<T: Transport> Card<T> {
    fn open(mut transport: T) -> virtio_drivers::Result<(Self, Properties)> {
        let features = transport.begin_init(Features::all());
        let is_old = transport.requires_legacy_layout();
        if !features.contains(Features::MAC) || !is_old && !features.contains(Features::VERSION_1) {
            return Err(virtio_drivers::Error::Unsupported);
        }
        let mac = transport.read_consistent(|| transport.read_config_space(0))?;
        // Nothing fails once the card is told that all is ready: it would use memory that is freed then.
        let (incoming, outgoing) = (pages()?, pages()?);
        let receive = VirtQueue::new(&mut transport, RECEIVE, false, false)?;
        let mut transmit = VirtQueue::new(&mut transport, TRANSMIT, false, false)?;
        transmit.set_dev_notify(false);
        transport.finish_init();
        let mut card = Self {
            transport,
            receive,
            transmit,
            received: Box::new([const { None }; DESCRIPTORS]),
            sent: Box::new([const { None }; DESCRIPTORS]),
            free: outgoing,
            header: if is_old { OLD_HEADER } else { HEADER },
            has_status: features.contains(Features::STATUS),
            is_up: true,
            untold: Events::default(),
            failed: 0,
        };
        incoming.into_iter().for_each(|page| card.offer(page));
        card.look_at_cable();
        Ok((card, Properties { mac, mtu: MTU, segments: 1 }))
    }

    /// Gives the card a page to receive into.
    fn offer(&mut self, mut page: OwnPage) {
        let (buffer, _) = page.bytes_mut().split_at_mut(MOST);
        // SAFETY: the memory is the page's, which nobody touches until the token has come back.
        let token = unsafe { self.receive.add(&[], &mut [buffer]) };
        // Never refused: there are as many descriptors as pages.
        if let Some(place) = token.ok().and_then(|token| self.received.get_mut(usize::from(token))) {
            *place = Some(page);
            self.untold.receive = true;
        }
    }

    /// Takes the pages back that have been sent.
    fn take_back(&mut self) -> Result<(), Error> {
        while let Some(token) = self.transmit.peek_used() {
            let place = self.sent.get_mut(usize::from(token)).ok_or(WRONG_TOKEN)?;
            // It stays where it is until it is certain that the card has done with it: the card may have
            // changed the token in the meantime.
            let (page, length) = place.as_ref().ok_or(WRONG_TOKEN)?;
            let (frame, _) = page.bytes().split_at(*length);
            // SAFETY: the very slice that went with the token.
            let popped = unsafe { self.transmit.pop_used(token, &[frame], &mut []) };
            popped.map_err(|_| WRONG_TOKEN)?;
            let (page, _) = place.take().ok_or(WRONG_TOKEN)?;
            self.free.push(page);
        }
        Ok(())
    }

    /// The next page that was received into, and how many bytes of a frame are in it.
    fn next(&mut self) -> Result<Option<(OwnPage, usize)>, Error> {
        let Some(token) = self.receive.peek_used() else { return Ok(None) };
        let place = self.received.get_mut(usize::from(token)).ok_or(WRONG_TOKEN)?;
        // As above: it is not freed while the card may still write there.
        let (buffer, _) = place.as_mut().ok_or(WRONG_TOKEN)?.bytes_mut().split_at_mut(MOST);
        // SAFETY: the very slice that went with the token.
        let written = unsafe { self.receive.pop_used(token, &[], &mut [buffer]) };
        let written = written.map_err(|_| WRONG_TOKEN)? as usize;
        let page = place.take().ok_or(WRONG_TOKEN)?;
        if written > MOST {
            return Err(TOO_LONG);
        }
        Ok(Some((page, written.saturating_sub(self.header))))
    }

    /// Looks whether the cable is plugged in; true if that has changed.
    fn look_at_cable(&mut self) -> bool {
        let status = if self.has_status { self.transport.read_config_space(STATUS) } else { Ok(LINK_UP) };
        let is_up = status.is_ok_and(|status| status & LINK_UP != 0);
        core::mem::replace(&mut self.is_up, is_up) != is_up
    }
}

impl<T: Transport + Send> Wire for Card<T> {
    fn is_up(&self) -> bool {
        self.is_up
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some((page, length)) = self.next()? else { return Ok(None) };
        let frame = page.bytes().get(self.header..self.header + length).unwrap_or_default();
        let copy = into.get_mut(..length).unwrap_or_default();
        copy.copy_from_slice(frame);
        let good = length >= ETHERNET_HEADER && net::is_right(copy);
        self.offer(page);
        Ok(Some(if good { length } else { 0 }))
    }

    fn listen(&mut self) -> Result<bool, Error> {
        // It always tells.
        Ok(self.receive.can_pop())
    }

    fn can_send(&mut self, length: usize) -> Result<bool, Error> {
        if self.free.is_empty() {
            self.take_back()?;
        }
        if self.free.is_empty() {
            notify::ask(&mut self.transmit);
            // It may have been done before it could see that.
            self.take_back()?;
        }
        Ok(!self.free.is_empty() && self.header + length <= MOST)
    }

    fn send(&mut self, frame: &mut [u8]) {
        let length = self.header + frame.len();
        let Some(mut page) = self.free.pop_if(|_| length <= MOST) else {
            self.failed += 1;
            return;
        };
        net::fill(frame);
        let (buffer, _) = page.bytes_mut().split_at_mut(length);
        // The header was zero from the beginning on.
        buffer[self.header..].copy_from_slice(frame);
        // SAFETY: the memory is the page's, which nobody touches until the token has come back.
        let token = unsafe { self.transmit.add(&[buffer], &mut []) };
        // Never refused: there are as many descriptors as pages.
        if let Some(place) = token.ok().and_then(|token| self.sent.get_mut(usize::from(token))) {
            *place = Some((page, length));
            self.untold.transmit = true;
        }
    }

    fn publish(&mut self, _now: u64) {
        let untold = core::mem::take(&mut self.untold);
        if untold.receive && notify::is_wanted(&self.receive) {
            self.transport.notify(RECEIVE);
        }
        if untold.transmit && notify::is_wanted(&self.transmit) {
            self.transport.notify(TRANSMIT);
        }
    }

    fn has_news(&mut self, is_full: bool) -> Result<bool, Error> {
        let causes = self.transport.ack_interrupt();
        let changed =
            causes.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT) && self.look_at_cable();
        let room = is_full && self.transmit.can_pop();
        if room {
            self.transmit.set_dev_notify(false);
        }
        Ok(changed || room || self.receive.can_pop())
    }

    fn failed(&self) -> u64 {
        self.failed
    }
}

/// Pages for all descriptors of a queue.
fn pages() -> virtio_drivers::Result<Vec<OwnPage>> {
    (0..DESCRIPTORS).map(|_| OwnPage::new().ok_or(virtio_drivers::Error::DmaError)).collect()
}
