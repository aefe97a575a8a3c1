// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device below an interface: what carries its frames.

use alloc::vec::Vec;

use super::error::Error;
use super::gso::GsoInfo;
use super::multicast::Group;

/// A network device: rings that are shared with a backend, or with a NIC.
///
/// Its functions fail only if the other side broke the protocol. The device is not used any more then.
pub trait NetDevice: Send {
    /// The driver's name, for people.
    fn driver(&self) -> &'static str;

    /// Whether frames get through: not while a NIC's cable is unplugged.
    fn is_up(&self) -> bool {
        true
    }

    /// Puts the next frame into `buffer`, the same one each time, which has
    /// [`MAX_FRAME`](super::frame::MAX_FRAME) bytes, and returns its length. One whose checksum is wrong
    /// is dropped, and its length 0.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error>;

    /// The same for who keeps frames: the next one in memory of its own, which is empty if the frame is
    /// dropped. `buffer` may be used on the way. All frames of a device are received by the same one of the
    /// two.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    fn receive_owned(&mut self, buffer: &mut [u8]) -> Result<Option<Vec<u8>>, Error> {
        let length = self.receive(buffer)?;
        Ok(length.map(|length| buffer.get(..length).unwrap_or_default().to_vec()))
    }

    /// What there is to tell of the frame that was [received](Self::receive) last, if it is several TCP
    /// segments in one.
    fn gso(&self) -> Option<GsoInfo> {
        None
    }

    /// Asks for an event at the next frame, or after several, if it [coalesces](Self::coalesces) events; true
    /// if there are as many already.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn request_event(&mut self) -> Result<bool, Error>;

    /// Whether a frame of `length` bytes can be sent now. If not, we will be told when one can.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn can_send(&mut self, length: usize) -> Result<bool, Error>;

    /// Sends `frame`, in which checksums of TCP and UDP have yet to be filled in, if there is room.
    fn send(&mut self, frame: &mut [u8]);

    /// The same; what is longer than `mtu` leaves in pieces that are not, if it [divides](Self::divides)
    /// such.
    fn send_within(&mut self, frame: &mut [u8], _mtu: usize) {
        self.send(frame);
    }

    /// Whether [`send_within`](Self::send_within) divides frames. Where it does not they are divided before.
    fn divides(&self) -> bool {
        false
    }

    /// Asks for the frames of `group`, if the other side passes on only those of groups that it was asked
    /// for.
    fn join(&mut self, _group: Group) {}

    /// Shows the other side everything, and tells it if it wants to know, at time `now` in nanoseconds.
    fn publish(&mut self, now: u64);

    /// Whether there is something for the network stack: a change of [`is_up`](Self::is_up), and a frame, or,
    /// if it waits for that, room: it takes no frame before there is.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn needs_poll(&mut self, is_full: bool) -> Result<bool, Error>;

    /// Whether we may be told of frames some time after they came: as long as it is so,
    /// [`poll_deferred`](Self::poll_deferred) is to be called each `POLL_INTERVAL` (`netfront::coalescing`).
    fn coalesces(&self) -> bool {
        false
    }

    /// Polls for those frames: all that are there make [`needs_poll`](Self::needs_poll) true.
    ///
    /// # Errors
    ///
    /// What was wrong.
    fn poll_deferred(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Has a NIC raise no interrupts any more, and use no memory, as far as that can be told to it: nobody
    /// looks after it from now on.
    fn shut_down(&mut self) {}

    /// Frames, or parts of them, that were not sent.
    fn failed(&self) -> u64;

    /// Frames of TCP segments that left in the packet of another one.
    fn merged(&self) -> u64 {
        0
    }
}
