// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk in memory, served over a ring (`xen/include/public/io/blkif.h`).

use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xen_sys::io::blkif::*;

use super::bus::Device;
use super::link::{Class, LOOK, Link, PATIENCE, REMEMBERED};
use super::moves::{Field, Move, Word};
use super::random::Random;
use super::ring::{Ring, u16_at, u32_at, u64_at};
use crate::channel::{Channels, Port};
use crate::guest::Guest;
use crate::page::{Access, Grants, Page, SIZE};

/// Bytes of a sector on the ring.
const SECTOR: usize = 512;
/// Bytes of the disk.
const DISK: usize = 1 << 20;

/// Disks: `xvdq` and so on, by the numbers of the extended scheme. There are so many that none is made again
/// while the guest may still be busy with its namesake.
pub(crate) const CLASS: Class = Class {
    name: "vbd",
    numbers: ((1 << 28) + (16 << 8), 1 << 8),
    count: 600,
    seats: 8,
    own: &[("device-type", "disk")],
    offer: &[("max-ring-page-order", "2")],
    properties: &[
        ("sectors", "2048"),
        ("sector-size", "512"),
        ("info", "0"),
        ("feature-flush-cache", "1"),
        ("feature-barrier", "1"),
        ("feature-max-indirect-segments", "64"),
    ],
    open: VbdLink::open,
};

/// The connection to a frontend.
struct VbdLink {
    ring: Ring,
    grants: Grants,
    channels: Channels,
    port: Port,
    disk: Vec<u8>,
    /// Ids that were answered, the last one at the end.
    ids: Vec<u64>,
}

/// A request, taken apart.
struct Request {
    id: u64,
    operation: u8,
    /// What it does, also if it is indirect.
    action: u8,
    sector: u64,
    segments: Vec<(u32, usize, usize)>,
}

/// How pages were dealt with, and the response.
struct Done {
    response: blkif_response,
    pages: Vec<Page>,
}

impl VbdLink {
    fn open(guest: &mut Guest, device: &Device) -> Result<Option<Box<dyn Link>>> {
        let keys = [
            "ring-page-order",
            "event-channel",
            "ring-ref",
            "ring-ref0",
            "ring-ref1",
            "ring-ref2",
            "ring-ref3",
        ];
        let [order, port, only, several @ ..] = device.numbers(guest, keys)?;
        let references = match order {
            None | Some(0) => vec![only],
            Some(order @ 1..=2) => several.into_iter().take(1 << order).collect(),
            // More than was offered, unless a move has said more.
            Some(_) => return Ok(None),
        };
        let grants = Grants::of(guest.domain)?;
        let mut pages = Vec::new();
        for reference in references {
            let Some(reference) = reference else { return Ok(None) };
            let Ok(page) = grants.map(reference, Access::ReadWrite) else { return Ok(None) };
            pages.push(page);
        }
        let Some(port) = port else { return Ok(None) };
        let mut channels = Channels::new()?;
        let Ok(port) = channels.connect(guest.domain, port) else { return Ok(None) };
        let ring = Ring::new(pages, size_of::<blkif_request>());
        Ok(Some(Box::new(Self { ring, grants, channels, port, disk: vec![0; DISK], ids: Vec::new() })))
    }

    /// Does the next request, if one comes, and lets go of its pages; what is to be answered.
    fn response(&mut self) -> Result<Option<blkif_response>> {
        Ok(self.next()?.map(|done| done.response))
    }

    /// Does the next request, if one comes, whose pages stay mapped.
    fn next(&mut self) -> Result<Option<Done>> {
        let Some(request) = self.take()? else { return Ok(None) };
        self.serve(&request).map(Some)
    }

