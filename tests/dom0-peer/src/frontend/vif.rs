// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interface's frontend (`xen/include/public/io/netif.h`).

use std::time::Instant;

use anyhow::{Result, ensure};
use xen_sys::io::netif::*;

use super::device::{Device, state};
use super::{Front, PATIENCE, number};
use crate::adversary::{Random, Ring, Word};
use crate::channel::{Channels, Port};
use crate::guest::Guest;
use crate::page::{Access, Page, SIZE};

/// Pages for packets.
const PAGES: usize = 6;
/// Bytes of the frame that an honest frontend sends.
const FRAME: usize = 60;
/// Bytes of an entry of either ring.
const SENT: usize = size_of::<netif_tx_request>();
const RECEIVED: usize = size_of::<netif_rx_request>();

/// The frontend's end of a connection.
pub(super) struct VifFront {
    transmit: Ring,
    receive: Ring,
    channels: Channels,
    /// For both rings.
    port: Port,
    /// Pages for packets, and their grants.
    pages: Vec<(Page, u32)>,
    /// Requests made to transmit, and to receive.
    sent: u32,
    posted: u32,
}

/// The hardware address that the toolstack gives it, and the same in a frame behind everybody's.
const MAC: &str = "00:16:3e:00:00:66";
const HEADER: [u8; 14] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 0, 0, 0x66, 0x88, 0xb5];

impl Front for VifFront {
    const CLASS: &str = "vif";
    const PUBLISHED: u32 = state::CONNECTED;
    const CONFIGURED: &[(&str, &str)] = &[("mac", MAC), ("handle", "0")];

    fn publish(backend: &mut Guest, device: &Device) -> Result<Self> {
        let mut ring = |key, entry| -> Result<Ring> {
            let (page, reference) = Page::for_guest(backend.domain, Access::ReadWrite)?;
            device.say(backend, key, &reference.to_string())?;
            let ring = Ring::new(vec![page], entry);
            ring.set(Word::RequestEvent, 1);
            ring.set(Word::ResponseEvent, 1);
            Ok(ring)
        };
        let (transmit, receive) = (ring("tx-ring-ref", SENT)?, ring("rx-ring-ref", RECEIVED)?);
        let mut channels = Channels::new()?;
        let (port, told) = channels.open(backend.domain)?;
        device.say(backend, "event-channel", &told.to_string())?;
        for key in ["request-rx-copy", "feature-rx-notify", "feature-sg", "feature-gso-tcpv4"] {
            device.say(backend, key, "1")?;
        }
        let page = |_| {
            let page = Page::for_guest(backend.domain, Access::ReadWrite)?;
            page.0.write(0, &HEADER);
            Ok(page)
        };
        let pages = (0..PAGES).map(page).collect::<Result<_>>()?;
        Ok(Self { transmit, receive, channels, port, pages, sent: 0, posted: 0 })
    }

    fn play(&mut self, backend: &mut Guest, device: &Device, random: &mut Random) -> Result<()> {
        match random.below(192) {
            0 => self.transmit.set(Word::RequestsMade, number(random) as u32),
            1 => self.receive.set(Word::RequestsMade, number(random) as u32),
            3..=5 => self.transmit.set(Word::ResponsesMade, number(random) as u32),
            6..=8 => self.receive.set(Word::ResponseEvent, number(random) as u32),
            2 => device.be(backend, random.below(9) as u32)?,
            9..=11 => {
                let keys = ["tx-ring-ref", "rx-ring-ref", "event-channel", "feature-sg", "feature-gso-tcpv4"];
                device.say(backend, random.one_of::<&str>(&keys), &number(random).to_string())?;
            }
            12..=14 => {
                // A page is withdrawn, and another one is there: whoever has it mapped keeps it.
                let index = random.below(PAGES as u64) as usize;
                self.pages[index] = Page::for_guest(backend.domain, Access::ReadWrite)?;
            }
            15..=29 => {
                let before = self.sent.wrapping_sub(random.below(40) as u32);
                let mut entry = [0; SENT];
                entry.fill_with(|| random.next() as u8);
                self.transmit.overwrite(before, &entry);
            }
            30..=47 => {
                let (page, _) = random.one_of(&self.pages);
                page.write(random.below(SIZE as u64) as usize, &[random.next() as u8]);
            }
            48..=71 => self.channels.notify(self.port)?,
            72..=95 => self.transmit.await_response(),
            96..=131 => {
                let [a, b, c, d] = self.page(random).to_le_bytes();
                self.receive.overwrite(self.posted, &[random.next() as u8, 0, 0, 0, a, b, c, d]);
                self.posted = self.posted.wrapping_add(1);
                self.receive.set(Word::RequestsMade, self.posted);
                self.channels.notify(self.port)?;
            }
            _ => {
                self.push_random_packet(random);
                if random.below(2) == 0 {
                    self.channels.notify(self.port)?;
                }
            }
        }
        Ok(())
    }

