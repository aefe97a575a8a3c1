// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guests, and which addresses are theirs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::Mac;
use crate::rules::Network;

/// Addresses of IPv6 that a guest may have at a time.
const ADDRESSES: usize = 16;

/// A guest's interface, as the toolstack has configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its Ethernet address.
    pub mac: Mac,
    /// The longest IP packet that it takes, in bytes.
    pub mtu: usize,
    /// Its addresses, if the toolstack has given it any.
    pub addresses: Vec<IpAddr>,
}

/// What is known of a guest's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Addresses {
    mtu: usize,
    ipv4: Option<Ipv4Addr>,
    /// The toolstack's are known beforehand; `None` if it gave none, and others are learned.
    fixed: Option<Vec<Ipv6Addr>>,
    /// The latest one last.
    learned: Vec<Ipv6Addr>,
}

/// All guests.
#[derive(Debug)]
pub(crate) struct Guests {
    network: Network,
    gateway: Ipv4Addr,
    network6: Option<Network>,
    by_mac: BTreeMap<Mac, Addresses>,
    by_address: BTreeMap<IpAddr, Mac>,
}

impl Guests {
    /// None, in `network`, where the router has `gateway`, and `network6`.
    pub(crate) fn new(network: Network, gateway: Ipv4Addr, network6: Option<Network>) -> Self {
        Self { network, gateway, network6, by_mac: BTreeMap::new(), by_address: BTreeMap::new() }
    }

    /// These are all guests. Those that were there before keep their addresses. Returns what is wrong with
    /// addresses that the toolstack gave, and the addresses that are nobody's any more.
    pub(crate) fn set(&mut self, guests: &[Guest]) -> (Vec<(Mac, IpAddr)>, Vec<IpAddr>) {
        let is_there = |mac: &Mac| guests.iter().any(|guest| guest.mac == *mac);
        self.by_mac.retain(|mac, _| is_there(mac));
        let gone: Vec<_> =
            self.by_address.iter().filter(|(_, mac)| !is_there(mac)).map(|(a, _)| *a).collect();
        self.by_address.retain(|_, mac| is_there(mac));
        let mut refused = Vec::new();
        // What the toolstack gave goes before the pool.
        for guest in guests {
            // One that migrates to the same host is there twice for a while.
            if self.by_mac.contains_key(&guest.mac) {
                continue;
            }
            let mut own = Addresses { mtu: guest.mtu, ..Addresses::default() };
            for address in guest.addresses.iter().copied() {
                let is_usable = self.may_have(address) && !self.by_address.contains_key(&address);
                match address {
                    IpAddr::V4(address) if is_usable && own.ipv4.is_none() => own.ipv4 = Some(address),
                    IpAddr::V6(address) if is_usable => own.fixed.get_or_insert_default().push(address),
                    _ => {
                        refused.push((guest.mac, address));
                        continue;
                    }
                }
                self.by_address.insert(address, guest.mac);
            }
            self.by_mac.insert(guest.mac, own);
        }
        for guest in guests {
            if self.by_mac.get(&guest.mac).is_some_and(|own| own.ipv4.is_none())
                && let Some(address) = self.unused()
                && let Some(own) = self.by_mac.get_mut(&guest.mac)
            {
                own.ipv4 = Some(address);
                self.by_address.insert(address.into(), guest.mac);
            }
        }
        (refused, gone)
    }

