// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk's frontend (`xen/include/public/io/blkif.h`).

use std::time::Instant;

use anyhow::{Result, ensure};
use xen_sys::io::blkif::*;

use super::device::{Device, state};
use super::{Front, PATIENCE, number};
use crate::adversary::{Random, Ring, Word, u64_at};
use crate::channel::{Channels, Port};
use crate::guest::Guest;
use crate::page::{Access, Page, SIZE};

/// Pages for data.
const PAGES: usize = 6;
/// Bytes of a request, of each kind.
const ENTRY: usize = size_of::<blkif_request>();
/// Bytes of a segment in a page of segments.
const SEGMENT: usize = size_of::<blkif_request_segment>();
/// Sectors of the disk that are written to: the first MiB of it.
const SECTORS: u64 = 2048;

/// The frontend's end of a connection.
pub(super) struct VbdFront {
    ring: Ring,
    channels: Channels,
    port: Port,
    /// Pages for data, and their grants.
    pages: Vec<(Page, u32)>,
    /// Requests made.
    made: u32,
}

impl Front for VbdFront {
    const CLASS: &str = "vbd";
    const PUBLISHED: u32 = state::INITIALISED;
    const CONFIGURED: &[(&str, &str)] = &[("params", "xvda"), ("mode", "w"), ("device-type", "disk")];

    fn publish(backend: &mut Guest, device: &Device) -> Result<Self> {
        let (page, reference) = Page::for_guest(backend.domain, Access::ReadWrite)?;
        let ring = Ring::new(vec![page], ENTRY);
        ring.set(Word::RequestEvent, 1);
        ring.set(Word::ResponseEvent, 1);
        let mut channels = Channels::new()?;
        let (port, told) = channels.open(backend.domain)?;
        let pages =
            (0..PAGES).map(|_| Page::for_guest(backend.domain, Access::ReadWrite)).collect::<Result<_>>()?;
        device.say(backend, "ring-ref", &reference.to_string())?;
        device.say(backend, "event-channel", &told.to_string())?;
        device.say(backend, "feature-persistent", &(told % 2).to_string())?;
        device.say(backend, "protocol", "x86_64-abi")?;
        Ok(Self { ring, channels, port, pages, made: 0 })
    }

    fn play(&mut self, backend: &mut Guest, device: &Device, random: &mut Random) -> Result<()> {
        match random.below(192) {
            0 => self.ring.set(Word::RequestsMade, number(random) as u32),
            1 => self.ring.set(Word::RequestsMade, self.made.wrapping_add(random.below(40) as u32)),
            3..=5 => self.ring.set(Word::ResponseEvent, number(random) as u32),
            6..=8 => self.ring.set(Word::ResponsesMade, number(random) as u32),
            2 => device.be(backend, random.below(9) as u32)?,
            9..=11 => {
                let keys = ["ring-ref", "event-channel", "ring-page-order", "protocol", "feature-persistent"];
                device.say(backend, random.one_of::<&str>(&keys), &number(random).to_string())?;
            }
            12..=14 => {
                // A page is withdrawn, and another one is there: whoever has it mapped keeps it.
                let index = random.below(PAGES as u64) as usize;
                self.pages[index] = Page::for_guest(backend.domain, Access::ReadWrite)?;
            }
            15..=29 => {
                let before = self.made.wrapping_sub(random.below(40) as u32);
                let mut entry = [0; ENTRY];
                entry.fill_with(|| random.next() as u8);
                self.ring.overwrite(before, &entry);
            }
            30..=47 => {
                let (page, _) = random.one_of(&self.pages);
                page.write(random.below(SIZE as u64) as usize, &[random.next() as u8]);
            }
            48..=71 => self.channels.notify(self.port)?,
            72..=95 => self.ring.await_response(),
            _ => {
                let entry = self.random_request(random);
                self.push(&entry);
                if random.below(2) == 0 {
                    self.channels.notify(self.port)?;
                }
            }
        }
        Ok(())
    }

