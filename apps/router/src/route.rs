// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes between guests and the network: hands packets to `prism-router`, and sends what it makes of them.
//!
//! ```text
//!   guests -- RoutedNetwork::take ---+          +--- send_to_guest
//!                                    +- Router -+
//!   network - Hook, or else stack ---+          +--- send_to_network
//! ```
//!
//! What comes from the network is handled where it is received, what guests send by a task.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt::{self, Write};
use core::net::IpAddr;
use core::pin::pin;
use core::time::Duration;

use prism::futures::poll_once;
use prism::network::embassy_net::{EthernetAddress, HardwareAddress, Stack};
use prism::network::{GsoInfo, Hook, NetworkError, Packet, RoutedNetwork};
use prism::sync::Lock;
use prism::sync::signal::Signal;
use prism::task::{Either, Either4, Instant, Timer, select, select4, yield_now};
use prism::{Context, entropy, log, println};
use prism_router::{Guest, Network, Router, Side, Uplink};
use spin::{Mutex, Once};

use crate::{metrics, rules, settings};

/// The only router.
pub(crate) static ROUTER: Once<Routing> = Once::new();

/// Packets of guests' in one go; then others have their turn.
const BATCH: usize = 64;

/// A router, and what it routes between.
pub(crate) struct Routing {
    router: Mutex<Router>,
    /// The guests'.
    net: Network,
    network: RoutedNetwork,
    /// Something is to be sent to the network that no guest has sent just now.
    to_network: Signal<Lock, ()>,
}

/// Routes until the domain is to end.
pub(crate) async fn route(context: Context) -> prism::Result {
    let config = settings::read(&context)?;
    let port = context.command_line().parsed("metrics", "a port", |text| text.parse().ok())?;
    let mut shutdown = pin!(context.shutdown_requested());
    let stack = match select(shutdown.as_mut(), opened(&context)).await {
        Either::First(()) => return Ok(()),
        Either::Second(stack) => stack?,
    };
    let network = context.route_network(0)?;
    println!("router: guests have addresses of {}, {} rules", config.network, config.rules.count());
    let (net, given) = (config.network, config.rules.clone());
    let router = Mutex::new(Router::new(config, Box::new(random)));
    let routing = ROUTER.call_once(|| Routing { router, net, network, to_network: Signal::new() });
    routing.network.set_hook(Arc::new(FromNetwork(routing)));
    if let Some(port) = port {
        metrics::serve(&context, stack, port)?;
    }
    println!("router: ready");
    let others = rules::follow(&context, given, |rules| routing.router.lock().set_rules(rules));
    match select4(shutdown, routing.network.serve(), routing.run(stack), others).await {
        Either4::First(()) => Ok(()),
        Either4::Second(error) => Err(error.into()),
        Either4::Third(never) | Either4::Fourth(never) => match never {},
    }
}

/// The stack on the network, once there is an address; it is waited for as long as it takes.
async fn opened(context: &Context) -> prism::Result<Stack<'static>> {
    loop {
        match context.network(0).await {
            Err(NetworkError::NoAddress) => log::warn!("router: no address yet, still asking"),
            opened => return Ok(opened?),
        }
    }
}

impl Routing {
    /// Passes on what guests send, for ever.
    async fn run(&self, stack: Stack<'static>) -> Infallible {
        let mut uplink = None;
        loop {
            self.follow(stack, &mut uplink);
            if poll_once(self.network.guests_changed()).is_ready() {
                self.set_guests();
            }
            for _ in 0..BATCH {
                let Some(packet) = self.network.take() else { break };
                let segment = packet.gso().map(|info| info.size);
                let packet = prism_router::Packet { bytes: packet.into_bytes(), segment };
                self.router.lock().from_guests(packet, now());
                self.send().await;
            }
            let due = self.router.lock().poll(now());
            self.send().await;
            yield_now().await;
            let timer = async {
                match due {
                    Some(due) => Timer::at(Instant::from_nanos(due.as_nanos() as u64)).await,
                    None => core::future::pending().await,
                }
            };
            let changed = async {
                self.network.guests_changed().await;
                self.set_guests();
            };
            select4(self.network.arrival(), self.to_network.wait(), changed, timer).await;
        }
    }