    /// Takes the next request, if one comes. A frontend whose ring makes no sense has none.
    fn take(&mut self) -> Result<Option<Request>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ring.next() {
                Ok(Some(entry)) => return Ok(self.parse(&entry).ok()),
                Err(_) => return Ok(None),
                Ok(None) if Instant::now() >= end => return Ok(None),
                Ok(None) => {
                    self.ring.await_request();
                    self.channels.wait(LOOK)?;
                }
            }
        }
    }

    fn parse(&self, entry: &[u8]) -> Result<Request> {
        let operation = entry[offset_of!(blkif_request, operation)];
        let id = u64_at(entry, offset_of!(blkif_request, id));
        let sector = u64_at(entry, offset_of!(blkif_request, sector_number));
        if operation == BLKIF_OP_INDIRECT {
            let action = entry[offset_of!(blkif_request_indirect, indirect_op)];
            let count = usize::from(u16_at(entry, offset_of!(blkif_request_indirect, nr_segments)));
            ensure!(count <= SIZE / size_of::<blkif_request_segment>(), "{count} segments");
            let reference = u32_at(entry, offset_of!(blkif_request_indirect, indirect_grefs));
            let page = self.grants.map(reference, Access::Read)?;
            let mut list = vec![0; count * size_of::<blkif_request_segment>()];
            page.read(0, &mut list);
            return Ok(Request { id, operation, action, sector, segments: segments(&list) });
        }
        let has_data = matches!(operation, BLKIF_OP_READ | BLKIF_OP_WRITE | BLKIF_OP_WRITE_BARRIER);
        let count = usize::from(entry[offset_of!(blkif_request, nr_segments)]) * usize::from(has_data);
        ensure!(count <= BLKIF_MAX_SEGMENTS_PER_REQUEST, "{count} segments");
        let start = offset_of!(blkif_request, seg);
        let list = &entry[start..start + count * size_of::<blkif_request_segment>()];
        Ok(Request { id, operation, action: operation, sector, segments: segments(list) })
    }

    /// Does a request. The pages are still mapped then.
    fn serve(&mut self, request: &Request) -> Result<Done> {
        let mut at = usize::try_from(request.sector)?.saturating_mul(SECTOR);
        let (mut pages, mut status) = (Vec::new(), BLKIF_RSP_OKAY);
        let is_read = request.action == BLKIF_OP_READ;
        for (reference, first, last) in &request.segments {
            let access = if is_read { Access::ReadWrite } else { Access::Read };
            let mapped = self.grants.map(*reference, access).ok();
            let (start, end) = (first * SECTOR, (last + 1) * SECTOR);
            let fits = first <= last && end <= SIZE;
            let Some((page, part)) = mapped.zip(
                self.disk.get_mut(at..).and_then(|rest| fits.then(|| rest.get_mut(..end - start)).flatten()),
            ) else {
                status = BLKIF_RSP_ERROR;
                break;
            };
            if is_read {
                page.write(start, part);
            } else {
                page.read(start, part);
            }
            pages.push(page);
            at += end - start;
        }
        let response =
            blkif_response { id: request.id, operation: request.operation, status, ..Default::default() };
        Ok(Done { response, pages })
    }

    /// Publishes a response, with an event; the place that it is in.
    fn answer(&mut self, response: &blkif_response) -> Result<u32> {
        let place = self.put(response);
        self.notify()?;
        Ok(place)
    }

    /// Publishes a response; the place that it is in.
    fn put(&mut self, response: &blkif_response) -> u32 {
        if self.ids.len() == REMEMBERED {
            self.ids.remove(0);
        }
        self.ids.push(response.id);
        self.ring.answer(&bytes(response))
    }

    fn notify(&self) -> Result<()> {
        self.channels.notify(self.port).context("the guest's event channel is gone")
    }
}

