// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests to transmit, as they lie in the ring: each field of them may be anything.
//!
//! A packet is a request; then, if that says so, entries of extra information; then, if it says so, more
//! requests, of which each says whether another one follows (`xen/include/public/io/netif.h`, "Guest
//! transmit"). This module is pure: it sees what the requests say, and not the data.

use alloc::vec::Vec;

use xen::grant::{PAGE_SIZE, Reference};
use xen_sys::io::netif::*;

use crate::net::bridge::{Checksum, Mac};
use crate::net::frame::ETHERNET_HEADER;
use crate::net::gso::GsoInfo;

/// Requests of a packet, at most: frontends may rely on as many.
pub(super) const MAX_SLOTS: usize = XEN_NETIF_NR_SLOTS_MIN as usize;

/// A packet so far.
#[derive(Debug)]
pub(super) struct Assembly {
    next: Next,
    replies: Vec<Reply>,
    slots: Vec<Slot>,
    /// Bytes of the whole packet, as the first request tells.
    length: usize,
    /// Bytes of the later requests.
    later: usize,
    flags: u16,
    /// Whether the request that was taken last says that another one follows.
    more: bool,
    gso: Option<GsoInfo>,
    membership: Option<Membership>,
    /// Of the requests with data.
    is_bad: bool,
    has_bad_extra: bool,
}

/// A multicast group whose packets the frontend takes from now on, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Join(Mac),
    Leave(Mac),
}

/// What the next entry in the ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A request with data.
    Data,
    /// Extra information.
    Extra,
    /// That of the next packet: this one is complete.
    Packet,
}

/// To what a response is to be made: each entry gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A request with this id.
    Data(u16),
    /// Extra information, which gets [`NETIF_RSP_NULL`].
    Extra,
}

/// Bytes of a packet in a page of the frontend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) page: Reference,
    /// With the length no more than a page.
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// Where a packet's bytes are, and what is told of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) slots: Vec<Slot>,
    pub(super) length: usize,
    pub(super) checksum: Checksum,
    pub(super) gso: Option<GsoInfo>,
}

/// The entries of a packet that has been taken from the ring.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) replies: Vec<Reply>,
    /// `None` if they make no sense, or are about a group.
    pub(super) work: Option<Work>,
    /// What they say of a group, instead of a packet.
    pub(super) membership: Option<Membership>,
}

impl Assembly {
    pub(super) fn new() -> Self {
        Self {
            next: Next::Data,
            replies: Vec::new(),
            slots: Vec::new(),
            length: 0,
            later: 0,
            flags: 0,
            more: false,
            gso: None,
            membership: None,
            is_bad: false,
            has_bad_extra: false,
        }
    }

    /// What comes next.
    pub(super) fn next(&self) -> Next {
        self.next
    }

    /// Whether nothing of a packet is there yet.
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Takes a request with data.
    pub(super) fn data(&mut self, request: netif_tx_request) {
        let netif_tx_request { gref, offset, flags, id, size } = request;
        let is_first = self.is_empty();
        self.replies.push(Reply::Data(id));
        if is_first {
            self.flags = flags;
            self.length = size.into();
        } else {
            self.later += usize::from(size);
        }
        match Reference::new(gref) {
            Some(page) if self.slots.len() < MAX_SLOTS => {
                // How much of the packet the first one has is known in the end.
                let length = if is_first { 0 } else { size.into() };
                self.slots.push(Slot { page, offset: offset.into(), length });
            }
            _ => self.is_bad = true,
        }
        self.more = flags & NETTXF_more_data != 0;
        let has_extra = is_first && flags & NETTXF_extra_info != 0;
        self.next = if has_extra { Next::Extra } else { self.after_extras() };
    }

