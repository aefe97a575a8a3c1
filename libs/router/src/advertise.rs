// SPDX-License-Identifier: MIT OR Apache-2.0
//! Router advertisements (RFC 4861, section 4.2): guests make themselves addresses of the prefix, and learn
//! of the servers of names (RFC 8106).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use crate::packet::{Mac, Packet};
use crate::rules::Network;
use crate::tuple::ICMPV6;

/// All hosts on the link.
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// That group's Ethernet address.
pub(crate) const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];

/// Guests are told again after so long.
pub(crate) const INTERVAL: Duration = Duration::from_secs(200);
/// How long they believe it, in seconds: three times as long as they are told again.
const LIFETIME: u16 = 600;
/// Servers of names that guests are told of at most.
const SERVERS: usize = 3;

/// The advertisement of the router `own`, with the prefix that guests are to have addresses of.
pub(crate) fn advertisement(
    own: Ipv6Addr,
    mac: Mac,
    prefix: Network,
    mtu: usize,
    servers: &[Ipv6Addr],
) -> Option<Packet> {
    let lifetime = LIFETIME.to_be_bytes();
    let long = u32::from(LIFETIME).to_be_bytes();
    // Hop limit; neither DHCPv6 nor more; lifetime; nothing said of timers.
    let mut message: Vec<u8> = vec![134, 0, 0, 0, 64, 0];
    message.extend(lifetime);
    message.extend([0; 8]);
    message.extend([1, 1]);
    message.extend(mac);
    message.extend([5, 1, 0, 0]);
    message.extend((mtu as u32).to_be_bytes());
    if let IpAddr::V6(address) = prefix.address {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix.prefix)).unwrap_or(0);
        let first = Ipv6Addr::from_bits(address.to_bits() & mask);
        // Not on the link, as guests do not reach each other there; for addresses of their own.
        message.extend([3, 4, prefix.prefix, 0x40]);
        message.extend(long);
        message.extend(long);
        message.extend([0; 4]);
        message.extend(first.octets());
    }
    let servers = servers.get(..servers.len().min(SERVERS)).unwrap_or_default();
    if !servers.is_empty() {
        message.extend([25, 1 + 2 * servers.len() as u8, 0, 0]);
        message.extend(long);
        servers.iter().for_each(|server| message.extend(server.octets()));
    }
    let mut packet = crate::icmp::packet(own.into(), ALL_NODES.into(), ICMPV6, 255, message)?;
    packet.set_ethernet(ALL_NODES_MAC, mac);
    Some(packet)
}

/// The link-local address of an interface with this Ethernet address: RFC 4291, appendix A.
pub(crate) fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
