// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragments of IPv4 (RFC 791) and IPv6 (RFC 8200): only the first of a packet has its ports, and what
//! becomes of it becomes of the others. They are neither put together nor kept: those that come before the
//! first one are lost.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use crate::packet::{Header, Side};
use crate::tuple::{ICMP, ICMPV6, TCP, UDP};

/// Packets whose fragments are on their way, at most.
const MOST: usize = 64;
/// Fragments that come so much later than the first are lost: Linux has half a minute for all of them
/// (`ipfrag_time`).
const LIFETIME: Duration = Duration::from_secs(30);

/// What the fragments of a packet have in common: source, destination, identification and protocol.
type Key = (IpAddr, IpAddr, u32, u8);

/// What becomes of a packet's fragments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) to: Side,
}

/// Packets of which the first fragment has passed.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    passed: BTreeMap<Key, (Way, Duration)>,
}

impl Fragments {
    /// The first fragment of a packet goes this way.
    pub(crate) fn pass(&mut self, header: &Header, id: u32, way: Way, now: Duration) {
        if self.passed.len() >= MOST {
            self.passed.retain(|_, (_, passed)| now.saturating_sub(*passed) < LIFETIME);
        }
        let oldest = self.passed.iter().min_by_key(|(_, (_, passed))| *passed).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| self.passed.len() >= MOST) {
            self.passed.remove(&oldest);
        }
        self.passed.insert(key(header, id), (way, now));
    }

    /// The way that the first fragment of the same packet went.
    pub(crate) fn way(&self, header: &Header, id: u32, now: Duration) -> Option<Way> {
        let (way, passed) = self.passed.get(&key(header, id))?;
        (now.saturating_sub(*passed) < LIFETIME).then_some(*way)
    }
}

fn key(header: &Header, id: u32) -> Key {
    (header.source, header.destination, id, header.protocol)
}

/// Bytes behind the IP header that are changed on the way: ports, or the identifier of an echo request, and
/// the id of a DNS message.
const CHANGED: usize = 10;

/// Changes a first fragment by `change`, and its checksum, which is that of the whole packet, as much
/// (RFC 1624).
pub(crate) fn change(ip: &mut [u8], header: &Header, change: impl FnOnce(&mut [u8])) {
    let before = sum(ip, header);
    change(ip);
    let after = sum(ip, header);
    let Some(place) = field(header.protocol).map(|field| header.start + field) else { return };
    let Some(field) = ip.get_mut(place..place + 2).and_then(|field| field.first_chunk_mut::<2>()) else {
        return;
    };
    let old = u16::from_be_bytes(*field);
    // A datagram of IPv4 may have none.
    if header.protocol == UDP && old == 0 {
        return;
    }
    let new = !fold(u32::from(!old) + after + u32::from(!fold(before)));
    *field = if header.protocol == UDP && new == 0 { [0xff; 2] } else { new.to_be_bytes() };
}

/// Where the checksum is behind the IP header.
fn field(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        ICMP | ICMPV6 => Some(2),
        _ => None,
    }
}

/// The sum over what is changed, without the checksum.
fn sum(ip: &[u8], header: &Header) -> u32 {
    let words = |bytes: &[u8]| -> u32 {
        let (words, rest) = bytes.as_chunks::<2>();
        let last = rest.first().map_or(0, |last| u32::from(*last) << 8);
        words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum::<u32>() + last
    };
    let addresses = match header.source {
        _ if header.protocol == ICMP => 0,
        IpAddr::V4(_) => words(ip.get(12..20).unwrap_or_default()),
        IpAddr::V6(_) => words(ip.get(8..40).unwrap_or_default()),
    };
    let end = header.end.min(header.start + CHANGED);
    let changed = ip.get(header.start..end).unwrap_or_default();
    let checksum = field(header.protocol).and_then(|field| changed.get(field..field + 2)).map_or(0, words);
    addresses + words(changed) - checksum
}

/// The sum in 16 bits: carries are added at the other end.
fn fold(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}
