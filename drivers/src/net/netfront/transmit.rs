// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transmitting ring of a queue.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use xen::DomainId;
use xen::grant::{Granted, PAGE_SIZE, ReadOnly, Reference};
use xen::ring::{Ring, Violation};
use xen_sys::io::netif::*;

use super::gso::GsoPacket;
use crate::hal::{Platform, nanoseconds};
use crate::net::error::Error;
use crate::net::gso::GsoInfo;
use crate::net::multicast::Group;
use crate::net::segment::Segment;

/// The ring through which packets go out, and the pages that they lie in meanwhile. The pages are
/// granted once, for reading; a page's number is the id of its request.
pub(super) struct Transmitter<'p, P: Platform> {
    ring: Ring<'p, P::Page>,
    pages: Vec<Granted<'p, P::Page, ReadOnly>>,
    free: Vec<u16>,
    /// By number, where the page is.
    page_states: Vec<PageState>,
    /// What has been put into pages, but not into the ring, as more of it may come.
    waiting: Vec<Waiting>,
    /// Multicast groups that the backend has yet to be asked for.
    groups: Vec<Group>,
    /// The next response stands for extra information, and not for a page.
    extra_is_next: bool,
    /// The backend wants an event for what it was shown.
    is_wanted: bool,
    failed: u64,
    merged: u64,
    /// Since when nothing is heard of what is on its way, in nanoseconds.
    unanswered_since: Option<u64>,
}

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageState {
    /// It is ours.
    Idle,
    /// The backend has it.
    Sent,
    /// The backend has it, and extra information was sent with it.
    SentWithExtra,
}

/// A GSO packet, and the pages that it lies in.
struct Waiting {
    packet: GsoPacket,
    pages: Vec<u16>,
}

/// GSO packets that can wait at once: flows whose segments come in turns.
const MAX_GSO_PACKETS: usize = 8;

/// Flags of a packet whose checksum is blank.
pub(super) const BLANK: u16 = NETTXF_csum_blank | NETTXF_data_validated;

/// A backend that has not answered for so long is notified again.
const RENOTIFY_AFTER: Duration = Duration::from_secs(1);

impl<'p, P: Platform> Transmitter<'p, P> {
    /// A transmitter to `domain` with `pages` pages.
    ///
    /// # Errors
    ///
    /// [`Error`] if there is no memory, or no grants.
    pub(super) fn new(platform: &'p P, domain: DomainId, pages: u16) -> Result<Self, Error> {
        let page = platform.page().ok_or(Error::NoMemory)?;
        let ring = Ring::new(platform.grants(), [page].into(), domain, size_of::<netif_tx_request>())?;
        let granted = (0..pages).map(|_| {
            let page = platform.page().ok_or(Error::NoMemory)?;
            platform.grants().try_grant(page, domain).map_err(|refused| Error::Grant(refused.error))
        });
        Ok(Self {
            ring,
            pages: granted.collect::<Result<_, _>>()?,
            free: (0..pages).rev().collect(),
            page_states: vec![PageState::Idle; pages.into()],
            waiting: Vec::with_capacity(MAX_GSO_PACKETS),
            groups: Vec::new(),
            extra_is_next: false,
            is_wanted: false,
            failed: 0,
            merged: 0,
            unanswered_since: None,
        })
    }

    /// What the backend is to be told of the ring.
    pub(super) fn reference(&self) -> Option<Reference> {
        self.ring.references().next()
    }

    /// Whether the backend has answered as much as [`request_event`](Self::request_event) asked for an event
    /// for: who is told of less finds no room, and asks again and again.
    pub(super) fn needs_poll(&mut self) -> Result<bool, Violation> {
        self.ring.is_due()
    }

    /// Counts a packet that cannot be sent.
    pub(super) fn lose(&mut self) {
        self.failed += 1;
    }

    /// Packets that could not be sent, or parts of them.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    /// Frames of segments that left in the packet of another one.
    pub(super) fn merged(&self) -> u64 {
        self.merged
    }

