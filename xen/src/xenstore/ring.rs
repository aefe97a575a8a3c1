// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page shared with xenstored: two streams of bytes, one each way
//! (`docs/misc/xenstore-ring.txt`, `struct xenstore_domain_interface` of `io/xs_wire.h`).

use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use xen_sys::io::xs_wire::*;

use super::error::Disconnect;
use crate::ring::{BadIndices, Layout, Reader, Taken, Writer};
use crate::shared::Shared;

/// Bytes that can be in flight each way.
pub const SIZE: usize = XENSTORE_RING_SIZE;

/// Requests to xenstored.
const REQUESTS: Layout = Layout {
    bytes: offset_of!(xenstore_domain_interface, req),
    size: SIZE as u32,
    produced: offset_of!(xenstore_domain_interface, req_prod),
    consumed: offset_of!(xenstore_domain_interface, req_cons),
};

/// Responses and events from xenstored.
const RESPONSES: Layout = Layout {
    bytes: offset_of!(xenstore_domain_interface, rsp),
    size: SIZE as u32,
    produced: offset_of!(xenstore_domain_interface, rsp_prod),
    consumed: offset_of!(xenstore_domain_interface, rsp_cons),
};

/// The guest's end of the page.
///
/// Neither side waits for the other here. The other side wants an event after bytes were written, because
/// they are there to be read, and after bytes were read from a full ring, because there is room again.
pub struct Ring {
    page: Shared<xenstore_domain_interface>,
    requests: Writer<xenstore_domain_interface>,
    responses: Reader<xenstore_domain_interface>,
}

impl Ring {
    /// The guest's end of `page`.
    ///
    /// The indices may stand anywhere. What lies unread in the page was for somebody who used it
    /// before us, such as a boot loader, and is dropped.
    pub fn new(page: Shared<xenstore_domain_interface>) -> Self {
        let requests = Writer::new(page, REQUESTS);
        let mut responses = Reader::new(page, RESPONSES);
        responses.skip_all();
        Self { page, requests, responses }
    }

    /// Starts again from the indices in the page, after it was reset or replaced.
    pub fn restart(&mut self) {
        *self = Self::new(self.page);
    }

    /// Writes as many of `bytes` as fit, and returns how many.
    ///
    /// # Errors
    ///
    /// [`Disconnect::Indices`] if xenstored claims to have read what was not written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Disconnect> {
        Ok(self.requests.write(bytes)?)
    }

    /// Bytes that can be written now.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn room(&self) -> Result<usize, Disconnect> {
        Ok(self.requests.room()? as usize)
    }

    /// Takes the bytes that have arrived, up to the size of `buffer`.
    ///
    /// # Errors
    ///
    /// [`Disconnect::Indices`] if xenstored claims to have written more than fits.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Taken, Disconnect> {
        Ok(self.responses.read(buffer)?)
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

    /// Publishes a word; a look at xenstored's words afterwards stays behind it.
    fn store(&self, offset: usize, value: u32) {
        if let Some(word) = self.page.field::<u32>(offset) {
            word.atomic().store(value, Ordering::Release);
        }
        fence(Ordering::SeqCst);
    }
}

impl From<BadIndices> for Disconnect {
    fn from(_: BadIndices) -> Self {
        Self::Indices
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
        assert_eq!(ring.write(b"x"), Err(Disconnect::Indices));
        change(page, |page| page.rsp_prod = 1025);
        assert_eq!(ring.read(&mut [0; 4]), Err(Disconnect::Indices));
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
