// SPDX-License-Identifier: MIT OR Apache-2.0
//! What carries an interface's frames.

use super::error::Error;

/// What carries an interface's frames: rings that are shared with a backend, or with a card.
///
/// It fails only if the other side broke the protocol, and is given up then.
pub trait Wire: Send {
    /// Whether frames get through: not while a card's cable is unplugged.
    fn is_up(&self) -> bool {
        true
    }

    /// Puts the next frame into `buffer`, the same one each time, which has
    /// [`LONGEST`](super::packet::LONGEST) bytes, and returns its length. One whose checksum is wrong
    /// is dropped, and its length 0.
    ///
    /// # Errors
    ///
    /// [`Error`]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Error>;

    /// Asks to be told when there is a frame; true if there is one already.
    ///
    /// # Errors
    ///
    /// [`Error`]
    fn listen(&mut self) -> Result<bool, Error>;

    /// Whether a frame of `length` bytes can be sent now. If not, we will be told when one can.
    ///
    /// # Errors
    ///
    /// [`Error`]
    fn can_send(&mut self, length: usize) -> Result<bool, Error>;

    /// Sends `frame`, in which checksums of TCP and UDP have yet to be filled in, if there is room.
    fn send(&mut self, frame: &mut [u8]);

    /// Shows the other side everything, and tells it if it wants to know, at time `now` in nanoseconds.
    fn publish(&mut self, now: u64);

    /// Whether there is something for the network stack: a frame, a change of [`is_up`](Self::is_up),
    /// or, if it waits for that, room.
    ///
    /// # Errors
    ///
    /// [`Error`]
    fn has_news(&mut self, is_full: bool) -> Result<bool, Error>;

    /// Frames, or parts of them, that were not sent.
    fn failed(&self) -> u64;

    /// Frames of TCP segments that left in the packet of another one.
    fn merged(&self) -> u64 {
        0
    }
}
