// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network behind a port: an interface of this domain's own, which has no stack then.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_futures::yield_now;

use super::packet::Packet;
use super::ports::Port;
use crate::net::frame::{ETHERNET_HEADER, MAX_FRAME};
use crate::net::interface::Interface;

/// Packets that pass in each direction in one go; then others have their turn.
const BATCH: usize = 64;

/// Passes packets between `port` and the network of `interface`, for ever; `now` is the time in nanoseconds.
/// While the interface is not connected, what is sent there is lost.
pub async fn uplink(interface: &Interface<'_>, port: &Port<'_>, now: impl Fn() -> u64) -> Infallible {
    let mut uplink = Uplink { interface, port, buffer: vec![0; MAX_FRAME], waiting: None };
    loop {
        poll_fn(|context| uplink.poll(context, now())).await;
        // Others have their turn.
        yield_now().await;
    }
}

struct Uplink<'a, 'k> {
    interface: &'a Interface<'k>,
    port: &'a Port<'a>,
    /// What a NIC receives into.
    buffer: Vec<u8>,
    /// A packet that there was no room for.
    waiting: Option<Departing>,
}

/// A packet that leaves, in memory of its own: drivers fill in checksums.
struct Departing {
    bytes: Vec<u8>,
    /// What is longer is divided.
    mtu: usize,
}

impl Departing {
    fn new(packet: Arc<Packet>) -> Self {
        // Segments are divided as the guest that sends them says, and not as the network would allow.
        let mtu = packet.gso().map_or(usize::MAX, |_| packet.longest() - ETHERNET_HEADER);
        // Only what goes to others, too, is copied.
        let bytes = Arc::try_unwrap(packet).map_or_else(|packet| packet.bytes().to_vec(), Packet::into_bytes);
        Self { bytes, mtu }
    }
}

impl Uplink<'_, '_> {
    /// Passes what there is; ready if that was anything. If not, the task is woken when there is something.
    fn poll(&mut self, context: &mut Context<'_>, now: u64) -> Poll<()> {
        let received = (0..BATCH).take_while(|_| self.receive(context, now)).count();
        let sent = (0..BATCH).take_while(|_| self.send(context)).count();
        // While there is no room, what comes waits at the port.
        let more = self.waiting.is_none() && self.port.poll_arrival(context).is_ready();
        if received + sent > 0 || more { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Passes a packet from the network on, if there is one.
    fn receive(&mut self, context: &mut Context<'_>, now: u64) -> bool {
        let Some((bytes, gso)) = self.interface.take(&mut self.buffer, context.waker()) else {
            return false;
        };
        if let Ok(packet) = Packet::checked(bytes, gso) {
            self.port.send(packet, now);
        }
        true
    }

    /// Passes a packet on to the network, if there is one, and room for it.
    fn send(&mut self, context: &mut Context<'_>) -> bool {
        let next = self.waiting.take().or_else(|| self.port.take().map(Departing::new));
        let Some(mut packet) = next else { return false };
        let is_sent = self.interface.put(&mut packet.bytes, packet.mtu, context.waker());
        if !is_sent {
            self.waiting = Some(packet);
        }
        is_sent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::task::Waker;

    use xen_sys::io::netif::XEN_NETIF_GSO_TYPE_TCPV4;

    use super::super::forwarding::Source;
    use super::super::packet::Checksum;
    use super::super::ports::Bridge;
    use super::*;
    use crate::net::{Error, GsoInfo, NetDevice, Properties, samples, verify_checksum};

    const PROPERTIES: Properties = Properties { mac: [2, 0, 0, 0, 0, 9], mtu: 1500, segments: 1 };
    const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const INFO: GsoInfo = GsoInfo { size: 500, kind: XEN_NETIF_GSO_TYPE_TCPV4 };

    /// What a NIC has received, and what it was given, with the MTU; it takes so many frames.
    #[derive(Default)]
    struct Cable {
        received: Mutex<VecDeque<(Vec<u8>, Option<GsoInfo>)>>,
        sent: Mutex<Vec<(Vec<u8>, usize)>>,
        room: Mutex<usize>,
    }

    struct Nic(Arc<Cable>, Option<GsoInfo>);

    impl NetDevice for Nic {
        fn driver(&self) -> &'static str {
            "test"
        }

        fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
            let next = self.0.received.lock().unwrap().pop_front();
            Ok(next.map(|(frame, gso)| {
                buffer[..frame.len()].copy_from_slice(&frame);
                self.1 = gso;
                frame.len()
            }))
        }

        fn gso(&self) -> Option<GsoInfo> {
            self.1
        }

        fn request_event(&mut self) -> Result<bool, Error> {
            Ok(!self.0.received.lock().unwrap().is_empty())
        }

        fn can_send(&mut self, _length: usize) -> Result<bool, Error> {
            Ok(*self.0.room.lock().unwrap() > 0)
        }

        fn send(&mut self, frame: &mut [u8]) {
            self.send_within(frame, usize::MAX);
        }

        fn send_within(&mut self, frame: &mut [u8], mtu: usize) {
            *self.0.room.lock().unwrap() -= 1;
            self.0.sent.lock().unwrap().push((frame.to_vec(), mtu));
        }

        fn divides(&self) -> bool {
            true
        }

        fn publish(&mut self, _now: u64) {}

        fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error> {
            if is_full { self.can_send(0) } else { self.request_event() }
        }

        fn failed(&self) -> u64 {
            0
        }
    }

    fn network(cable: &Arc<Cable>) -> Interface<'static> {
        let interface = Interface::new();
        interface.connect(Box::new(Nic(Arc::clone(cable), None)), PROPERTIES);
        interface
    }

