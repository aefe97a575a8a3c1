// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use prism_drivers::net::{self, ETHERNET_HEADER, Error, NetDevice};

use crate::too_big::too_big;

/// What the network does to a frame of ours that is too long for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Router {
    /// It says so.
    Tells,
    /// It says so as routers did before RFC 1191, without a size.
    TellsNoSize,
    /// It keeps silent.
    IsSilent,
}

/// The network between us and the peer.
pub(crate) struct Network {
    pub(crate) mtu: usize,
    pub(crate) router: Router,
    /// Frames on their way.
    to_us: VecDeque<Vec<u8>>,
    from_us: VecDeque<Vec<u8>>,
    /// Sizes of the packets that arrived at the peer.
    pub(crate) sizes: Vec<usize>,
    pub(crate) dropped: usize,
    /// Packets that arrive at the peer in a millisecond, of those that wait for it, as many as there is room
    /// for.
    pub(crate) bottleneck: Option<(usize, usize)>,
    /// Of those, how many may arrive yet.
    left: usize,
    /// Is asked of each packet of ours that would arrive whether it gets lost.
    pub(crate) loses: Loses,
}

/// Says of a frame whether it gets lost.
pub(crate) type Loses = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// Our end of it, as a NIC has it.
pub(crate) struct Cable(pub(crate) Arc<Mutex<Network>>);

impl Network {
    pub(crate) fn new(mtu: usize, router: Router) -> Arc<Mutex<Self>> {
        let network = Self {
            mtu,
            router,
            to_us: VecDeque::new(),
            from_us: VecDeque::new(),
            sizes: Vec::new(),
            dropped: 0,
            bottleneck: None,
            left: 0,
            loses: Box::new(|_| false),
        };
        Arc::new(Mutex::new(network))
    }

    /// A millisecond has passed.
    pub(crate) fn tick(&mut self) {
        self.left = self.bottleneck.map_or(0, |(rate, _)| rate);
    }

    /// We send a frame.
    fn take(&mut self, frame: &[u8]) {
        match self.bottleneck {
            Some((_, room)) if self.from_us.len() >= room => self.dropped += 1,
            _ => self.from_us.push_back(frame.to_vec()),
        }
    }

    /// The peer sends a frame.
    pub(crate) fn send(&mut self, frame: Vec<u8>) {
        self.to_us.push_back(frame);
    }

    /// The next frame that arrives at the peer.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.bottleneck.is_some() {
                self.left = self.left.checked_sub(1)?;
            }
            let frame = self.from_us.pop_front()?;
            let size = frame.len() - ETHERNET_HEADER;
            if size > self.mtu {
                self.dropped += 1;
                if self.router != Router::IsSilent {
                    let mtu = if self.router == Router::Tells { self.mtu } else { 0 };
                    self.to_us.push_back(too_big(&frame, mtu));
                }
            } else if !(self.loses)(&frame) {
                self.sizes.push(size);
                return Some(frame);
            }
        }
    }
}

impl NetDevice for Cable {
    fn driver(&self) -> &'static str {
        "cable"
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(frame) = self.0.lock().unwrap().to_us.pop_front() else { return Ok(None) };
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(Some(frame.len()))
    }

    fn request_event(&mut self) -> Result<bool, Error> {
        self.needs_poll(false)
    }

    fn can_send(&mut self, _length: usize) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().from_us.len() < 64)
    }

    fn send(&mut self, frame: &mut [u8]) {
        assert!(frame.len() <= ETHERNET_HEADER + 1500, "the first network's MTU");
        net::fill_checksum(frame);
        self.0.lock().unwrap().take(frame);
    }

    fn publish(&mut self, _now: u64) {}

    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
        let network = self.0.lock().unwrap();
        Ok(if is_full { network.from_us.len() < 64 } else { !network.to_us.is_empty() })
    }

    fn failed(&self) -> u64 {
        0
    }
}
