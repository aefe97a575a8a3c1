// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consoles: the ring through which a domain talks to whoever is connected to it, and Xen's own
//! console.
//!
//! The [`Ring`] is a page with two byte rings in it (`xen/include/public/io/console.h`), whose other end is
//! `xenconsoled` or the device model. [`write_to_xen`] is a hypercall (`CONSOLEIO_write` of
//! `xen/include/public/xen.h`) for the time before there is a ring, and for crash reports.
//!
//! The other end is not trusted: impossible indices are an error, and never move what is read or written.
//!
//! # Examples
//!
//! ```
//! use xen::console::{self, Ring};
//! use xen::fake::FakeXen;
//! use xen::shared::Shared;
//! use xen_sys::io::console::xencons_interface;
//!
//! let xen = FakeXen::new();
//! console::write_to_xen(&xen, b"so early\n")?;
//! assert_eq!(xen.console(), "so early\n");
//!
//! let mut page = Box::new([0u64; 512]);
//! let address = (&raw mut *page).expose_provenance() as u64;
//! // SAFETY: a page of memory that lives as long as the ring, and that nothing else uses.
//! let mut ring = Ring::new(unsafe { Shared::<xencons_interface>::at(address) });
//! assert_eq!(ring.write(&[b'.'; 3000])?, 2048, "what fits; the rest when the other end has read it");
//! assert_eq!(ring.unread()?, 2048);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::mem::offset_of;

use xen_sys::io::console::xencons_interface;
use xen_sys::xen::{__HYPERVISOR_console_io, CONSOLEIO_write};

use crate::error::{Result, check};
use crate::hypercall::Hypercall;
pub use crate::ring::BadIndices;
use crate::ring::{Layout, Reader, Writer};
use crate::shared::Shared;

/// What the guest writes.
const OUTPUT: Layout = Layout {
    bytes: offset_of!(xencons_interface, out),
    size: 2048,
    produced: offset_of!(xencons_interface, out_prod),
    consumed: offset_of!(xencons_interface, out_cons),
};

