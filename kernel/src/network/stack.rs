// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TCP/IP stack on an interface.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::mem::replace;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::select::select;
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::{Duration, Instant, Timer};
use prism_boot::command_line::Addressing;
use prism_drivers::net::{Properties, StackPort, StackShim, Throttle};

use super::configure;
use super::error::NetworkError;
use super::interfaces::Interface;
use crate::task::{blocking, executor};
use crate::{entropy, time};

/// Maximum number of sockets, including those of DHCP and DNS.
const SOCKETS: usize = 160;

/// Starts a stack on `interface`.
///
/// Made in a coroutine with a large stack: smoltcp moves its tables by value from function to function, which
/// is more than a task's stack has room for.
pub(super) async fn start(
    interface: Arc<Interface>,
    properties: Properties,
    addressing: &Addressing,
) -> Result<Stack<'static>, NetworkError> {
    let has_ipv6 = configure::asks_routers(addressing) || configure::is_ipv6(addressing);
    if has_ipv6 && !properties.takes_ipv6() {
        log::warn!("network: MTU {} is too small for IPv6, using IPv4 only", properties.mtu);
    }
    let config = configure::initial(&interface, properties, addressing);
    let port = StackPort::new(Arc::clone(&interface), properties, shim()).ok_or(NetworkError::NoMemory)?;
    let made = blocking::run(move || Some(embassy_net::new(port, config, resources()?, seed())));
    let (stack, runner) = made.await.ok().flatten().ok_or(NetworkError::NoMemory)?;
    if configure::asks_routers(addressing) && properties.takes_ipv6() {
        interface.autoconfigure_ipv6(u64::from_ne_bytes(random()));
    }
    executor::spawn(run(runner, Arc::clone(&interface))).map_err(|_| NetworkError::Busy)?;
    executor::spawn(configure::keep(interface, stack)).map_err(|_| NetworkError::Busy)?;
    Ok(stack)
}

/// Tables of sockets, which stay for good: `Box::new` would end the domain where there is no memory for them.
fn resources() -> Option<&'static mut StackResources<SOCKETS>> {
    let mut room = Vec::new();
    room.try_reserve_exact(1).ok()?;
    room.push(StackResources::new());
    room.leak().first_mut()
}

/// How often the stack is polled while it has no room to send, so that connections end in time nevertheless.
const WITHOUT_ROOM: Duration = Duration::from_secs(1);

/// Runs the stack on `interface` for ever. Pauses while it spins, and while it has no room to send:
/// applications that fill their buffers wake it again and again.
async fn run(mut runner: Runner<'static, StackPort<'static>>, interface: Arc<Interface>) {
    let mut throttle = Throttle::default();
    let mut run = pin!(runner.run());
    loop {
        let mut is_polled = false;
        poll_fn(|context| {
            if replace(&mut is_polled, true) {
                return Poll::Ready(());
            }
            run.as_mut().poll(context).map(|_| ())
        })
        .await;
        select(interface.room(), Timer::after(WITHOUT_ROOM)).await;
        if throttle.should_pause(interface.packets(), time::nanoseconds) {
            Timer::after_nanos(Throttle::PAUSE.as_nanos() as u64).await;
        }
    }
}

/// Makes the stack's sequence numbers, ports and ids unpredictable.
fn shim() -> StackShim<'static> {
    StackShim::new(random(), || Instant::now().as_nanos())
}

/// The seed of the stack's random generator. Modulo the number of ports it is also the first port: we make
/// that the first dynamic port, by which [`StackShim`] tells the stack's ports from an application's.
fn seed() -> u64 {
    const LEAST: u64 = 1025;
    const PORTS: u64 = 65535 - LEAST;
    const DYNAMIC: u64 = 49152;
    let seed = u64::from_ne_bytes(random()) / 2;
    seed - seed % PORTS + DYNAMIC - LEAST
}

/// Random bytes.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    entropy::fill(&mut bytes);
    bytes
}

/// One line with the addresses of the stack on `interface`.
pub(crate) fn summary<'a>(interface: &Interface, stack: &'a Stack<'static>) -> impl fmt::Display + 'a {
    let reached = interface.reached_gateway();
    fmt::from_fn(move |f| {
        write!(f, "{}", stack.hardware_address())?;
        if let Some(config) = stack.config_v4() {
            let (prefix, gateway) = match (reached, config.gateway) {
                (Some((prefix, gateway)), Some(_)) => (prefix, Some(gateway)),
                (_, gateway) => (config.address.prefix_len(), gateway),
            };
            write!(f, ", {}/{prefix}", config.address.address())?;
            gateway.map_or(Ok(()), |gateway| write!(f, " by {gateway}"))?;
        }
        if let Some(config) = stack.config_v6() {
            write!(f, ", {}", config.address)?;
        }
        Ok(())
    })
}
