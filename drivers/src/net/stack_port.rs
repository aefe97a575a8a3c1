// SPDX-License-Identifier: MIT OR Apache-2.0
//! A port: the end of an interface that the network stack uses.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Checksum, Driver, HardwareAddress, LinkState, RxToken, TxToken};

use super::frame::ETHERNET_HEADER;
use super::frame::MAX_FRAME;
use super::interface::Interface;
use super::properties::Properties;
use super::segmentation;
use super::shim::StackShim;

/// Packets that the stack is given in one go; then others have their turn.
const BUDGET: u32 = 64;

/// The network stack's end of an [`Interface`].
///
/// While the interface is not connected what is sent is lost, but once its link was up it stays so: backends
/// come back, and the stack gives up an address from DHCP, and with it all connections, when the link goes
/// down. A NIC's cable that is pulled is another matter.
pub struct StackPort<'k> {
    interface: Arc<Interface<'k>>,
    properties: Properties,
    /// Largest IP packet that is sent, in bytes: what is known of the network may lower the device's.
    mtu: usize,
    shim: StackShim<'k>,
    received: Vec<u8>,
    sent: Vec<u8>,
    budget: u32,
    /// The packet in the buffer, of this length, goes to the stack so often again.
    again: (u8, usize),
    /// The link was up when there was a device last.
    was_up: bool,
}

/// Room for a frame of the greatest length, if there is memory for it.
fn longest_frame() -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    frame.try_reserve_exact(MAX_FRAME).ok()?;
    frame.resize(MAX_FRAME, 0);
    Some(frame)
}

impl<'k> StackPort<'k> {
    /// The end of `interface`, whose properties are known. Its MTU is fixed from here on; what is too long
    /// for the next device's leaves in pieces, as [`QueuePair::send`](super::netfront::QueuePair::send) says.
    /// All packets pass `shim`.
    ///
    /// `None` if there is no memory for two frames of the greatest length, 64 KiB each.
    pub fn new(
        interface: Arc<Interface<'k>>,
        properties: Properties,
        mut shim: StackShim<'k>,
    ) -> Option<Self> {
        shim.allow_segments(properties.segments);
        Some(Self {
            interface,
            mtu: properties.mtu,
            properties,
            shim,
            received: longest_frame()?,
            sent: longest_frame()?,
            budget: BUDGET,
            again: (0, 0),
            was_up: false,
        })
    }