    /// Takes extra information.
    pub(super) fn extra(&mut self, extra: netif_extra_info) {
        self.replies.push(Reply::Extra);
        match extra.r#type {
            XEN_NETIF_EXTRA_TYPE_GSO => match GsoInfo::of(&extra) {
                Ok(info) => self.has_bad_extra |= self.gso.replace(info).is_some(),
                Err(_) => self.has_bad_extra = true,
            },
            // The flow's hash, as the frontend sees it: flows are told apart here.
            XEN_NETIF_EXTRA_TYPE_HASH => {}
            XEN_NETIF_EXTRA_TYPE_MCAST_ADD => self.group(Membership::Join(address(&extra))),
            XEN_NETIF_EXTRA_TYPE_MCAST_DEL => self.group(Membership::Leave(address(&extra))),
            // Others are unknown.
            _ => self.has_bad_extra = true,
        }
        self.next = match extra.flags & XEN_NETIF_EXTRA_FLAG_MORE {
            0 => self.after_extras(),
            _ => Next::Extra,
        };
    }

    /// Only one group at a time is named.
    fn group(&mut self, membership: Membership) {
        self.has_bad_extra |= self.membership.replace(membership).is_some();
    }

    fn after_extras(&self) -> Next {
        if self.more { Next::Data } else { Next::Packet }
    }

    /// The packet, once it is [complete](Next::Packet).
    pub(super) fn finish(self) -> Parsed {
        let checksum = match self.flags {
            flags if flags & NETTXF_csum_blank != 0 => Checksum::Blank,
            flags if flags & NETTXF_data_validated != 0 => Checksum::Right,
            _ => Checksum::Unverified,
        };
        let Self { mut slots, length, later, gso, membership, .. } = self;
        if membership.is_some() {
            // The request has no data: its page and its size mean nothing.
            let requests = self.replies.iter().filter(|reply| matches!(reply, Reply::Data(_)));
            let is_good = requests.count() == 1 && gso.is_none() && !self.has_bad_extra;
            return Parsed { replies: self.replies, work: None, membership: membership.filter(|_| is_good) };
        }
        let first = length.checked_sub(later).zip(slots.first_mut());
        let is_whole = first.map(|(length, slot)| slot.length = length).is_some();
        let fits = slots.iter().all(|slot| slot.offset + slot.length <= PAGE_SIZE);
        let is_bad = self.is_bad || self.has_bad_extra;
        let is_good = is_whole && fits && !is_bad && length >= ETHERNET_HEADER;
        let work = is_good.then_some(Work { slots, length, checksum, gso });
        Parsed { replies: self.replies, work, membership: None }
    }
}