impl Link for VbdLink {
    fn play(&mut self, play: &Move, kept: &mut Vec<Page>) -> Result<bool> {
        match *play {
            Move::Serve(count) => {
                let mut done = 0;
                while done < count {
                    // A frontend may have less to do than that.
                    let Some(response) = self.response()? else { return Ok(done > 0) };
                    self.put(&response);
                    done += 1;
                    // Those that wait already are done before the frontend is told.
                    while done < count && self.ring.has_next() {
                        let Some(response) = self.response()? else { break };
                        self.put(&response);
                        done += 1;
                    }
                    self.notify()?;
                }
            }
            Move::Answer(field, value) => {
                let Some(mut response) = self.response()? else { return Ok(false) };
                match field {
                    Field::Id => response.id = value,
                    Field::Operation => response.operation = value as u8,
                    Field::Status => response.status = value as i16,
                    Field::Offset | Field::Flags => return Ok(false),
                }
                self.answer(&response)?;
            }
            Move::Stale => {
                let Some(mut response) = self.response()? else { return Ok(false) };
                let Some(id) = self.ids.first() else { return Ok(false) };
                response.id = *id;
                self.answer(&response)?;
            }
            Move::Twice => {
                let Some(response) = self.response()? else { return Ok(false) };
                self.answer(&response)?;
                self.answer(&response)?;
            }
            Move::Swallow => return Ok(self.take()?.is_some()),
            Move::Garbage(seed) => {
                if self.response()?.is_none() {
                    return Ok(false);
                }
                self.ring.answer(&noise(seed));
                self.notify()?;
            }
            Move::Rewrite(times) => {
                let Some(response) = self.response()? else { return Ok(false) };
                let place = self.answer(&response)?;
                for time in 0..times {
                    self.ring.overwrite(place, &noise(time.into()));
                }
            }
            Move::Keep => {
                let Some(done) = self.next()? else { return Ok(false) };
                kept.extend(done.pages);
                self.answer(&done.response)?;
            }
            Move::Late(times) => {
                let Some(done) = self.next()? else { return Ok(false) };
                self.answer(&done.response)?;
                if done.response.operation == BLKIF_OP_READ {
                    for time in 0..times {
                        done.pages.iter().for_each(|page| page.write(0, &noise(time.into())));
                    }
                }
            }
            Move::Index(distance) => {
                let made = self.ring.word(Word::ResponsesMade);
                self.ring.set(Word::ResponsesMade, made.wrapping_add(distance));
                self.notify()?;
            }
            Move::Word(word, distance) => {
                self.ring.set(word, self.ring.word(word).wrapping_add(distance));
                self.notify()?;
            }
            Move::Storm(count) => (0..count).try_for_each(|_| self.notify())?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_ready(&mut self, play: &Move) -> bool {
        let needs_none = matches!(play, Move::Index(_) | Move::Word(..) | Move::Storm(_));
        needs_none || self.ring.has_next()
    }

    fn arm(&self) {
        self.ring.await_request();
    }

    fn events(&self) -> BorrowedFd<'_> {
        self.channels.as_fd()
    }

    fn take_events(&mut self) -> Result<()> {
        self.channels.wait(Duration::ZERO).map(drop)
    }

    fn into_pages(self: Box<Self>) -> Vec<Page> {
        self.ring.into_pages()
    }
}

/// Random bytes in place of a response.
fn noise(seed: u64) -> [u8; size_of::<blkif_response>()] {
    let mut random = Random::new(seed);
    let halves = [random.next(), random.next()].map(u64::to_le_bytes);
    halves.concat().try_into().unwrap_or_default()
}

fn bytes(response: &blkif_response) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<blkif_response>()];
    bytes[..8].copy_from_slice(&response.id.to_le_bytes());
    bytes[offset_of!(blkif_response, operation)] = response.operation;
    let status = offset_of!(blkif_response, status);
    bytes[status..status + 2].copy_from_slice(&response.status.to_le_bytes());
    bytes
}

/// Each segment's reference, first and last sector.
fn segments(list: &[u8]) -> Vec<(u32, usize, usize)> {
    let entries = list.chunks_exact(size_of::<blkif_request_segment>());
    let sector = |entry: &[u8], offset: usize| usize::from(entry[offset]);
    entries
        .map(|entry| {
            let first = sector(entry, offset_of!(blkif_request_segment, first_sect));
            (u32_at(entry, 0), first, sector(entry, offset_of!(blkif_request_segment, last_sect)))
        })
        .collect()
}
