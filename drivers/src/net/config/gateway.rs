// SPDX-License-Identifier: MIT OR Apache-2.0
//! A gateway outside of the interface's prefix, as hosts with a /32 have.
//!
//! smoltcp takes no ARP packet from a host that is not in its prefix, and so never learns where such a
//! gateway is. It is given an alias inside the prefix instead, which is exchanged for the gateway's address
//! in each ARP packet on its way. Other packets don't hold a gateway's address.

use core::net::Ipv4Addr;

use super::arp::Addresses;

/// A gateway, and the address by which the stack knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GatewayAlias {
    /// Bits of the address that hosts on the link share.
    pub(super) prefix: u8,
    pub(super) gateway: Ipv4Addr,
    /// The prefix that the stack has instead, so that there is room for the alias.
    pub(super) stack_prefix: u8,
    pub(super) alias: Ipv4Addr,
}

impl GatewayAlias {
    /// What is needed by a host with `address` in a `prefix` to reach `gateway`; `None` if that is inside.
    ///
    /// The alias is the address of the prefix itself, which no host has. One that is too narrow for that is
    /// made a pair, of which the host is one: the other, should it exist, is reached through the gateway.
    pub(super) fn new(address: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> Option<Self> {
        let mask = mask(prefix);
        let network = address.to_bits() & mask;
        if gateway.to_bits() & mask == network {
            return None;
        }
        let is_free = prefix < 31 && network != address.to_bits();
        let alias = if is_free { network } else { address.to_bits() ^ 1 };
        Some(Self { prefix, gateway, stack_prefix: prefix.min(31), alias: alias.into() })
    }

    /// Changes an ARP packet that goes out.
    pub(super) fn egress(&self, packet: Addresses<'_>) {
        if *packet.target == self.alias.octets() {
            *packet.target = self.gateway.octets();
        }
    }

    /// Changes an ARP packet that comes in; false if the stack must not see it, as its sender has the
    /// alias for an address.
    #[must_use]
    pub(super) fn ingress(&self, packet: Addresses<'_>) -> bool {
        if *packet.sender == self.gateway.octets() {
            *packet.sender = self.alias.octets();
            return true;
        }
        *packet.sender != self.alias.octets()
    }
}

/// The mask of a prefix of that many bits.
pub(super) const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shl(32u32.saturating_sub(prefix as u32)) {
        Some(mask) => mask,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::arp;
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 1);

    fn alias(prefix: u8) -> (u8, Ipv4Addr) {
        let alias = GatewayAlias::new(OWN, prefix, GATEWAY).unwrap();
        (alias.stack_prefix, alias.alias)
    }

    #[test]
    fn an_alias_is_inside_of_the_prefix_and_nobody_has_it() {
        assert_eq!(alias(32), (31, [10, 1, 2, 2].into()));
        assert_eq!(alias(31), (31, [10, 1, 2, 2].into()));
        assert_eq!(alias(30), (30, [10, 1, 2, 0].into()));
        assert_eq!(alias(24), (24, [10, 1, 2, 0].into()));
        assert_eq!(alias(16), (16, [10, 1, 0, 0].into()));
    }

    #[test]
    fn a_gateway_inside_of_the_prefix_needs_none() {
        assert_eq!(GatewayAlias::new(OWN, 8, GATEWAY), None);
        assert_eq!(GatewayAlias::new(OWN, 0, GATEWAY), None);
        assert_eq!(GatewayAlias::new(OWN, 31, [10, 1, 2, 2].into()), None);
        assert_eq!((mask(0), mask(1), mask(24), mask(32)), (0, 1 << 31, 0xffff_ff00, u32::MAX));
    }

    #[test]
    fn the_gateway_is_asked_for_by_its_own_address_and_answers_by_its_alias() {
        let gateway = GatewayAlias::new(OWN, 32, GATEWAY).unwrap();
        let mut question = arp::announcement([2, 0, 0, 0, 0, 1], gateway.alias);
        arp::addresses(&mut question).unwrap().sender.copy_from_slice(&OWN.octets());
        gateway.egress(arp::addresses(&mut question).unwrap());
        let asked = arp::addresses(&mut question).unwrap();
        assert_eq!((*asked.sender, *asked.target), (OWN.octets(), GATEWAY.octets()));
        let mut answer = arp::announcement([2, 0, 0, 0, 0, 9], GATEWAY);
        assert!(gateway.ingress(arp::addresses(&mut answer).unwrap()));
        assert_eq!(*arp::addresses(&mut answer).unwrap().sender, gateway.alias.octets());
    }

    #[test]
    fn a_host_with_the_alias_is_not_taken_for_the_gateway() {
        let gateway = GatewayAlias::new(OWN, 32, GATEWAY).unwrap();
        let mut stranger = arp::announcement([2, 0, 0, 0, 0, 9], gateway.alias);
        assert!(!gateway.ingress(arp::addresses(&mut stranger).unwrap()));
        let mut other = arp::announcement([2, 0, 0, 0, 0, 9], [10, 0, 0, 1].into());
        assert!(gateway.ingress(arp::addresses(&mut other).unwrap()));
        assert_eq!(*arp::addresses(&mut other).unwrap().sender, [10, 0, 0, 1]);
    }
}
