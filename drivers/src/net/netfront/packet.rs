// SPDX-License-Identifier: MIT OR Apache-2.0
//! Assembly of received packets from responses.
//!
//! A packet is a response with data; then, if that says so, entries of extra information; then, if the first
//! response says so, more responses with data (`xen/include/public/io/netif.h`, "Guest receive"). This module
//! is pure: it sees what the responses say, and not the data.

use crate::hal::PAGE_SIZE;
use xen_sys::io::netif::*;

use crate::net::error::ProtocolViolation;
use crate::net::frame::{ETHERNET_HEADER, MAX_FRAME};
use crate::net::gso::GsoInfo;

/// Responses with data that a packet can have: what backends make of [`MAX_FRAME`] bytes that begin
/// anywhere in a page, and one for a header of its own.
const MAX_PARTS: u32 = XEN_NETIF_NR_SLOTS_MIN + 1;

/// A packet so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assembly {
    next: Next,
    length: usize,
    parts: u32,
    first_flags: u16,
    more: bool,
    segments: Option<GsoInfo>,
    failed: bool,
}

/// What the next entry in the ring is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// A response with data.
    #[default]
    Data,
    /// Extra information.
    Extra,
    /// That of the next packet: this one is complete.
    Packet,
}

/// Data of a packet, in the page that the response is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins in the page.
    pub offset: usize,
    /// Bytes; with the offset no more than a page.
    pub length: usize,
    /// Where it goes in the packet; with the length no more than [`MAX_FRAME`].
    pub position: usize,
}

/// A complete packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Bytes.
    pub length: usize,
    /// Whether the backend vouches for the checksums of TCP and UDP: they are right, or blank as
    /// the packet never was on a wire.
    pub vouched: bool,
    /// What there is to tell of it, if it is several TCP segments in one.
    pub gso: Option<GsoInfo>,
}

impl Assembly {
    /// What comes next.
    pub fn next(&self) -> Next {
        self.next
    }

    /// Whether the first part of a packet is there, and its last one not.
    pub fn is_under_way(&self) -> bool {
        self.parts > 0
    }

    /// Takes a response with data, in the position of request `asked`. A part to be copied is
    /// returned, if there is one.
    ///
    /// # Errors
    ///
    /// [`ProtocolViolation`].
    pub fn data(
        &mut self,
        response: netif_rx_response,
        asked: u16,
    ) -> Result<Option<Part>, ProtocolViolation> {
        let netif_rx_response { id, offset, flags, status } = response;
        if id != asked {
            return Err(ProtocolViolation::Id { asked, told: id });
        }
        if self.parts == 0 {
            self.first_flags = flags;
        }
        self.more = flags & NETRXF_more_data != 0;
        let extra = self.parts == 0 && flags & NETRXF_extra_info != 0;
        self.parts += 1;
        let part = self.part(offset, status)?;
        if self.parts > MAX_PARTS {
            return Err(ProtocolViolation::TooLong);
        }
        self.next = if extra { Next::Extra } else { self.after_extras() };
        Ok(part)
    }

    fn part(&mut self, offset: u16, status: i16) -> Result<Option<Part>, ProtocolViolation> {
        let Ok(length) = usize::try_from(status) else {
            self.failed = true;
            return Ok(None);
        };
        if usize::from(offset) + length > PAGE_SIZE {
            return Err(ProtocolViolation::OutsidePage { offset, length: status });
        }
        let position = self.length;
        self.length += length;
        if self.length > MAX_FRAME {
            return Err(ProtocolViolation::TooLong);
        }
        Ok(Some(Part { offset: offset.into(), length, position }))
    }