    /// Whether there is room for frames in `parts` pages, or in all there are, if those are fewer.
    pub(super) fn has_room(&self, parts: usize) -> bool {
        // One entry of the ring is for extra information: what never has room would stop all traffic.
        let most = (self.ring.capacity() as usize).saturating_sub(1);
        let parts = parts.min(self.pages.len()).min(most);
        // With each GSO packet an entry of extra information; one for that of this frame too.
        let reserved: usize = self.waiting.iter().map(|waiting| waiting.pages.len() + 1).sum();
        parts <= self.free.len() && reserved + parts < self.ring.room() as usize
    }

    /// Puts a frame of at most 65535 bytes into the ring, if there is [room](Self::has_room), behind all
    /// that waits. The backend sees it after [`publish`](Self::publish). `flags` are those of the first
    /// request.
    pub(super) fn send(&mut self, frame: &[u8], flags: u16) {
        self.flush();
        if !self.has_room(frame.len().div_ceil(PAGE_SIZE)) {
            return self.lose();
        }
        let mut pages = Vec::new();
        self.append(&mut pages, 0, frame);
        self.push(&pages, frame.len(), flags, None);
    }

    /// Puts the frame that `segment` was found in to the others that it follows, if there is
    /// [room](Self::has_room). The backend sees it after [`publish`](Self::publish).
    pub(super) fn send_segment(&mut self, frame: &[u8], segment: Segment) {
        if !self.has_room(frame.len().div_ceil(PAGE_SIZE)) {
            return self.lose();
        }
        let payload = frame.get(segment.start..).unwrap_or_default();
        if let Some(state) = self.waiting.iter().position(|waiting| waiting.packet.takes(&segment)) {
            let mut waiting = self.waiting.remove(state);
            self.append(&mut waiting.pages, waiting.packet.length(), payload);
            waiting.packet.add(&segment);
            self.merged += 1;
            self.waiting.insert(state, waiting);
            return;
        }
        let others_first = self.waiting.iter().any(|waiting| waiting.packet.is_before(&segment));
        if others_first || self.waiting.len() == MAX_GSO_PACKETS {
            self.flush();
        }
        let mut pages = Vec::new();
        self.append(&mut pages, 0, frame);
        self.waiting.push(Waiting { packet: GsoPacket::new(segment), pages });
    }

    /// Puts what waits into the ring, what waits longest first.
    pub(super) fn flush(&mut self) {
        let mut waiting = core::mem::take(&mut self.waiting);
        for Waiting { packet, pages } in waiting.drain(..) {
            if let Some(page) = pages.first().and_then(|id| self.pages.get(usize::from(*id))) {
                // The headers are shorter than a page.
                packet.put_headers(|headers| page.write(0, headers).unwrap_or_default());
            }
            let extra = packet.segments().map(GsoInfo::extra);
            self.push(&pages, packet.length(), BLANK, extra);
        }
        // Its memory is used again.
        self.waiting = waiting;
    }

    /// Asks for the packets of a multicast group, as soon as there is room.
    pub(super) fn join(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// Asks for the groups for which there is room, each by a request without a packet.
    fn ask_for_groups(&mut self) {
        while !self.groups.is_empty() && self.has_room(1) {
            let (Some(group), Some(id)) = (self.groups.pop(), self.free.pop()) else { return };
            let [a, b, c, d, e, f] = group;
            let address = [[a, b], [c, d], [e, f]].map(u16::from_ne_bytes);
            let extra = netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_MCAST_ADD, flags: 0, u: address };
            self.push_page(id, 0, NETTXF_extra_info, Some(extra));
        }
    }

    /// Writes `bytes` behind the `length` that lie in `pages`, and takes more of them for that.
    fn append(&mut self, pages: &mut Vec<u16>, length: usize, bytes: &[u8]) {
        let mut offset = length % PAGE_SIZE;
        let mut rest = bytes;
        while !rest.is_empty() {
            if offset == 0 {
                pages.extend(self.free.pop());
            }
            let (part, later) = rest.split_at(rest.len().min(PAGE_SIZE - offset));
            let page = pages.last().and_then(|id| self.pages.get(usize::from(*id)));
            // It fits into the page.
            let _ = page.map(|page| page.write(offset, part));
            (offset, rest) = (0, later);
        }
    }