    fn be_served(&mut self, random: &mut Random) -> Result<()> {
        let sector = random.below(SECTORS / 64) * 64;
        let mut content = vec![0; SIZE];
        content.fill_with(|| random.next() as u8);
        self.pages[0].0.write(0, &content);
        self.transfer(BLKIF_OP_WRITE, sector, 0)?;
        self.transfer(BLKIF_OP_READ, sector, 1)?;
        let mut read = vec![0; SIZE];
        self.pages[1].0.read(0, &mut read);
        ensure!(read == content, "what is read at sector {sector} is not what was written");
        Ok(())
    }
}

impl VbdFront {
    fn push(&mut self, entry: &[u8]) {
        self.ring.overwrite(self.made, entry);
        self.made = self.made.wrapping_add(1);
        self.ring.set(Word::RequestsMade, self.made);
    }

    /// A page of its own, or a number that is none.
    fn page(&self, random: &mut Random) -> u32 {
        match self.pages.get(random.below(PAGES as u64 + 2) as usize) {
            Some((_, reference)) => *reference,
            None => number(random) as u32,
        }
    }

    fn segment(&self, random: &mut Random) -> [u8; SEGMENT] {
        let (first, last) = match random.below(2) {
            0 => (0, 7),
            _ => (random.below(9) as u8, random.below(9) as u8),
        };
        let [a, b, c, d] = self.page(random).to_le_bytes();
        [a, b, c, d, first, last, 0, 0]
    }

    fn random_request(&self, random: &mut Random) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        let (id, sector) = (random.below(8), number(random));
        let operation = if random.below(8) == 0 { random.next() as u8 } else { random.below(4) as u8 };
        match random.below(8) {
            0 => entry.fill_with(|| random.next() as u8),
            1 => {
                let flag = random.below(3) as u8;
                entry[..2].copy_from_slice(&[BLKIF_OP_DISCARD, flag]);
                entry[8..16].copy_from_slice(&id.to_le_bytes());
                entry[16..24].copy_from_slice(&sector.to_le_bytes());
                entry[24..32].copy_from_slice(&number(random).to_le_bytes());
            }
            2 | 3 => {
                let (list, reference) = random.one_of(&self.pages);
                for at in (0..PAGES * SEGMENT).step_by(SEGMENT) {
                    list.write(at, &self.segment(random));
                }
                let reference = if random.below(4) == 0 { self.page(random) } else { *reference };
                entry[..2].copy_from_slice(&[BLKIF_OP_INDIRECT, operation]);
                entry[2..4].copy_from_slice(&(random.below(70) as u16).to_le_bytes());
                entry[8..16].copy_from_slice(&id.to_le_bytes());
                entry[16..24].copy_from_slice(&sector.to_le_bytes());
                entry[28..32].copy_from_slice(&reference.to_le_bytes());
            }
            _ => {
                entry[..2].copy_from_slice(&[operation, random.below(13) as u8]);
                entry[8..16].copy_from_slice(&id.to_le_bytes());
                entry[16..24].copy_from_slice(&sector.to_le_bytes());
                for place in entry[24..112].chunks_exact_mut(SEGMENT) {
                    place.copy_from_slice(&self.segment(random));
                }
            }
        }
        entry
    }

    /// Reads or writes all of a page, and waits for the response.
    fn transfer(&mut self, operation: u8, sector: u64, page: usize) -> Result<()> {
        let id = u64::from(self.made);
        let mut entry = [0; ENTRY];
        entry[..2].copy_from_slice(&[operation, 1]);
        entry[8..16].copy_from_slice(&id.to_le_bytes());
        entry[16..24].copy_from_slice(&sector.to_le_bytes());
        entry[24..28].copy_from_slice(&self.pages[page].1.to_le_bytes());
        entry[29] = 7;
        self.ring.await_response();
        self.push(&entry);
        self.channels.notify(self.port)?;
        let end = Instant::now() + PATIENCE;
        while self.ring.word(Word::ResponsesMade) != self.made {
            ensure!(Instant::now() < end, "a request is not answered");
            self.channels.wait(PATIENCE)?;
        }
        let response = self.ring.entry(self.made.wrapping_sub(1));
        let status = [response[10], response[11]];
        ensure!(
            u64_at(&response, 0) == id && status == [0, 0],
            "the response to request {id} is {:?}",
            &response[..12]
        );
        Ok(())
    }
}
