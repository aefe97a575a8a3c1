// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TCP/IP stack on an interface.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use embassy_net::{
    Config, ConfigV4, ConfigV6, Ipv4Cidr, Ipv6Cidr, Stack, StackResources, StaticConfigV4, StaticConfigV6,
};
use prism_boot::command_line::{Addressing, StaticAddress};
use prism_drivers::net::{Port, Properties};

use super::error::NetworkError;
use super::interfaces::Interface;
use crate::{blocking, entropy, exec};

/// Sockets that a stack can have, those of DHCP and DNS included.
const SOCKETS: usize = 160;

/// Starts a stack on `interface`.
///
/// It is made on a stack of its own, in the other sense: smoltcp hands its buffer for fragments, 64 KiB, from
/// function to function by value, which is more than tasks have room for.
pub(super) async fn start(
    interface: Arc<Interface>,
    properties: Properties,
    addressing: &Addressing,
) -> Result<Stack<'static>, NetworkError> {
    let config = config(addressing);
    let made = blocking::run(move || {
        let resources = Box::leak(Box::new(StackResources::<SOCKETS>::new()));
        embassy_net::new(Port::new(interface, properties), config, resources, seed())
    });
    let (stack, mut runner) = made.await.map_err(|_| NetworkError::NoMemory)?;
    let run = async move { runner.run().await };
    exec::spawn(run).map_err(|_| NetworkError::Busy)?;
    Ok(stack)
}

/// Something that peers do not know, for port and sequence numbers.
fn seed() -> u64 {
    let mut seed = [0; 8];
    entropy::fill(&mut seed);
    u64::from_ne_bytes(seed)
}

fn config(addressing: &Addressing) -> Config {
    let mut config = Config::default();
    (config.ipv4, config.ipv6) = match addressing {
        Addressing::Dynamic => (ConfigV4::Dhcp(Default::default()), ConfigV6::Slaac),
        Addressing::Static(given) => of_family(given),
    };
    config
}

/// An IPv4 address leaves IPv6 to the routers; who gives an IPv6 address wants nothing else.
fn of_family(given: &StaticAddress) -> (ConfigV4, ConfigV6) {
    match given.address {
        IpAddr::V4(address) => {
            let config = StaticConfigV4 {
                address: Ipv4Cidr::new(address, given.prefix),
                gateway: given.gateway.and_then(ipv4),
                dns_servers: given.dns.and_then(ipv4).into_iter().collect(),
            };
            (ConfigV4::Static(config), ConfigV6::Slaac)
        }
        IpAddr::V6(address) => {
            let config = StaticConfigV6 {
                address: Ipv6Cidr::new(address, given.prefix),
                gateway: given.gateway.and_then(ipv6),
                dns_servers: given.dns.and_then(ipv6).into_iter().collect(),
            };
            (ConfigV4::None, ConfigV6::Static(config))
        }
    }
}

fn ipv4(address: IpAddr) -> Option<core::net::Ipv4Addr> {
    if let IpAddr::V4(address) = address { Some(address) } else { None }
}

fn ipv6(address: IpAddr) -> Option<core::net::Ipv6Addr> {
    if let IpAddr::V6(address) = address { Some(address) } else { None }
}

/// The addresses of a stack, in a line.
pub(super) fn summary<'a>(stack: &'a Stack<'static>) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        write!(f, "{}", stack.hardware_address())?;
        if let Some(config) = stack.config_v4() {
            write!(f, ", {}", config.address)?;
            config.gateway.map_or(Ok(()), |gateway| write!(f, " by {gateway}"))?;
        }
        if let Some(config) = stack.config_v6() {
            write!(f, ", {}", config.address)?;
        }
        Ok(())
    })
}
