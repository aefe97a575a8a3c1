// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network without anybody else in it, served over two rings (`xen/include/public/io/netif.h`): packets are
//! made here, and what the guest sends is thrown away.

use std::mem::offset_of;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xen_sys::io::netif::*;

use super::bus::Device;
use super::link::{Class, LOOK, Link, PATIENCE, REMEMBERED};
use super::moves::{Field, Move, Word};
use super::random::Random;
use super::ring::{Ring, u16_at, u32_at};
use crate::channel::{Channels, Port};
use crate::guest::Guest;
use crate::page::{Access, Grants, Page, SIZE};

/// Interfaces 1 to 8: number 0 may be the guest's own.
pub(crate) const CLASS: Class = Class {
    name: "vif",
    numbers: (1, 1),
    count: 8,
    seats: 3,
    own: &[("mac", MAC)],
    offer: &[
        ("feature-rx-copy", "1"),
        ("feature-sg", "1"),
        ("feature-gso-tcpv4", "1"),
        ("feature-gso-tcpv6", "1"),
        ("feature-ipv6-csum-offload", "1"),
    ],
    properties: &[("hotplug-status", "connected")],
    open: VifLink::open,
};

/// The guest's address in these networks, and the link-local one that follows from it (RFC 4291, appendix A).
const MAC: &str = "00:16:3e:ad:be:ef";
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0216, 0x3eff, 0xfead, 0xbeef);
/// The group that asks who has it, and another host.
const SOLICITED: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xffad, 0xbeef);
const NEIGHBOR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

/// The connection to a frontend.
struct VifLink {
    transmit: Ring,
    receive: Ring,
    grants: Grants,
    channels: Channels,
    port: Port,
    /// Ids of pages that were answered, the last one at the end.
    ids: Vec<u16>,
    /// Packets that were made.
    made: u64,
}

/// A page that the frontend has offered.
struct Offered {
    id: u16,
    page: Option<Page>,
}

impl VifLink {
    fn open(guest: &mut Guest, device: &Device) -> Result<Option<Box<dyn Link>>> {
        let grants = Grants::of(guest.domain)?;
        let mut rings = Vec::new();
        let [transmit, receive, port] =
            device.numbers(guest, ["tx-ring-ref", "rx-ring-ref", "event-channel"])?;
        for (reference, entry) in
            [(transmit, size_of::<netif_tx_request>()), (receive, size_of::<netif_rx_request>())]
        {
            let Some(reference) = reference else { return Ok(None) };
            let Ok(page) = grants.map(reference, Access::ReadWrite) else { return Ok(None) };
            rings.push(Ring::new(vec![page], entry));
        }
        let (Some(receive), Some(transmit)) = (rings.pop(), rings.pop()) else { return Ok(None) };
        let Some(port) = port else { return Ok(None) };
        let mut channels = Channels::new()?;
        let Ok(port) = channels.connect(guest.domain, port) else { return Ok(None) };
        Ok(Some(Box::new(Self { transmit, receive, grants, channels, port, ids: Vec::new(), made: 0 })))
    }

    /// Receives a packet and answers what the guest has sent, as a backend does.
    fn serve(&mut self) -> Result<bool> {
        while let Some(sent) = self.take_sent() {
            self.transmit.answer(&sent);
        }
        let (Some(offered), frame) = (self.offered()?, self.packet()) else { return Ok(false) };
        let response = fill(&offered, 0, &frame);
        drop(offered);
        self.answer(response)?;
        Ok(true)
    }