    /// Takes extra information.
    ///
    /// # Errors
    ///
    /// [`ProtocolViolation`].
    pub fn extra(&mut self, extra: netif_extra_info) -> Result<(), ProtocolViolation> {
        if extra.r#type != XEN_NETIF_EXTRA_TYPE_GSO {
            return Err(ProtocolViolation::Extra(extra.r#type));
        }
        let segments =
            GsoInfo::of(&extra).map_err(|GsoInfo { size, kind }| ProtocolViolation::Gso { size, kind })?;
        if self.segments.replace(segments).is_some() {
            return Err(ProtocolViolation::ExtraTwice);
        }
        self.next = match extra.flags & XEN_NETIF_EXTRA_FLAG_MORE {
            0 => self.after_extras(),
            _ => Next::Extra,
        };
        Ok(())
    }

    fn after_extras(&self) -> Next {
        if self.more { Next::Data } else { Next::Packet }
    }

    /// The packet, once it is [complete](Next::Packet), and begins the next one. `None` if the
    /// backend failed to receive it, or if it is no Ethernet frame.
    pub fn finish(&mut self) -> Option<Packet> {
        let Self { length, first_flags, segments, failed, .. } = core::mem::take(self);
        let vouched = first_flags & (NETRXF_csum_blank | NETRXF_data_validated) != 0 || segments.is_some();
        (!failed && length >= ETHERNET_HEADER).then_some(Packet { length, vouched, gso: segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(id: u16, flags: u16, status: i16) -> netif_rx_response {
        netif_rx_response { id, offset: 0, flags, status }
    }

    fn gso(size: u16, kind: u8, flags: u8) -> netif_extra_info {
        netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_GSO, flags, u: [size, kind.into(), 0] }
    }

    #[test]
    fn a_packet_in_one_page_is_complete_at_once() {
        let mut assembly = Assembly::default();
        let part = assembly.data(netif_rx_response { offset: 100, ..data(7, 0, 60) }, 7).unwrap();
        assert_eq!(part, Some(Part { offset: 100, length: 60, position: 0 }));
        assert_eq!(assembly.next(), Next::Packet);
        let packet = assembly.finish().unwrap();
        assert_eq!(packet, Packet { length: 60, vouched: false, gso: None });
        assert_eq!(assembly.next(), Next::Data);
    }

    #[test]
    fn extras_come_after_the_first_part_and_its_flag_for_more_reaches_over_them() {
        let mut assembly = Assembly::default();
        let flags = NETRXF_extra_info | NETRXF_more_data | NETRXF_csum_blank | NETRXF_data_validated;
        assembly.data(data(0, flags, 200), 0).unwrap();
        assert_eq!(assembly.next(), Next::Extra);
        assembly.extra(gso(1448, XEN_NETIF_GSO_TYPE_TCPV4, 0)).unwrap();
        assert_eq!(assembly.next(), Next::Data);
        // The flag for extra information means nothing in later parts.
        let part = assembly.data(data(2, NETRXF_more_data | NETRXF_extra_info, 4096), 2).unwrap();
        assert_eq!(part, Some(Part { offset: 0, length: 4096, position: 200 }));
        assert_eq!(assembly.next(), Next::Data);
        assembly.data(data(3, 0, 1), 3).unwrap();
        let gso = Some(GsoInfo { size: 1448, kind: XEN_NETIF_GSO_TYPE_TCPV4 });
        assert_eq!(assembly.finish(), Some(Packet { length: 4297, vouched: true, gso }));
    }

    #[test]
    fn a_packet_that_the_backend_failed_to_receive_is_dropped_and_the_next_one_is_not() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.data(data(0, NETRXF_more_data, NETIF_RSP_ERROR), 0), Ok(None));
        assembly.data(data(1, 0, 100), 1).unwrap();
        assert_eq!(assembly.finish(), None);
        assembly.data(data(2, 0, 13), 2).unwrap();
        assert_eq!(assembly.finish(), None, "shorter than an Ethernet header");
        assembly.data(data(3, 0, 14), 3).unwrap();
        assert_eq!(assembly.finish().map(|packet| packet.length), Some(14));
    }

    #[test]
    fn data_outside_of_its_page_breaks_the_protocol() {
        for (offset, status) in [(1, 4096), (4096, 1), (u16::MAX, 1), (0, i16::MAX)] {
            let response = netif_rx_response { offset, ..data(0, 0, status) };
            let violation = ProtocolViolation::OutsidePage { offset, length: status };
            assert_eq!(Assembly::default().data(response, 0), Err(violation));
        }
        assert!(Assembly::default().data(netif_rx_response { offset: 4095, ..data(0, 0, 1) }, 0).is_ok());
    }

    #[test]
    fn an_answer_to_another_request_breaks_the_protocol() {
        assert_eq!(
            Assembly::default().data(data(5, 0, 60), 4),
            Err(ProtocolViolation::Id { asked: 4, told: 5 })
        );
    }

    #[test]
    fn a_packet_without_end_breaks_the_protocol() {
        let mut assembly = Assembly::default();
        let violation = (0..100).find_map(|_| assembly.data(data(0, NETRXF_more_data, 4000), 0).err());
        assert_eq!((violation, assembly.parts), (Some(ProtocolViolation::TooLong), 17));
        let mut assembly = Assembly::default();
        let violation = (0..100).find_map(|_| assembly.data(data(0, NETRXF_more_data, 0), 0).err());
        assert_eq!((violation, assembly.parts), (Some(ProtocolViolation::TooLong), 20));
    }

    #[test]
    fn unrequested_extras_and_impossible_segments_break_the_protocol() {
        let extra = |extra| {
            let mut assembly = Assembly::default();
            assembly.data(data(0, NETRXF_extra_info, 100), 0).unwrap();
            assembly.extra(extra).and_then(|()| assembly.extra(extra)).unwrap_err()
        };
        let good = gso(1448, XEN_NETIF_GSO_TYPE_TCPV6, XEN_NETIF_EXTRA_FLAG_MORE);
        assert_eq!(extra(good), ProtocolViolation::ExtraTwice);
        assert_eq!(
            extra(netif_extra_info { r#type: XEN_NETIF_EXTRA_TYPE_HASH, ..good }),
            ProtocolViolation::Extra(4)
        );
        for (size, kind) in [(0, XEN_NETIF_GSO_TYPE_TCPV4), (1448, XEN_NETIF_GSO_TYPE_NONE), (1448, 3)] {
            assert_eq!(extra(gso(size, kind, 0)), ProtocolViolation::Gso { size, kind });
        }
    }
}