    fn be_served(&mut self, _: &mut Random) -> Result<()> {
        self.pages[0].0.write(0, &HEADER);
        self.transmit.await_response();
        self.push(self.pages[0].1, [0, 0, 7, FRAME as u16]);
        self.transmit.set(Word::RequestsMade, self.sent);
        self.channels.notify(self.port)?;
        let end = Instant::now() + PATIENCE;
        while self.transmit.word(Word::ResponsesMade) != self.sent {
            ensure!(Instant::now() < end, "a packet is not taken");
            self.channels.wait(PATIENCE)?;
        }
        let response = self.transmit.entry(self.sent.wrapping_sub(1));
        ensure!(response[..4] == [7, 0, 0, 0], "the response to packet 7 is {response:?}");
        Ok(())
    }
}

impl VifFront {
    /// Writes a request to transmit: its offset, flags, id, and size. It is not shown yet.
    fn push(&mut self, reference: u32, numbers: [u16; 4]) {
        let mut entry = [0; SENT];
        entry[..4].copy_from_slice(&reference.to_le_bytes());
        for (place, number) in entry[4..].as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        self.transmit.overwrite(self.sent, &entry);
        self.sent = self.sent.wrapping_add(1);
    }

    /// A page of its own, or a number that is none.
    fn page(&self, random: &mut Random) -> u32 {
        match self.pages.get(random.below(PAGES as u64 + 1) as usize) {
            Some((_, reference)) => *reference,
            None => number(random) as u32,
        }
    }

    /// Makes a packet of some requests, most of them as they should be.
    fn push_random_packet(&mut self, random: &mut Random) {
        let count = if random.below(3) == 0 { 1 + random.below(21) } else { 1 };
        for index in 0..count {
            let is_first = index == 0;
            let more = if index + 1 < count || random.below(40) == 0 { NETTXF_more_data } else { 0 };
            let wild = if random.below(8) == 0 { random.next() as u16 & 0xf } else { 0 };
            let has_extra = is_first && random.below(3) == 0;
            let flags = more | wild | if has_extra { NETTXF_extra_info } else { 0 };
            let size = if is_first { 60 + count * 40 } else { 40 };
            let size = if random.below(10) == 0 { number(random) } else { size };
            let offset = if random.below(10) == 0 { number(random) } else { 0 };
            let page = self.page(random);
            self.push(page, [offset as u16, flags, random.below(8) as u16, size as u16]);
            if has_extra {
                let kind =
                    if random.below(3) == 0 { random.below(6) } else { XEN_NETIF_EXTRA_TYPE_GSO.into() };
                let more = u64::from(random.below(6) == 0) << 8;
                let entry = [(kind | more) as u16, number(random) as u16, random.below(4) as u16, 0];
                let extra: Vec<u8> = entry.into_iter().flat_map(u16::to_le_bytes).collect();
                self.transmit.overwrite(self.sent, &extra);
                self.sent = self.sent.wrapping_add(1);
            }
        }
        self.transmit.set(Word::RequestsMade, self.sent);
    }
}