    /// The next page that the frontend offers.
    fn offered(&mut self) -> Result<Option<Offered>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.receive.next() {
                Ok(Some(entry)) => {
                    let id = u16_at(&entry, offset_of!(netif_rx_request, id));
                    let reference = u32_at(&entry, offset_of!(netif_rx_request, gref));
                    let page = self.grants.map(reference, Access::ReadWrite).ok();
                    return Ok(Some(Offered { id, page }));
                }
                Err(_) => return Ok(None),
                Ok(None) if Instant::now() >= end => return Ok(None),
                Ok(None) => {
                    self.receive.await_request();
                    self.channels.wait(LOOK)?;
                }
            }
        }
    }

    /// The response to what the guest has sent next, if it has sent anything. Extra information has one, too.
    fn take_sent(&mut self) -> Option<Vec<u8>> {
        let entry = self.transmit.next().ok()??;
        self.transmit.await_request();
        Some(sent(u16_at(&entry, offset_of!(netif_tx_request, id)), NETIF_RSP_OKAY))
    }

    /// Waits for the guest to send something.
    fn wait_for_sent(&mut self) -> Result<Option<Vec<u8>>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.take_sent() {
                None if Instant::now() < end => {
                    self.transmit.await_request();
                    self.channels.wait(LOOK)?;
                }
                sent => return Ok(sent),
            }
        }
    }

    /// A packet that anybody may send to everybody: who has an address, or nothing that is known. One asks
    /// for an address that the guest has, so that it sends an answer.
    fn packet(&mut self) -> Vec<u8> {
        self.made += 1;
        if self.made.is_multiple_of(3) {
            return solicitation();
        }
        let mut packet = ethernet(if self.made.is_multiple_of(2) { 0x0806 } else { 0x88b5 });
        // A question of 192.0.2.9 (RFC 826), for one of 256 hosts.
        packet.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 192, 0, 2, 9]);
        packet.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, self.made as u8]);
        packet.resize(60, 0);
        packet
    }

    /// Publishes a response about a page, with an event; the place that it is in.
    fn answer(&mut self, response: netif_rx_response) -> Result<u32> {
        if self.ids.len() == REMEMBERED {
            self.ids.remove(0);
        }
        self.ids.push(response.id);
        let place = self.receive.answer(&received(response));
        self.notify()?;
        Ok(place)
    }

    /// Receives a packet that is said to be so; extra information has a place of its own.
    fn one(&mut self, change: impl FnOnce(&mut netif_rx_response)) -> Result<bool> {
        let Some(offered) = self.offered()? else { return Ok(false) };
        let frame = self.packet();
        let mut response = fill(&offered, 0, &frame);
        drop(offered);
        change(&mut response);
        self.answer(response)?;
        Ok(true)
    }

    fn notify(&self) -> Result<()> {
        self.channels.notify(self.port).context("the guest's event channel is gone")
    }
}

