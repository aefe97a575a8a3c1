// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command line says of routing.

use alloc::format;
use core::net::IpAddr;

use prism::Context;
use prism_router::{Config, Network, Rules};

/// The guests' network, unless the command line gives another one: that of Qubes.
const NETWORK: Network = Network { address: IpAddr::V4(core::net::Ipv4Addr::new(10, 137, 0, 1)), prefix: 24 };
/// Connections at most, unless the command line says otherwise: 1 MiB.
const CONNECTIONS: u64 = 4096;
/// What it may say.
const MOST_CONNECTIONS: u64 = 1 << 20;

/// What the command line says.
pub(crate) fn read(context: &Context) -> prism::Result<Config> {
    let words = context.command_line();
    let form = "an address of the router's with the length of its prefix";
    let network = words.parsed("net", form, |text| network(text).filter(|net| net.address.is_ipv4()))?;
    let network6 = words.parsed("net6", form, network6)?;
    let masquerades = match words.get("nat") {
        None => true,
        Some(_) => words.flag("nat")?,
    };
    let rules = words.words().filter_map(|word| Some((word.name, word.value?)));
    let connections = words.number("connections")?.unwrap_or(CONNECTIONS);
    if !(16..=MOST_CONNECTIONS).contains(&connections) {
        return Err(format!("connections={connections}: 16 to {MOST_CONNECTIONS} expected").into());
    }
    Ok(Config {
        network: network.unwrap_or(NETWORK),
        network6,
        masquerades,
        rules: Rules::parse(rules)?,
        connections: connections as usize, // as checked
    })
}

/// A network with room for guests, and the router's address in it.
fn network(text: &str) -> Option<Network> {
    let (_, prefix) = text.split_once('/')?;
    let network = Network::parse(text)?;
    let bits = if network.address.is_ipv4() { 32 } else { 128 };
    (network.prefix >= 8 && network.prefix + 2 <= bits && !prefix.is_empty()).then_some(network)
}

/// Guests make themselves addresses of a prefix of this length only (RFC 4862).
fn network6(text: &str) -> Option<Network> {
    network(text).filter(|net| net.address.is_ipv6() && net.prefix == 64)
}
