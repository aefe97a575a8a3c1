// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page shared with xenstored: two streams of bytes, one each way
//! (`docs/misc/xenstore-ring.txt`, `struct xenstore_domain_interface` of `io/xs_wire.h`).

use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use xen_sys::io::xs_wire::*;

use super::error::Death;
use crate::shared::Shared;

/// Bytes that can be in flight each way.
pub const SIZE: usize = XENSTORE_RING_SIZE;

/// The guest's end of the page.
///
/// Neither side waits for the other here. The other side wants an event after bytes were written, because
/// they are there to be read, and after bytes were read from a full ring, because there is room again.
pub struct Ring {
    page: Shared<xenstore_domain_interface>,
    /// `req_prod` is ours to write; kept here so that xenstored cannot move it.
    produced: u32,
    /// `rsp_cons` is ours to write, as above.
    consumed: u32,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes.
    pub count: usize,
    /// The ring was full: xenstored waits for room, and wants an event now.
    pub was_full: bool,
}

impl Ring {
    /// The guest's end of `page`.
    ///
    /// The indices may stand anywhere. What lies unread in the page was for somebody who used it
    /// before us, such as a boot loader, and is dropped.
    pub fn new(page: Shared<xenstore_domain_interface>) -> Self {
        let mut ring = Self { page, produced: 0, consumed: 0 };
        ring.restart();
        ring
    }

    /// Starts again from the indices in the page, after it was reset or replaced.
    pub fn restart(&mut self) {
        self.produced = self.load(offset_of!(xenstore_domain_interface, req_prod));
        self.consumed = self.load(offset_of!(xenstore_domain_interface, rsp_prod));
        self.store(offset_of!(xenstore_domain_interface, rsp_cons), self.consumed);
    }