impl Link for VifLink {
    fn play(&mut self, play: &Move, kept: &mut Vec<Page>) -> Result<bool> {
        match *play {
            Move::Serve(count) => {
                for done in 0..count {
                    // A frontend may offer fewer pages than that.
                    if !self.serve()? {
                        return Ok(done > 0);
                    }
                }
            }
            Move::Answer(field, value) => {
                return self.one(|response| match field {
                    Field::Id => response.id = value as u16,
                    Field::Offset => response.offset = value as u16,
                    Field::Flags => response.flags = value as u16,
                    Field::Status | Field::Operation => response.status = value as i16,
                });
            }
            Move::Sent(field, value) => {
                let Some(mut response) = self.wait_for_sent()? else { return Ok(false) };
                let at = if field == Field::Id {
                    offset_of!(netif_tx_response, id)
                } else {
                    offset_of!(netif_tx_response, status)
                };
                response[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
                self.transmit.answer(&response);
                self.notify()?;
            }
            Move::Frame(seed) => {
                let Some(offered) = self.offered()? else { return Ok(false) };
                let response = fill(&offered, 0, &frame(seed));
                drop(offered);
                self.answer(response)?;
            }
            Move::Parts(count) => {
                for part in 1..=count {
                    let more = if part < count { NETRXF_more_data } else { 0 };
                    if !self.one(|response| response.flags |= more)? {
                        return Ok(false);
                    }
                }
            }
            Move::Unfinished => return self.one(|response| response.flags |= NETRXF_more_data),
            Move::Extra(kind, flags, size, protocol) => {
                if !self.one(|response| response.flags |= NETRXF_extra_info)? {
                    return Ok(false);
                }
                // It takes the place of a response; the page that was offered there stays with the frontend.
                let Some(offered) = self.offered()? else { return Ok(false) };
                drop(offered);
                let [low, high] = size.to_le_bytes();
                self.receive.answer(&[kind, flags, low, high, protocol, 0, 0, 0]);
                self.notify()?;
            }
            Move::Stale => {
                let Some(id) = self.ids.first().copied() else { return Ok(false) };
                return self.one(|response| response.id = id);
            }
            Move::Twice => {
                let Some(offered) = self.offered()? else { return Ok(false) };
                let response = fill(&offered, 0, &self.packet());
                drop(offered);
                self.answer(response)?;
                self.answer(response)?;
            }
            Move::Swallow => return Ok(self.wait_for_sent()?.is_some()),
            Move::Garbage(seed) => {
                if self.offered()?.is_none() {
                    return Ok(false);
                }
                self.receive.answer(&Random::new(seed).next().to_le_bytes());
                self.notify()?;
            }
            Move::Rewrite(times) => {
                let Some(offered) = self.offered()? else { return Ok(false) };
                let response = fill(&offered, 0, &self.packet());
                let place = self.answer(response)?;
                for time in 0..times {
                    let noise = Random::new(time.into()).next().to_le_bytes();
                    self.receive.overwrite(place, &noise);
                    offered.page.iter().for_each(|page| page.write(0, &frame(time.into())));
                }
            }
            Move::Keep => {
                let Some(offered) = self.offered()? else { return Ok(false) };
                let response = fill(&offered, 0, &self.packet());
                kept.extend(offered.page);
                self.answer(response)?;
            }
            Move::Late(times) => {
                let Some(offered) = self.offered()? else { return Ok(false) };
                let response = fill(&offered, 0, &self.packet());
                self.answer(response)?;
                for time in 0..times {
                    offered.page.iter().for_each(|page| page.write(0, &frame(time.into())));
                }
            }
            // An odd number is for the ring that the guest sends by.
            Move::Index(distance) => {
                let ring = if distance.is_multiple_of(2) { &self.receive } else { &self.transmit };
                ring.set(Word::ResponsesMade, ring.word(Word::ResponsesMade).wrapping_add(distance));
                self.notify()?;
            }
            Move::Word(word, distance) => {
                let ring = if distance.is_multiple_of(2) { &self.receive } else { &self.transmit };
                ring.set(word, ring.word(word).wrapping_add(distance));
                self.notify()?;
            }
            Move::Storm(count) => (0..count).try_for_each(|_| self.notify())?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_ready(&mut self, play: &Move) -> bool {
        match play {
            Move::Index(_) | Move::Word(..) | Move::Storm(_) => true,
            Move::Sent(..) | Move::Swallow => self.transmit.has_next(),
            _ => self.receive.has_next(),
        }
    }

    fn arm(&self) {
        self.transmit.await_request();
        self.receive.await_request();
    }

    fn events(&self) -> BorrowedFd<'_> {
        self.channels.as_fd()
    }

    fn take_events(&mut self) -> Result<()> {
        self.channels.wait(Duration::ZERO).map(drop)
    }

    fn into_pages(self: Box<Self>) -> Vec<Page> {
        let Self { transmit, receive, .. } = *self;
        [transmit.into_pages(), receive.into_pages()].into_iter().flatten().collect()
    }
}

/// Writes a packet into a page that was offered, and says so.
fn fill(offered: &Offered, offset: u16, packet: &[u8]) -> netif_rx_response {
    match &offered.page {
        Some(page) => {
            page.write(usize::from(offset), packet);
            netif_rx_response { id: offered.id, offset, flags: 0, status: packet.len() as i16 }
        }
        None => netif_rx_response { id: offered.id, offset, flags: 0, status: NETIF_RSP_ERROR },
    }
}

/// A neighbor solicitation (RFC 4861) for the guest's link-local address.
fn solicitation() -> Vec<u8> {
    const ICMP: u8 = 58;
    // Type, code, checksum, reserved; whose; and the option that says where to answer to.
    let head = [135, 0, 0, 0, 0, 0, 0, 0];
    let mut message = [&head[..], &LINK_LOCAL.octets(), &[1, 1, 2, 0, 0, 0, 0, 9]].concat();
    let length = message.len() as u8;
    let addresses = [NEIGHBOR.octets(), SOLICITED.octets()].concat();
    let checksum = checksum(&[&addresses[..], &[0, 0, 0, length, 0, 0, 0, ICMP], &message].concat());
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    [ethernet(0x86dd), vec![0x60, 0, 0, 0, 0, length, ICMP, 255], addresses, message].concat()
}

/// The Internet's checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let (words, _) = bytes.as_chunks();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    // Few words: the carries of one round fit.
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// The head of a packet to everybody.
fn ethernet(kind: u16) -> Vec<u8> {
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &kind.to_be_bytes()].concat()
}

/// A packet of random content, of a kind that somebody may look into; up to a page.
fn frame(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut frame = ethernet(*random.one_of(&[0x0800, 0x86dd, 0x0806, 0x8100, 0]));
    // What follows is a version and a protocol that there are, in places.
    let first = *random.one_of(&[0x45, 0x46, 0x60, 0x00, 0xff]);
    let length = random.below((SIZE - 14) as u64) as usize;
    frame.extend((0..length).map(|_| random.next() as u8));
    for (at, value) in [(14, first), (14 + 9, *random.one_of(&[1, 6, 17, 58])), (14 + 6, 58)] {
        if let Some(byte) = frame.get_mut(at) {
            *byte = value;
        }
    }
    frame.truncate(SIZE);
    frame
}

/// A response about a page, as it lies in the ring.
fn received(response: netif_rx_response) -> [u8; size_of::<netif_rx_response>()] {
    let [a, b] = response.id.to_le_bytes();
    let [c, d] = response.offset.to_le_bytes();
    let [e, f] = response.flags.to_le_bytes();
    let [g, h] = response.status.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A response to what was sent, as it lies in the ring.
fn sent(id: u16, status: i16) -> Vec<u8> {
    [id.to_le_bytes(), status.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solicitation_sums_up_to_nothing() {
        let packet = solicitation();
        assert_eq!(packet.len(), 14 + 40 + 32);
        let pseudo = [&packet[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &packet[54..]].concat();
        assert_eq!(checksum(&pseudo), 0);
    }

    #[test]
    fn a_packet_fits_into_a_page() {
        for seed in 0..2000 {
            assert!((14..=SIZE).contains(&frame(seed).len()), "{seed}");
        }
    }
}
