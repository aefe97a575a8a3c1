// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network address translation: which port of the router's stands for a guest's, and ids of DNS.

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::conntrack::Conntrack;
use crate::packet::Header;
use crate::tuple::{End, Protocol, Tuple};

/// Ports that stand for guests'. The router's own stack opens its connections from those above.
const FIRST: u16 = 1024;
const LAST: u16 = 49151;
/// Ports that are looked at before a connection is refused.
const ATTEMPTS: u32 = 64;

/// The port of DNS.
pub(crate) const DNS: u16 = 53;

/// What replies to a connection arrive as that leaves from `own`, by a port that chance picks; `None` if none
/// was found that is free.
pub(crate) fn masquerade(
    conntrack: &mut Conntrack,
    leaving: Tuple,
    own: Ipv4Addr,
    now: Duration,
    random: &mut dyn FnMut() -> u32,
) -> Option<Tuple> {
    (0..ATTEMPTS).find_map(|_| {
        let port = FIRST + (random() % u32::from(LAST - FIRST + 1)) as u16;
        let source = End { address: own.into(), port };
        let reply = Tuple { source, ..leaving }.reversed();
        (!conntrack.is_taken(&reply, now)).then_some(reply)
    })
}

/// Changes the id of a DNS message in a datagram: whoever answers blindly has to guess it beside the port,
/// however the guest chose it.
pub(crate) fn mask_id(ip: &mut [u8], header: &Header, protocol: Protocol, mask: u16) {
    if protocol == Protocol::Udp
        && let Some(id) =
            ip.get_mut(header.start + 8..header.end).and_then(|payload| payload.first_chunk_mut())
    {
        *id = (u16::from_be_bytes(*id) ^ mask).to_be_bytes();
    }
}
