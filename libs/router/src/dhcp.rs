// SPDX-License-Identifier: MIT OR Apache-2.0
//! The DHCP server (RFC 2131): it tells each guest the one address that it has.

use alloc::vec;
use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_MAX_DNS_SERVER_COUNT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr,
    EthernetAddress, UdpPacket,
};

use crate::packet::{Header, Mac, Packet};
use crate::tuple::UDP;

/// How long an address may be used before the guest asks again, in seconds. It has it for as long as it is
/// attached; if the router was started anew meanwhile, it may be another one.
const LEASE: u32 = 3600;

/// What guests are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    /// The guest's address.
    pub(crate) address: Ipv4Addr,
    /// The router's own, which is also the server of names.
    pub(crate) router: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
}

/// Whether the packet is for the DHCP server at `address`, or for any.
pub(crate) fn is_for_server(ip: &[u8], header: &Header, address: IpAddr) -> bool {
    let ports = ip.get(header.start..header.end).and_then(|payload| UdpPacket::new_checked(payload).ok());
    let is_here = header.destination == address || header.destination == IpAddr::V4(Ipv4Addr::BROADCAST);
    header.protocol == UDP && is_here && ports.is_some_and(|udp| udp.dst_port() == DHCP_SERVER_PORT)
}

/// The answer to the packet of the guest that has `lease`, and whether that gives it the address; `None` if
/// there is nothing to say.
pub(crate) fn answer(ip: &[u8], header: &Header, guest: Mac, lease: Lease) -> Option<(Packet, bool)> {
    let udp = UdpPacket::new_checked(ip.get(header.start..header.end)?).ok()?;
    let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
    let asked = DhcpRepr::parse(&packet).ok()?;
    let is_own = asked.client_hardware_address == EthernetAddress(guest);
    let is_other_server = asked.server_identifier.is_some_and(|server| server != lease.router);
    if !is_own || is_other_server || !asked.relay_agent_ip.is_unspecified() {
        return None;
    }
    let kind = match asked.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => {
            let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
            if wanted == lease.address { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
        }
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        _ => return None,
    };
    let is_given = kind != DhcpMessageType::Nak;
    let is_inform = asked.message_type == DhcpMessageType::Inform;
    let leased = (is_given && !is_inform).then_some(LEASE);
    let address = if leased.is_some() { lease.address } else { Ipv4Addr::UNSPECIFIED };
    let servers: [Ipv4Addr; 1] = [lease.router];
    let reply = DhcpRepr {
        message_type: kind,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: asked.client_hardware_address,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: address,
        server_ip: lease.router,
        router: is_given.then_some(lease.router),
        subnet_mask: is_given.then_some(lease.mask),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: asked.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(lease.router),
        parameter_request_list: None,
        dns_servers: is_given.then(|| servers.into_iter().take(DHCP_MAX_DNS_SERVER_COUNT).collect()),
        max_size: None,
        lease_duration: leased,
        renew_duration: leased.map(|seconds| seconds / 2),
        rebind_duration: leased.map(|seconds| seconds / 8 * 7),
        additional_options: &[],
    };
    // Clients of old want no less than a BOOTP message of this length.
    let mut message = vec![0; reply.buffer_len().max(300)];
    reply.emit(&mut DhcpPacket::new_unchecked(&mut message)).ok()?;
    // A guest without an address takes what is for its Ethernet address, or, if it says so, for all.
    let is_known = !asked.client_ip.is_unspecified() && is_given;
    let destination = if is_known { asked.client_ip } else { Ipv4Addr::BROADCAST };
    Some((datagram(lease.router, destination, &message), kind == DhcpMessageType::Ack))
}

fn datagram(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Packet {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(payload);
    let length = bytes.len() as u16; // a DHCP message's
    let mut udp = UdpPacket::new_unchecked(&mut bytes);
    udp.set_src_port(DHCP_SERVER_PORT);
    udp.set_dst_port(DHCP_CLIENT_PORT);
    udp.set_len(length);
    udp.fill_checksum(&source.into(), &destination.into());
    Packet::of_ip(source.into(), destination.into(), UDP, 64, &bytes).unwrap_or_default()
}
