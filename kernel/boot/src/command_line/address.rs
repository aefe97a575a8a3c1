// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a network interface gets its address: `ip=`, and `ip1=` to `ip15=` for further interfaces.

use core::net::IpAddr;

use super::options::IP;
use super::{CommandLine, ValueError};

/// How an interface gets its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// From the network: IPv4 by DHCP, IPv6 by what routers announce (SLAAC).
    #[default]
    Dynamic,
    /// Given.
    Static(StaticAddress),
}

/// An address that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The interface's own; one that a single host can have.
    pub address: IpAddr,
    /// Bits of it that all hosts on the link share: at most 32 with IPv4, 128 with IPv6.
    pub prefix: u8,
    /// The router to all others, of the same family.
    pub gateway: Option<IpAddr>,
    /// The server of names, of the same family.
    pub dns: Option<IpAddr>,
}

impl CommandLine {
    /// How interface `index`, from 0, gets its address; without a word, dynamically.
    ///
    /// # Errors
    ///
    /// If the word's value is neither `dhcp` nor an address as [`StaticAddress`] demands.
    pub fn addressing(&self, index: usize) -> Result<Addressing, ValueError<'_>> {
        let Some(option) = IP.get(index) else { return Ok(Addressing::Dynamic) };
        Ok(self.option(*option, parse)?.unwrap_or_default())
    }
}

fn parse(value: &str) -> Option<Addressing> {
    if value == "dhcp" {
        return Some(Addressing::Dynamic);
    }
    let mut parts = value.split(',');
    let (address, prefix) = parts.next()?.split_once('/')?;
    let address = host(address)?;
    let prefix = decimal(prefix).filter(|prefix| *prefix <= bits(address))?;
    let mut other = || match parts.next() {
        None | Some("") => Some(None),
        Some(text) => host(text).filter(|other| other.is_ipv4() == address.is_ipv4()).map(Some),
    };
    let (gateway, dns) = (other()?, other()?);
    parts.next().is_none().then_some(Addressing::Static(StaticAddress { address, prefix, gateway, dns }))
}

/// An address that one host can have.
fn host(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let broadcast = address == IpAddr::from([255; 4]);
    (!address.is_unspecified() && !address.is_multicast() && !broadcast).then_some(address)
}

/// Digits only: no sign.
fn decimal(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