/// The address of a group (`u.mcast.addr`).
fn address(extra: &netif_extra_info) -> Mac {
    let [[a, b], [c, d], [e, f]] = extra.u.map(u16::to_ne_bytes);
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u16, size: u16, flags: u16) -> netif_tx_request {
        netif_tx_request { gref: 100 + u32::from(id), offset: 0, flags, id, size }
    }

    fn gso(size: u16, flags: u8) -> netif_extra_info {
        netif_extra_info { flags, ..GsoInfo { size, kind: XEN_NETIF_GSO_TYPE_TCPV4 }.extra() }
    }

    fn of_kind(kind: u8) -> netif_extra_info {
        netif_extra_info { r#type: kind, flags: 0, u: [0; 3] }
    }

    fn parse(requests: &[netif_tx_request]) -> Parsed {
        let mut assembly = Assembly::new();
        for request in requests {
            assert_eq!(assembly.next(), Next::Data);
            assembly.data(*request);
        }
        assert_eq!(assembly.next(), Next::Packet);
        assembly.finish()
    }

    /// A packet of one request with these.
    fn with_extras(extras: &[netif_extra_info]) -> Parsed {
        let mut assembly = Assembly::new();
        assembly.data(request(0, 100, NETTXF_extra_info));
        for extra in extras {
            assert_eq!(assembly.next(), Next::Extra);
            assembly.extra(*extra);
        }
        assert_eq!(assembly.next(), Next::Packet);
        assembly.finish()
    }

    fn slots(parsed: &Parsed) -> Vec<(u32, usize, usize)> {
        let slots = &parsed.work.as_ref().unwrap().slots;
        slots.iter().map(|slot| (slot.page.number(), slot.offset, slot.length)).collect()
    }

    #[test]
    fn a_packet_lies_in_one_request_or_in_several() {
        let parsed = parse(&[netif_tx_request { offset: 9, ..request(7, 60, NETTXF_data_validated) }]);
        assert_eq!((slots(&parsed), &parsed.replies[..]), (vec![(107, 9, 60)], &[Reply::Data(7)][..]));
        assert_eq!(parsed.work.unwrap().checksum, Checksum::Right);
        let more = NETTXF_more_data;
        let parsed =
            parse(&[request(0, 9000, more | NETTXF_csum_blank), request(1, 4096, more), request(2, 4000, 0)]);
        assert_eq!(slots(&parsed), [(100, 0, 904), (101, 0, 4096), (102, 0, 4000)]);
        let work = parsed.work.unwrap();
        assert_eq!((work.length, work.checksum), (9000, Checksum::Blank));
    }

    #[test]
    fn extra_information_lies_behind_the_first_request_and_is_answered_too() {
        let mut assembly = Assembly::new();
        assembly.data(request(5, 5000, NETTXF_extra_info | NETTXF_more_data));
        assert_eq!(assembly.next(), Next::Extra);
        assembly.extra(gso(1448, XEN_NETIF_EXTRA_FLAG_MORE));
        assembly.extra(of_kind(XEN_NETIF_EXTRA_TYPE_HASH));
        assert_eq!(assembly.next(), Next::Data);
        // The flag means nothing in later ones.
        assembly.data(request(6, 4000, NETTXF_extra_info));
        assert_eq!(assembly.next(), Next::Packet);
        let parsed = assembly.finish();
        assert_eq!(parsed.replies, [Reply::Data(5), Reply::Extra, Reply::Extra, Reply::Data(6)]);
        let work = parsed.work.unwrap();
        assert_eq!(work.gso, Some(GsoInfo { size: 1448, kind: XEN_NETIF_GSO_TYPE_TCPV4 }));
    }

    #[test]
    fn requests_that_make_no_sense_are_answered_and_nothing_else() {
        let more = NETTXF_more_data;
        let bad: [&[netif_tx_request]; 8] = [
            &[request(0, 13, 0)],
            &[request(0, 4097, 0)],
            &[netif_tx_request { offset: 4000, ..request(0, 97, 0) }],
            &[netif_tx_request { offset: u16::MAX, ..request(0, u16::MAX, 0) }],
            &[netif_tx_request { gref: 0, ..request(0, 60, 0) }],
            &[request(0, 100, more), request(1, 101, 0)],
            &[request(0, 5000, more), netif_tx_request { offset: 1, ..request(1, 4096, 0) }],
            &[request(0, u16::MAX, more), request(1, u16::MAX, more), request(2, u16::MAX, 0)],
        ];
        for requests in bad {
            let parsed = parse(requests);
            assert_eq!((parsed.work, parsed.replies.len()), (None, requests.len()), "{requests:?}");
        }
        let many = |count: u16| {
            let flags = |id| if id + 1 < count { more } else { 0 };
            parse(
                &(0..count)
                    .map(|id| request(id, if id == 0 { 1000 } else { 10 }, flags(id)))
                    .collect::<Vec<_>>(),
            )
        };
        assert!(many(18).work.is_some());
        assert!(many(19).work.is_none() && many(19).replies.len() == 19);
    }

    #[test]
    fn extra_information_that_makes_no_sense_spoils_the_packet() {
        assert!(with_extras(&[gso(1448, 0)]).work.is_some());
        let bad: [&[netif_extra_info]; 4] = [
            &[gso(0, 0)],
            &[gso(1448, XEN_NETIF_EXTRA_FLAG_MORE), gso(1448, 0)],
            &[of_kind(XEN_NETIF_EXTRA_TYPE_NONE)],
            &[of_kind(XEN_NETIF_EXTRA_TYPE_MAX)],
        ];
        for extras in bad {
            let parsed = with_extras(extras);
            assert_eq!((parsed.work, parsed.replies.len()), (None, 1 + extras.len()), "{extras:?}");
        }
    }

    fn of_group(kind: u8, flags: u8) -> netif_extra_info {
        let u = [[0x33, 0x33], [0, 0], [0, 9]].map(u16::from_ne_bytes);
        netif_extra_info { r#type: kind, flags, u }
    }

    /// What a request without a page says with these, and how many responses there are.
    fn membership(flags: u16, extras: &[netif_extra_info]) -> (Option<Membership>, usize) {
        let mut assembly = Assembly::new();
        assembly.data(netif_tx_request { gref: 0, ..request(0, 0, flags | NETTXF_extra_info) });
        extras.iter().for_each(|extra| assembly.extra(*extra));
        if assembly.next() == Next::Data {
            assembly.data(request(1, 60, 0));
        }
        let Parsed { replies, work, membership } = assembly.finish();
        assert_eq!(work, None);
        (membership, replies.len())
    }

    #[test]
    fn a_request_without_data_names_a_group() {
        let (add, del) = (XEN_NETIF_EXTRA_TYPE_MCAST_ADD, XEN_NETIF_EXTRA_TYPE_MCAST_DEL);
        let (group, more) = ([0x33, 0x33, 0, 0, 0, 9], XEN_NETIF_EXTRA_FLAG_MORE);
        assert_eq!(membership(0, &[of_group(add, 0)]), (Some(Membership::Join(group)), 2));
        assert_eq!(membership(0, &[of_group(del, 0)]), (Some(Membership::Leave(group)), 2));
        assert_eq!(membership(0, &[of_group(add, more), of_group(del, 0)]), (None, 3));
        assert_eq!(membership(0, &[of_group(add, more), gso(1448, 0)]), (None, 3));
        assert_eq!(membership(0, &[of_group(add, more), of_kind(XEN_NETIF_EXTRA_TYPE_MAX)]), (None, 3));
        assert_eq!(membership(NETTXF_more_data, &[of_group(add, 0)]), (None, 3));
    }
}