    /// A frame to the guest, or from it.
    fn frame(is_to_guest: bool, length: usize) -> Vec<u8> {
        let addresses = if is_to_guest { [GUEST, [4; 6]] } else { [[4; 6], GUEST] };
        let mut frame = [&addresses.concat()[..], &[0x88, 0xb5]].concat();
        frame.resize(length, 7);
        frame
    }

    /// Lets packets pass until there are no more.
    fn pass(uplink: &mut Uplink<'_, '_>) {
        while uplink.poll(&mut Context::from_waker(Waker::noop()), 0).is_ready() {}
    }

    fn uplink<'a>(interface: &'a Interface<'static>, port: &'a Port<'a>) -> Uplink<'a, 'static> {
        Uplink { interface, port, buffer: vec![0; MAX_FRAME], waiting: None }
    }

    #[test]
    fn what_the_network_sends_reaches_the_guest_and_what_is_damaged_does_not() {
        let (cable, bridge) = (Arc::<Cable>::default(), Bridge::new());
        let (interface, port) = (network(&cable), bridge.attach(Source::Any, 1500).unwrap());
        let guest = bridge.attach(Source::Only(GUEST), 1500).unwrap();
        let mut segments = samples::tcp(&[7; 1200]);
        segments[..6].copy_from_slice(&GUEST);
        let frames =
            [(frame(true, 60), None), (Vec::new(), None), (frame(true, 1514), None), (segments, Some(INFO))];
        *cable.received.lock().unwrap() = frames.into();
        pass(&mut uplink(&interface, &port));
        assert_eq!([(); 2].map(|()| guest.take().unwrap().bytes().len()), [60, 1514]);
        let packet = guest.take().unwrap();
        assert_eq!((packet.gso(), packet.is_blank()), (Some(INFO), true));
        assert!(guest.take().is_none());
        assert_eq!((interface.counters().received, interface.counters().damaged), (3, 1));
    }

    #[test]
    fn what_the_guest_sends_waits_for_room_and_stays_in_its_order() {
        let (cable, bridge) = (Arc::<Cable>::default(), Bridge::new());
        let (interface, port) = (network(&cable), bridge.attach(Source::Any, 1500).unwrap());
        let guest = bridge.attach(Source::Only(GUEST), 1500).unwrap();
        let mut uplink = uplink(&interface, &port);
        for length in 60..100 {
            guest.send(Packet::new(frame(false, length), Checksum::Right, None).unwrap(), 0);
        }
        for room in [0, 1, 3, 100] {
            *cable.room.lock().unwrap() = room;
            pass(&mut uplink);
        }
        let sent = cable.sent.lock().unwrap();
        assert_eq!(
            sent.iter().map(|(frame, _)| frame.len()).collect::<Vec<_>>(),
            (60..100).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_leaves_is_copied_only_if_somebody_else_has_it_too() {
        let packet = || Arc::new(Packet::new(frame(false, 60), Checksum::Right, None).unwrap());
        let (alone, shared) = (packet(), packet());
        let (place, other) = (alone.bytes().as_ptr(), Arc::clone(&shared));
        assert_eq!(Departing::new(alone).bytes.as_ptr(), place);
        let departing = Departing::new(shared);
        assert!(departing.bytes == other.bytes() && departing.bytes.as_ptr() != other.bytes().as_ptr());
    }

    #[test]
    fn segments_leave_as_long_as_the_guest_says() {
        let (cable, bridge) = (Arc::<Cable>::default(), Bridge::new());
        *cable.room.lock().unwrap() = 9;
        let (interface, port) = (network(&cable), bridge.attach(Source::Any, 1500).unwrap());
        let mut segments = samples::tcp(&[7; 1200]);
        segments[..12].copy_from_slice(&[[4; 6], GUEST].concat());
        let guest = bridge.attach(Source::Only(GUEST), 1500).unwrap();
        guest.send(Packet::new(segments.clone(), Checksum::Blank, Some(INFO)).unwrap(), 0);
        guest.send(Packet::new(segments, Checksum::Blank, None).unwrap(), 0);
        pass(&mut uplink(&interface, &port));
        let sent = cable.sent.lock().unwrap();
        assert_eq!(sent.iter().map(|(_, mtu)| *mtu).collect::<Vec<_>>(), [40 + 500, usize::MAX]);
        assert!(!verify_checksum(&sent[0].0), "the driver fills it in");
    }

    #[test]
    fn without_a_network_what_is_sent_is_lost_and_nobody_waits() {
        let bridge = Bridge::new();
        let (interface, port) = (Interface::new(), bridge.attach(Source::Any, 1500).unwrap());
        let guest = bridge.attach(Source::Only(GUEST), 1500).unwrap();
        let mut uplink =
            Uplink { interface: &interface, port: &port, buffer: vec![0; MAX_FRAME], waiting: None };
        for _ in 0..1000 {
            guest.send(Packet::new(frame(false, 60), Checksum::Right, None).unwrap(), 0);
            pass(&mut uplink);
        }
        assert_eq!((port.traffic().taken, interface.counters().lost), (1000, 1000));
    }
}
