// SPDX-License-Identifier: MIT OR Apache-2.0
//! The class of network interfaces.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;

use log::info;
use prism_boot::command_line::INTERFACES;
use prism_drivers::net::{Error, NetFront, Pages};
use spin::{Mutex, Once};
use xen::xenbus::{self, Device, Ended};

use crate::devices::{Class, XenPlatform};
use crate::memory;

/// Time that each step of the handshake may take.
const STEP: Duration = Duration::from_secs(10);

/// An interface as drivers have it.
pub(super) type Interface = prism_drivers::net::Interface<'static>;

/// The interfaces, by their numbers in xenstore.
pub(super) struct Interfaces {
    begun: AtomicBool,
    platform: Once<&'static XenPlatform>,
    state: Mutex<State>,
}

/// What the lock guards.
struct State {
    interfaces: [Option<Arc<Interface>>; INTERFACES],
    /// The numbers of the devices there are, once that is known.
    present: Option<Vec<u32>>,
    waiting: Vec<Waker>,
}

impl Interfaces {
    pub(super) const fn new() -> Self {
        let state = State { interfaces: [const { None }; INTERFACES], present: None, waiting: Vec::new() };
        Self { begun: AtomicBool::new(false), platform: Once::new(), state: Mutex::new(state) }
    }

    /// Whether the caller is the first, who is to have the devices attended to.
    pub(super) fn begin(&self, platform: &'static XenPlatform) -> bool {
        self.platform.call_once(|| platform);
        !self.begun.swap(true, Ordering::AcqRel)
    }

    /// The interface of this number; `None` if the toolstack gave none. Waits until that is known.
    pub(super) async fn interface(&self, index: usize) -> Option<Arc<Interface>> {
        let is_present = poll_fn(|context| {
            let mut state = self.state.lock();
            match &state.present {
                Some(present) => Poll::Ready(present.iter().any(|number| *number as usize == index)),
                None => {
                    state.waiting.push(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        if is_present.await { self.made(index) } else { None }
    }

    /// The interface of this number, if it was asked for before.
    pub(super) fn get(&self, index: usize) -> Option<Arc<Interface>> {
        self.state.lock().interfaces.get(index)?.clone()
    }

    /// The interface of this number, made if need be; `None` if there cannot be so many.
    fn made(&self, index: usize) -> Option<Arc<Interface>> {
        let mut state = self.state.lock();
        let interface = state.interfaces.get_mut(index)?;
        Some(interface.get_or_insert_with(|| Arc::new(Interface::new())).clone())
    }
}

impl Class for Interfaces {
    const DIRECTORY: &'static str = "vif";
    type Error = Error;

    fn found(&self, devices: &[u32]) {
        let mut state = self.state.lock();
        state.present = Some(devices.to_vec());
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn drive(&self, number: u32, device: Device) -> Ended<Error> {
        let (Some(platform), Some(interface)) = (self.platform.get(), self.made(number as usize)) else {
            info!("device/vif/{number} is not used: there can be {INTERFACES} interfaces");
            return Ended::Stopped;
        };
        let mut frontend = NetFront::new(*platform, interface, pages());
        xenbus::run(&device, &mut frontend, *platform, STEP).await
    }

    fn gone(&self, _number: u32) {}
}

/// Pages for an interface: 1.5 MiB of them, where there is memory.
fn pages() -> Pages {
    match memory::usage().free {
        0..0x100_0000 => Pages { receive: 64, transmit: 32 },
        _ => Pages { receive: 256, transmit: 128 },
    }
}
