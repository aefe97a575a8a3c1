// SPDX-License-Identifier: MIT OR Apache-2.0
//! Configuration of the TCP/IP stack: the initial one, and what routers advertise.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use embassy_futures::select::select;
use embassy_net::{Config, ConfigV4, ConfigV6, Ipv4Cidr, Ipv6Cidr, Stack, StaticConfigV4, StaticConfigV6};
use embassy_time::{Instant, Timer};
use prism_boot::command_line::{Addressing, StaticAddress};
use prism_drivers::net::{Ipv6Config, Properties};

use super::interfaces::Interface;
use crate::time;

/// Whether router advertisements configure the stack's IPv6.
pub(super) fn asks_routers(addressing: &Addressing) -> bool {
    match addressing {
        Addressing::Dynamic => true,
        Addressing::Static(given) => given.address.is_ipv4(),
    }
}

/// Whether the command line gives an IPv6 address.
pub(super) fn is_ipv6(addressing: &Addressing) -> bool {
    matches!(addressing, Addressing::Static(given) if given.address.is_ipv6())
}

/// The initial configuration of the stack on `interface`.
pub(super) fn initial(interface: &Interface, properties: Properties, addressing: &Addressing) -> Config {
    let mut config = Config::default();
    (config.ipv4, config.ipv6) = match addressing {
        Addressing::Dynamic => (ConfigV4::Dhcp(Default::default()), ConfigV6::None),
        Addressing::Static(given) => of_family(interface, given),
    };
    if !properties.takes_ipv6() {
        config.ipv6 = ConfigV6::None;
    }
    config
}

/// A static IPv4 address leaves IPv6 to the routers. A static IPv6 address stands alone.
fn of_family(interface: &Interface, given: &StaticAddress) -> (ConfigV4, ConfigV6) {
    match given.address {
        IpAddr::V4(address) => {
            let gateway = given.gateway.and_then(ipv4);
            let reached = gateway.map(|gateway| interface.reach_gateway(address, given.prefix, gateway));
            let config = StaticConfigV4 {
                address: Ipv4Cidr::new(address, reached.map_or(given.prefix, |(prefix, _)| prefix)),
                gateway: reached.map(|(_, gateway)| gateway),
                dns_servers: given.dns.and_then(ipv4).into_iter().collect(),
            };
            (ConfigV4::Static(config), ConfigV6::None)
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

/// Applies router advertisements to `stack`, and announces its addresses to neighbours, for ever.
pub(super) async fn keep(interface: Arc<Interface>, stack: Stack<'static>) {
    loop {
        let due = interface.configure(&addresses(stack), Duration::from_nanos(time::nanoseconds()));
        for address in due.taken {
            log::warn!("network: {address} not used, another host on the network has it");
        }
        if let Some(ipv6) = due.ipv6 {
            if !ipv6.others.is_empty() {
                log::info!("network: further addresses: {:?}", ipv6.others);
            }
            stack.set_config_v6(of_routers(&ipv6));
            // The new address has other multicast groups.
            interface.wake_stack();
            continue;
        }
        let news = interface.configuration_news();
        match due.next {
            Some(next) => {
                select(Timer::at(Instant::from_nanos(next.as_nanos() as u64)), news).await;
            }
            None => news.await,
        }
    }
}

/// The addresses of `stack`, without its link-local one.
fn addresses(stack: Stack<'static>) -> Vec<IpAddr> {
    let ipv4 = stack.config_v4().map(|config| IpAddr::from(config.address.address()));
    let ipv6 = stack.config_v6().map(|config| IpAddr::from(config.address.address()));
    [ipv4, ipv6].into_iter().flatten().collect()
}

fn of_routers(config: &Ipv6Config) -> ConfigV6 {
    let Some((address, prefix)) = config.address else { return ConfigV6::None };
    ConfigV6::Static(StaticConfigV6 {
        address: Ipv6Cidr::new(address, prefix),
        gateway: config.gateway,
        dns_servers: config.servers.iter().copied().take(3).collect(),
    })
}