/// What was typed.
const INPUT: Layout = Layout {
    bytes: offset_of!(xencons_interface, r#in),
    size: 1024,
    produced: offset_of!(xencons_interface, in_prod),
    consumed: offset_of!(xencons_interface, in_cons),
};

/// Writes to Xen's own console. In a domU Xen prints it only if its guest log level allows.
///
/// # Errors
///
/// [`Errno::NOSYS`](crate::Errno::NOSYS) in QEMU's Xen emulation, `EPERM` by policy.
pub fn write_to_xen(hypercalls: &(impl Hypercall + ?Sized), bytes: &[u8]) -> Result<()> {
    let text = bytes.as_ptr().expose_provenance() as u64;
    // SAFETY: CONSOLEIO_write reads `len` bytes at the pointer.
    check(unsafe {
        hypercalls
            .issue(__HYPERVISOR_console_io, [u64::from(CONSOLEIO_write), bytes.len() as u64, text, 0, 0])
    })
    .map(drop)
}

/// The guest's end of the console ring.
///
/// Neither side waits for the other here: both calls move what they can and say how much. After
/// either moved something, the other side wants an event on the ring's port.
pub struct Ring {
    output: Writer<xencons_interface>,
    input: Reader<xencons_interface>,
}

impl Ring {
    /// The ring in `page`. Whoever used it before us (a boot loader) may have left it anywhere.
    pub fn new(page: Shared<xencons_interface>) -> Self {
        Self { output: Writer::new(page, OUTPUT), input: Reader::new(page, INPUT) }
    }

    /// Puts as many of `bytes` into the ring as fit, and returns how many.
    ///
    /// # Errors
    ///
    /// [`BadIndices`] if the backend claims to have read what was not written.
    pub fn write(&mut self, bytes: &[u8]) -> core::result::Result<usize, BadIndices> {
        self.output.write(bytes)
    }

    /// Bytes written that the backend has not read yet.
    ///
    /// # Errors
    ///
    /// [`BadIndices`] as for [`write`](Self::write).
    pub fn unread(&self) -> core::result::Result<u32, BadIndices> {
        self.output.unread()
    }

    /// Takes what has been typed, up to the size of `buffer`, and returns how much that was.
    ///
    /// # Errors
    ///
    /// [`BadIndices`] if the backend claims to have written more than fits.
    pub fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, BadIndices> {
        Ok(self.input.read(buffer)?.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The console's end of the ring, and the memory that both share.
    struct Backend {
        page: Box<xencons_interface>,
    }

    impl Backend {
        fn new(index: u32) -> Self {
            let page = xencons_interface {
                r#in: [0; 1024],
                out: [0; 2048],
                in_cons: index,
                in_prod: index,
                out_cons: index,
                out_prod: index,
            };
            Self { page: Box::new(page) }
        }

        fn ring(&mut self) -> Ring {
            Ring::new(self.shared())
        }

        fn shared(&mut self) -> Shared<xencons_interface> {
            // SAFETY: the box outlives every use in these single-threaded tests.
            unsafe { Shared::at((&raw mut *self.page).expose_provenance() as u64) }
        }

        fn change(&mut self, change: impl FnOnce(&mut xencons_interface)) {
            let mut page = self.shared().read();
            change(&mut page);
            self.shared().write(page);
        }

        /// Reads all that the guest wrote.
        fn take(&mut self) -> Vec<u8> {
            let mut taken = Vec::new();
            self.change(|page| {
                while page.out_cons != page.out_prod {
                    taken.push(page.out[(page.out_cons % OUTPUT.size) as usize]);
                    page.out_cons = page.out_cons.wrapping_add(1);
                }
            });
            taken
        }

        fn type_in(&mut self, bytes: &[u8]) {
            self.change(|page| {
                for byte in bytes {
                    page.r#in[(page.in_prod % INPUT.size) as usize] = *byte;
                    page.in_prod = page.in_prod.wrapping_add(1);
                }
            });
        }
    }

    #[test]
    fn what_is_written_arrives_wherever_the_indices_start() {
        for start in [0, 2047, u32::MAX - 2] {
            let mut backend = Backend::new(start);
            let mut ring = backend.ring();
            assert_eq!(ring.write(b"hello"), Ok(5));
            assert_eq!(backend.take(), b"hello");
            assert_eq!(ring.unread(), Ok(0));
        }
    }

    #[test]
    fn a_full_ring_takes_nothing_and_loses_nothing() {
        let mut backend = Backend::new(7);
        let mut ring = backend.ring();
        assert_eq!(ring.write(&[b'x'; 3000]), Ok(2048));
        assert_eq!(ring.write(b"y"), Ok(0));
        assert_eq!(backend.take(), [b'x'; 2048]);
        assert_eq!(ring.write(b"y"), Ok(1));
    }

    #[test]
    fn typed_bytes_come_in_order_and_once() {
        let mut backend = Backend::new(u32::MAX);
        let mut ring = backend.ring();
        backend.type_in(b"abc");
        let mut buffer = [0; 2];
        assert_eq!(ring.read(&mut buffer), Ok(2));
        assert_eq!(&buffer, b"ab");
        assert_eq!(ring.read(&mut buffer), Ok(1));
        assert_eq!(ring.read(&mut buffer), Ok(0));
    }

    #[test]
    fn impossible_indices_are_refused() {
        let mut backend = Backend::new(0);
        let mut ring = backend.ring();
        backend.change(|page| page.out_cons = 1);
        assert_eq!(ring.write(b"x"), Err(BadIndices));
        backend.change(|page| page.in_prod = 1025);
        assert_eq!(ring.read(&mut [0; 8]), Err(BadIndices));
    }

    #[test]
    fn the_guests_own_indices_cannot_be_moved_by_the_backend() {
        let mut backend = Backend::new(0);
        let mut ring = backend.ring();
        assert_eq!(ring.write(b"ab"), Ok(2));
        backend.change(|page| page.out_prod = 900);
        assert_eq!(ring.write(b"c"), Ok(1));
        assert_eq!(backend.take(), b"abc");
    }
}