    /// Tells the router what it has on the network, if that has changed.
    fn follow(&self, stack: Stack<'static>, known: &mut Option<Uplink>) {
        let uplink = self.uplink(stack);
        if known.as_ref() != Some(&uplink) {
            if uplink.ipv4.is_some_and(|own| own.contains(self.net.address) || self.net.contains(own.address))
            {
                log::error!(
                    "router: the network has addresses of {}, too: net= gives guests others",
                    self.net
                );
            }
            self.router.lock().set_uplink(uplink.clone());
            *known = Some(uplink);
        }
    }

    fn uplink(&self, stack: Stack<'static>) -> Uplink {
        let HardwareAddress::Ethernet(mac) = stack.hardware_address();
        let mut uplink = Uplink { mac: mac.0, mtu: self.network.mtu(), ..Uplink::default() };
        if let Some(config) = stack.config_v4() {
            let (prefix, gateway) = match self.network.reached_gateway() {
                Some((prefix, gateway)) => (prefix, Some(gateway)),
                None => (config.address.prefix_len(), config.gateway),
            };
            uplink.ipv4 = Some(Network { address: config.address.address().into(), prefix });
            uplink.gateway = gateway;
            uplink.dns.extend(config.dns_servers.iter().map(|server| IpAddr::from(*server)));
        }
        if let Some(config) = stack.config_v6() {
            let (address, prefix) = (config.address.address().into(), config.address.prefix_len());
            uplink.ipv6 = Some(Network { address, prefix });
            uplink.gateway6 = config.gateway;
            uplink.dns.extend(config.dns_servers.iter().map(|server| IpAddr::from(*server)));
        }
        uplink
    }

    fn set_guests(&self) {
        let guests = self.network.guests().into_iter();
        let guests: Vec<_> = guests
            .map(|guest| Guest { mac: guest.mac, mtu: guest.mtu, addresses: guest.addresses })
            .collect();
        let mut router = self.router.lock();
        let is_new = |guest: &&Guest| router.address_of(guest.mac).is_none();
        let new: Vec<_> = guests.iter().filter(is_new).map(|guest| guest.mac).collect();
        for (mac, address) in router.set_guests(&guests) {
            log::warn!(
                "guest {}: {address} is not free, or not of the guests' network",
                EthernetAddress(mac)
            );
        }
        for mac in new {
            match router.address_of(mac) {
                Some(address) => log::info!("guest {}: {address}", EthernetAddress(mac)),
                None => log::warn!("guest {}: no address is left for it", EthernetAddress(mac)),
            }
        }
    }

    /// Sends what the router has for both sides.
    async fn send(&self) {
        self.send_to_guests();
        loop {
            // Not locked while it waits for room.
            let next = self.router.lock().take(Side::Network);
            let Some(packet) = next else { break };
            if let Ok(packet) = Packet::changed(packet.bytes, packet.segment) {
                self.network.send_to_network(packet).await;
            }
        }
    }

    fn send_to_guests(&self) {
        loop {
            let next = self.router.lock().take(Side::Guests);
            let Some(packet) = next else { break };
            if let Ok(packet) = Packet::changed(packet.bytes, packet.segment) {
                self.network.send_to_guest(packet);
            }
        }
    }

    /// Counters, for Prometheus.
    pub(crate) fn write_metrics(&self, text: &mut String) -> fmt::Result {
        write!(text, "{}", *self.router.lock())
    }
}

/// Takes what is for guests before the stack sees it.
struct FromNetwork(&'static Routing);

impl Hook for FromNetwork {
    fn takes(&self, frame: &[u8], gso: Option<GsoInfo>) -> bool {
        let Self(routing) = self;
        let segment = gso.map(|info| info.size);
        let mut router = routing.router.lock();
        let is_taken = router.from_network(frame, segment, now());
        let has_more = router.has(Side::Network);
        drop(router);
        routing.send_to_guests();
        if has_more {
            routing.to_network.signal(());
        }
        is_taken
    }
}

/// Time since early in boot.
fn now() -> Duration {
    Duration::from_nanos(Instant::now().as_nanos())
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    entropy::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