    /// Whether a guest may have the address.
    fn may_have(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                self.network.contains(address.into()) && address != self.gateway && !self.is_end(address)
            }
            IpAddr::V6(address) => self.network6.is_some_and(|network| {
                network.contains(address.into()) && IpAddr::V6(address) != network.address
            }),
        }
    }

    /// Whether it is the first or the last of the network, which nobody has.
    fn is_end(&self, address: Ipv4Addr) -> bool {
        let host = u32::MAX.checked_shr(self.network.prefix.into()).unwrap_or(0);
        let own = address.to_bits() & host;
        host > 1 && (own == 0 || own == host)
    }

    /// The lowest address that nobody has.
    fn unused(&self) -> Option<Ipv4Addr> {
        let host = u32::MAX.checked_shr(self.network.prefix.into()).unwrap_or(0);
        let first = self.gateway.to_bits() & !host;
        // There are never more guests than this, and one address each.
        let all = (0..=host.min(4096)).map(|own| Ipv4Addr::from_bits(first | own));
        all.into_iter().find(|address| {
            self.may_have((*address).into()) && !self.by_address.contains_key(&(*address).into())
        })
    }

    /// The guest's IPv4 address.
    pub(crate) fn ipv4(&self, mac: Mac) -> Option<Ipv4Addr> {
        self.by_mac.get(&mac)?.ipv4
    }

    /// The longest IP packet that the guest takes.
    pub(crate) fn mtu(&self, mac: Mac) -> usize {
        self.by_mac.get(&mac).map_or(usize::MAX, |own| own.mtu)
    }

    /// The guest that has the address.
    pub(crate) fn mac(&self, address: IpAddr) -> Option<Mac> {
        self.by_address.get(&address).copied()
    }

    /// Whether the guest sends from an address of its own. One of IPv6 that nobody has is its own from now
    /// on, unless the toolstack gave it others.
    pub(crate) fn owns(&mut self, mac: Mac, source: IpAddr) -> bool {
        if let Some(owner) = self.by_address.get(&source) {
            return *owner == mac;
        }
        let (IpAddr::V6(address), true) = (source, self.may_have(source)) else { return false };
        let Some(own) = self.by_mac.get_mut(&mac).filter(|own| own.fixed.is_none()) else { return false };
        if own.learned.len() >= ADDRESSES {
            let oldest = own.learned.remove(0);
            self.by_address.remove(&oldest.into());
        }
        own.learned.push(address);
        self.by_address.insert(source, mac);
        true
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_mac.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: [Mac; 3] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]];

    fn guests(prefix: u8) -> Guests {
        let network = Network { address: [10, 137, 0, 1].into(), prefix };
        Guests::new(network, Ipv4Addr::new(10, 137, 0, 1), Network::parse("2001:db8::1/64"))
    }

    fn guest(mac: Mac, addresses: &[&str]) -> Guest {
        Guest {
            mac,
            mtu: 1500,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn the_toolstack_gives_addresses_and_others_come_from_the_pool() {
        let mut guests = guests(24);
        let all = [guest(MACS[0], &[]), guest(MACS[1], &["10.137.0.2"]), guest(MACS[2], &["10.138.0.9"])];
        let (refused, _) = guests.set(&all);
        assert_eq!(refused, [(MACS[2], IpAddr::from([10, 138, 0, 9]))]);
        let addresses = MACS.map(|mac| guests.ipv4(mac).unwrap().octets()[3]);
        assert_eq!(addresses, [3, 2, 4]);
        let (_, gone) = guests.set(&all[1..]);
        assert_eq!(gone, [IpAddr::from([10, 137, 0, 3])]);
        assert_eq!(guests.ipv4(MACS[2]).unwrap().octets()[3], 4, "it keeps its address");
    }

    #[test]
    fn neither_the_ends_of_the_network_nor_the_routers_own_address_are_given() {
        let mut guests = guests(30);
        guests.set(&[guest(MACS[0], &["10.137.0.0"]), guest(MACS[1], &["10.137.0.1", "10.137.0.3"])]);
        assert_eq!(guests.ipv4(MACS[0]), Some(Ipv4Addr::new(10, 137, 0, 2)));
        assert_eq!(guests.ipv4(MACS[1]), None);
    }

    #[test]
    fn nobody_sends_from_anothers_address() {
        let mut guests = guests(24);
        guests.set(&[guest(MACS[0], &["2001:db8::5"]), guest(MACS[1], &[])]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(guests.owns(MACS[0], address("10.137.0.2")) && !guests.owns(MACS[1], address("10.137.0.2")));
        assert!(!guests.owns(MACS[1], address("192.0.2.1")));
        assert!(
            guests.owns(MACS[0], address("2001:db8::5")) && !guests.owns(MACS[0], address("2001:db8::6"))
        );
        assert!(
            guests.owns(MACS[1], address("2001:db8::7")) && !guests.owns(MACS[1], address("2001:db8::5"))
        );
        assert!(!guests.owns(MACS[1], address("2001:db8::1")), "the router's own");
        for host in 0x100..0x200_u32 {
            assert!(guests.owns(MACS[1], address(&format!("2001:db8::{host:x}"))));
        }
        assert!(guests.by_address.len() <= 2 + 1 + ADDRESSES);
    }
}