    /// Writes as many of `bytes` as fit, and returns how many.
    ///
    /// # Errors
    ///
    /// [`Death::Indices`] if xenstored claims to have read what was not written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Death> {
        let mut written = 0;
        for byte in bytes.iter().take(self.room()?) {
            let slot = MASK_XENSTORE_IDX(self.produced.wrapping_add(written)); // a free-running index
            self.byte(offset_of!(xenstore_domain_interface, req) + slot, |place| place.write(*byte));
            written += 1;
        }
        self.produced = self.produced.wrapping_add(written); // a free-running index
        self.store(offset_of!(xenstore_domain_interface, req_prod), self.produced);
        Ok(written as usize)
    }

    /// Bytes that can be written now.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn room(&self) -> Result<usize, Death> {
        let consumed = self.load(offset_of!(xenstore_domain_interface, req_cons));
        let unread = self.produced.wrapping_sub(consumed); // free-running indices
        SIZE.checked_sub(unread as usize).ok_or(Death::Indices)
    }

    /// Takes the bytes that have arrived, up to the size of `buffer`.
    ///
    /// # Errors
    ///
    /// [`Death::Indices`] if xenstored claims to have written more than fits.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Taken, Death> {
        let produced = self.load(offset_of!(xenstore_domain_interface, rsp_prod));
        let ready = produced.wrapping_sub(self.consumed) as usize; // free-running indices
        if ready > SIZE {
            return Err(Death::Indices);
        }
        let mut taken = 0;
        for place in buffer.iter_mut().take(ready) {
            let slot = MASK_XENSTORE_IDX(self.consumed.wrapping_add(taken)); // a free-running index
            self.byte(offset_of!(xenstore_domain_interface, rsp) + slot, |byte| *place = byte.read());
            taken += 1;
        }
        let before = self.consumed;
        self.consumed = before.wrapping_add(taken); // a free-running index
        self.store(offset_of!(xenstore_domain_interface, rsp_cons), self.consumed);
        // Who filled the ring since the look above may not have seen the room.
        let produced = self.load(offset_of!(xenstore_domain_interface, rsp_prod));
        let was_full = taken > 0 && produced.wrapping_sub(before) as usize >= SIZE;
        Ok(Taken { count: taken as usize, was_full })
    }

    /// Whether the rings are being reset: nothing else in the page means anything meanwhile.
    ///
    /// Only a guest sets this and only xenstored clears it. A guest can find it set when it
    /// starts, before xenstored has said that it knows the feature (dom0less domains).
    pub fn is_reconnecting(&self) -> bool {
        self.load(offset_of!(xenstore_domain_interface, connection)) == XENSTORE_RECONNECT
    }

    /// Asks xenstored to reset the rings and to forget requests, watches and transactions; false
    /// if it cannot. It wants an event then.
    pub fn request_reconnect(&self) -> bool {
        let able = self.offers(XENSTORE_SERVER_FEATURE_RECONNECTION);
        if able {
            self.store(offset_of!(xenstore_domain_interface, connection), XENSTORE_RECONNECT);
        }
        able
    }

    /// Why xenstored has given up the connection: `XENSTORE_ERROR_*`, or a number of a later
    /// xenstored. `None` if it has not, or does not tell.
    pub fn error(&self) -> Option<u32> {
        let error = self.load(offset_of!(xenstore_domain_interface, error));
        (self.offers(XENSTORE_SERVER_FEATURE_ERROR) && error != XENSTORE_ERROR_NONE).then_some(error)
    }

    /// Whether xenstored has a feature. It may start to have one at any time.
    fn offers(&self, feature: u32) -> bool {
        self.load(offset_of!(xenstore_domain_interface, server_features)) & feature != 0
    }

    fn load(&self, offset: usize) -> u32 {
        self.page.field::<u32>(offset).map_or(0, |word| word.atomic().load(Ordering::Acquire))
    }

    /// Publishes a word. The fence keeps a look at the other side's words behind it, so that of
    /// two sides that both publish and then look, one sees the other's news.
    fn store(&self, offset: usize, value: u32) {
        if let Some(word) = self.page.field::<u32>(offset) {
            word.atomic().store(value, Ordering::Release);
        }
        fence(Ordering::SeqCst);
    }

    fn byte(&self, offset: usize, access: impl FnOnce(Shared<u8>)) {
        if let Some(byte) = self.page.field::<u8>(offset) {
            access(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;

    fn change(page: Shared<xenstore_domain_interface>, change: impl FnOnce(&mut xenstore_domain_interface)) {
        let mut copy = page.read();
        change(&mut copy);
        page.write(copy);
    }

    #[test]
    fn bytes_go_through_wherever_the_indices_start() {
        for start in [0, 1023, u32::MAX - 2] {
            let page = fake::page_at(start);
            let mut ring = Ring::new(page);
            assert_eq!(ring.write(b"hello"), Ok(5));
            let slots = (0..5u32).map(|i| MASK_XENSTORE_IDX(start.wrapping_add(i)));
            assert_eq!(slots.map(|slot| page.read().req[slot]).collect::<Vec<_>>(), b"hello");
            assert_eq!(page.read().req_prod, start.wrapping_add(5));

            change(page, |page| {
                page.rsp[MASK_XENSTORE_IDX(start)] = b'!';
                page.rsp_prod = start.wrapping_add(1);
            });
            let mut buffer = [0; 8];
            assert_eq!(ring.read(&mut buffer), Ok(Taken { count: 1, was_full: false }));
            assert_eq!(buffer[0], b'!');
            assert_eq!(page.read().rsp_cons, start.wrapping_add(1));
        }
    }

    #[test]
    fn a_full_ring_takes_nothing_more() {
        let page = fake::page_at(5);
        let mut ring = Ring::new(page);
        assert_eq!(ring.write(&[1; 2000]), Ok(1024));
        assert_eq!(ring.write(&[2]), Ok(0));
        change(page, |page| page.req_cons += 1);
        assert_eq!(ring.write(&[2; 2]), Ok(1));
    }

    #[test]
    fn xenstored_waits_for_room_in_a_ring_that_it_has_filled() {
        let page = fake::page_at(5);
        let mut ring = Ring::new(page);
        change(page, |page| page.rsp_prod += 1023);
        assert_eq!(ring.read(&mut [0; 2000]), Ok(Taken { count: 1023, was_full: false }));
        change(page, |page| page.rsp_prod += 1024);
        assert_eq!(ring.read(&mut [0; 10]), Ok(Taken { count: 10, was_full: true }));
        assert_eq!(ring.read(&mut [0; 2000]), Ok(Taken { count: 1014, was_full: false }));
    }

    #[test]
    fn impossible_indices_are_refused() {
        let page = fake::page();
        let mut ring = Ring::new(page);
        change(page, |page| page.req_cons = 1);
        assert_eq!(ring.write(b"x"), Err(Death::Indices));
        change(page, |page| page.rsp_prod = 1025);
        assert_eq!(ring.read(&mut [0; 4]), Err(Death::Indices));
    }

    #[test]
    fn the_guests_own_indices_cannot_be_moved_by_xenstored() {
        let page = fake::page();
        let mut ring = Ring::new(page);
        assert_eq!(ring.write(b"ab"), Ok(2));
        change(page, |page| page.req_prod = 900);
        assert_eq!(ring.write(b"c"), Ok(1));
        assert_eq!((&page.read().req[..3], page.read().req_prod), (&b"abc"[..], 3));
    }

    #[test]
    fn what_was_for_a_former_user_of_the_page_is_dropped() {
        let page = fake::page_at(100);
        change(page, |page| page.rsp_prod = 150);
        let mut ring = Ring::new(page);
        assert_eq!(ring.read(&mut [0; 64]), Ok(Taken { count: 0, was_full: false }));
        assert_eq!(page.read().rsp_cons, 150);
    }

    #[test]
    fn the_error_and_the_reconnection_need_their_features() {
        let page = fake::page();
        let ring = Ring::new(page);
        change(page, |page| page.error = XENSTORE_ERROR_PROTO);
        assert_eq!((ring.error(), ring.request_reconnect()), (None, false));
        change(page, |page| page.server_features = !0);
        assert_eq!((ring.error(), ring.request_reconnect()), (Some(XENSTORE_ERROR_PROTO), true));
        assert!(ring.is_reconnecting());
    }
}