    /// Puts the next packet into the buffer, and returns its length; or else has `waker` woken
    /// when there is one.
    fn next(&mut self, waker: &Waker) -> Option<usize> {
        let longest = max_frame_of_segments(self.properties);
        let mut state = self.interface.state();
        state.stack = Some(waker.clone());
        state.is_full = false;
        let polls = state.polls;
        let wake = loop {
            // The stack may answer at once.
            let room = state.has_room(longest);
            let device = state.device.as_mut()?;
            let found = match room {
                Ok(true) => device.receive(&mut self.received),
                Ok(false) => {
                    state.is_full = true;
                    break None;
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(Some(0)) => {
                    state.counters.damaged += 1;
                    // The other side gets back what it was in.
                    state.unpublished = true;
                    self.budget = self.budget.saturating_sub(1);
                    if self.budget == 0 {
                        break None;
                    }
                }
                Ok(Some(length)) => {
                    state.counters.received += 1;
                    if let Some(hook) = state.hook.clone() {
                        let gso = state.device.as_ref().and_then(|device| device.gso());
                        state.unpublished = true;
                        drop(state);
                        let is_taken = hook.takes(self.received.get(..length)?, gso);
                        state = self.interface.state();
                        if is_taken {
                            self.budget = self.budget.saturating_sub(1);
                            if self.budget == 0 {
                                break None;
                            }
                            continue;
                        }
                    }
                    let config = state.config.ingress(self.received.get_mut(..length)?);
                    self.mtu = state.config.usable_mtu(self.properties.mtu);
                    let wakers = [state.call_driver(), config];
                    drop(state);
                    wakers.into_iter().flatten().for_each(Waker::wake);
                    return Some(length);
                }
                Ok(None) if polls => break state.call_driver(),
                Ok(None) => match device.request_event() {
                    Ok(true) => {}
                    // The driver looks now and then.
                    Ok(false) if device.coalesces() => break state.call_driver(),
                    Ok(false) => break None,
                    Err(error) => break state.fail(error),
                },
                Err(error) => break state.fail(error),
            }
        };
        let wake = wake.or_else(|| state.call_driver_if_needed());
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        if self.budget == 0 {
            waker.wake_by_ref();
        }
        None
    }

    /// The same with a packet as the stack is to see it: the next one, or the same one again.
    fn next_or_again(&mut self, waker: &Waker) -> Option<usize> {
        let (repeats, length) = self.again;
        if repeats != 0 {
            self.has_room(waker).then(|| self.again = (repeats - 1, length))?;
            return Some(length);
        }
        let length = self.next(waker)?;
        let frame = self.received.get_mut(..length)?;
        self.again = (self.shim.incoming(frame, self.mtu), length);
        Some(length)
    }

    /// Whether there is room for the longest frame of TCP segments; if not, has `waker` woken when there is.
    fn has_room(&mut self, waker: &Waker) -> bool {
        let longest = max_frame_of_segments(self.properties);
        let mut state = self.interface.state();
        let room = state.has_room(longest);
        state.is_full = !matches!(room, Ok(true));
        let has_room = !state.is_full;
        let driver = match room {
            Ok(true) => state.call_driver_if_needed(),
            Ok(false) => state.call_driver(),
            Err(error) => state.fail(error),
        };
        if !has_room {
            state.stack = Some(waker.clone());
        }
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        has_room
    }
}

impl<'k> Driver for StackPort<'k> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Outgoing<'a, 'k>
    where
        Self: 'a;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Outgoing<'_, 'k>)> {
        if self.budget == 0 {
            self.budget = BUDGET;
            context.waker().wake_by_ref();
            return None;
        }
        let Some(length) = self.next_or_again(context.waker()) else {
            self.budget = BUDGET;
            return None;
        };
        self.budget = self.budget.saturating_sub(1);
        let frame = self.received.get_mut(..length)?;
        let mtu = self.mtu;
        let (interface, shim, buffer) = (&*self.interface, &mut self.shim, &mut self.sent);
        Some((Received { frame }, Outgoing { interface, shim, mtu, buffer }))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Outgoing<'_, 'k>> {
        if !self.has_room(context.waker()) {
            return None;
        }
        let (interface, shim, buffer) = (&*self.interface, &mut self.shim, &mut self.sent);
        Some(Outgoing { interface, shim, mtu: self.mtu, buffer })
    }

    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        let mut state = self.interface.state();
        state.stack = Some(context.waker().clone());
        if let Some(device) = &state.device {
            self.was_up = device.is_up();
        }
        if self.was_up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        // The stack divides nothing: what is too long is divided behind it.
        capabilities.max_transmission_unit = MAX_FRAME;
        // Done here, or by the backend.
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::None;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        let properties = self.interface.state().properties.unwrap_or(self.properties);
        HardwareAddress::Ethernet(properties.mac)
    }
}

/// The longest frame of TCP segments that the stack makes. For a longer one, of another kind, there need not
/// be room: its pieces wait.
fn max_frame_of_segments(Properties { mtu, segments, .. }: Properties) -> usize {
    ETHERNET_HEADER + segmentation::max_of_segments(mtu, segments)
}

/// A packet that came in: a copy, which nobody else can change.
pub struct Received<'a> {
    frame: &'a mut [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.frame)
    }
}

/// Room for a packet to go out.
pub struct Outgoing<'a, 'k> {
    interface: &'a Interface<'k>,
    shim: &'a mut StackShim<'k>,
    mtu: usize,
    buffer: &'a mut Vec<u8>,
}

impl TxToken for Outgoing<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, make: F) -> R {
        let frame = self.buffer.get_mut(..length).unwrap_or_default();
        let result = make(frame);
        let Some(mtu) = self.shim.outgoing(frame, self.mtu) else { return result };
        let mut state = self.interface.state();
        let wakers = state.send(frame, mtu);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }
}