    /// Puts a packet of `length` bytes in `pages` into the ring.
    fn push(&mut self, pages: &[u16], length: usize, flags: u16, extra: Option<netif_extra_info>) {
        let Ok(total) = u16::try_from(length) else { return };
        let mut rest = length;
        for (index, id) in pages.iter().enumerate() {
            let is_first = index == 0;
            // The first request tells the whole packet's size.
            let size = if is_first { total } else { rest.min(PAGE_SIZE) as u16 };
            let mut flags = if is_first { flags } else { 0 };
            if rest > PAGE_SIZE {
                flags |= NETTXF_more_data;
            }
            let extra = extra.filter(|_| is_first);
            if extra.is_some() {
                flags |= NETTXF_extra_info;
            }
            self.push_page(*id, size, flags, extra);
            rest = rest.saturating_sub(PAGE_SIZE);
        }
    }

    fn push_page(&mut self, id: u16, size: u16, flags: u16, extra: Option<netif_extra_info>) {
        let number = usize::from(id);
        let (Some(page), Some(state)) = (self.pages.get(number), self.page_states.get_mut(number)) else {
            return;
        };
        let request = netif_tx_request { gref: page.reference().number(), offset: 0, flags, id, size };
        if self.ring.push(request).is_err() {
            self.free.push(id); // poisoned
            return;
        }
        *state = PageState::Sent;
        if let Some(extra) = extra
            && self.ring.push(extra).is_ok()
        {
            *state = PageState::SentWithExtra;
        }
    }

    /// Shows the backend what was put into the ring; true if it wants an event.
    pub(super) fn publish(&mut self) -> bool {
        self.flush();
        self.ask_for_groups();
        self.show();
        core::mem::take(&mut self.is_wanted)
    }

    fn show(&mut self) {
        self.is_wanted |= self.ring.publish();
    }

    /// Asks for an event when half of what is on its way has been sent, or more if frames in `parts` pages
    /// need more; true if something has been already. What waits is on its way then, and the backend sees it:
    /// half of what it does not see would be nothing.
    pub(super) fn request_event(&mut self, parts: usize) -> Result<bool, Violation> {
        self.flush();
        self.show();
        let missing = parts.saturating_sub(self.free.len()) as u32;
        let half = self.ring.unanswered() / 2;
        Ok(self.ring.request_event(half.max(missing))? != 0)
    }

    /// Whether the backend should be told again: nothing has been heard for a second of packets that
    /// are on their way at time `now`, in nanoseconds. So an event that got lost on the other side
    /// costs time, and not the connection.
    pub(super) fn needs_renotify(&mut self, now: u64) -> bool {
        if self.ring.unanswered() == 0 || self.ring.ready() != Ok(0) {
            self.unanswered_since = None;
            return false;
        }
        let since = *self.unanswered_since.get_or_insert(now);
        let ignored = now.saturating_sub(since) >= nanoseconds(RENOTIFY_AFTER);
        if ignored {
            self.unanswered_since = Some(now);
        }
        ignored
    }

    /// Takes back the pages of what has been sent.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the backend broke the protocol: the ring is poisoned then.
    pub(super) fn reclaim(&mut self) -> Result<(), Violation> {
        while let Some(netif_tx_response { id, status }) = self.ring.pop()? {
            if core::mem::take(&mut self.extra_is_next) {
                match status {
                    NETIF_RSP_NULL => continue,
                    _ => return Err(self.ring.poison()),
                }
            }
            let known = matches!(status, NETIF_RSP_OKAY | NETIF_RSP_ERROR | NETIF_RSP_DROPPED);
            match self.page_states.get_mut(usize::from(id)) {
                Some(state) if *state != PageState::Idle && known => {
                    self.extra_is_next =
                        core::mem::replace(state, PageState::Idle) == PageState::SentWithExtra;
                }
                _ => return Err(self.ring.poison()),
            }
            self.free.push(id);
            self.unanswered_since = None;
            self.failed += u64::from(status != NETIF_RSP_OKAY);
        }
        Ok(())
    }
}
