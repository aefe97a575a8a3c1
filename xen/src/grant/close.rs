// SPDX-License-Identifier: MIT OR Apache-2.0
//! Revoking an entry that a peer may begin to use at the same moment.

use core::sync::atomic::{AtomicU32, Ordering, fence};

use xen_sys::grant_table::*;

/// Xen's marks: somebody uses the entry.
pub(super) const IN_USE: u16 = GTF_reading | GTF_writing;

/// The word of flags and domain that an entry begins with, shared with Xen. A trait, so that the
/// model checker can take the place of the processor.
pub(super) trait Header {
    fn load(&self) -> u32;

    /// Sequentially consistent.
    fn store(&self, word: u32);

    /// Replaces `old` by `new` if it is still there.
    fn replace(&self, old: u32, new: u32) -> bool;

    /// A full barrier.
    fn full_barrier(&self);
}

macro_rules! header {
    ($atomic:ty, $fence:path) => {
        impl Header for $atomic {
            fn load(&self) -> u32 {
                <$atomic>::load(self, Ordering::Relaxed)
            }

            fn store(&self, word: u32) {
                <$atomic>::store(self, word, Ordering::SeqCst);
            }

            fn replace(&self, old: u32, new: u32) -> bool {
                self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            }

            fn full_barrier(&self) {
                $fence(Ordering::SeqCst);
            }
        }
    };
}

header!(AtomicU32, fence);
#[cfg(all(loom, test))]
header!(loom::sync::atomic::AtomicU32, loom::sync::atomic::fence);

/// Takes an entry of version 1 back, if nobody uses it. Xen's marks are in the same word, so one
/// compare-and-exchange both asks and takes: nothing can begin to use the entry in between.
pub(super) fn close_v1(header: &impl Header) -> bool {
    let before = header.load();
    before as u16 & IN_USE == 0 && header.replace(before, 0)
}

/// Takes an entry of version 2 back, whose marks `status` reads. Xen marks the status, then looks at the
/// flags again; we clear the flags, then look at the status. With a full barrier on both sides, one of the
/// two sees the other.
pub(super) fn close_v2(header: &impl Header, status: impl FnOnce() -> u16) -> bool {
    header.store(0);
    header.full_barrier();
    let in_use = status() & IN_USE != 0;
    fence(Ordering::Acquire);
    !in_use
}

#[cfg(all(loom, test))]
mod model {
    //! Xen's side as `xen/common/grant_table.c` has it (`_set_status_v1`, `_set_status_v2`): Xen maps an
    //! entry while the guest takes it back, in every order of their accesses.

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU16, AtomicU32};
    use loom::thread;

    use super::*;

    const GRANTED: u32 = GTF_permit_access as u32 | 7 << 16;

    /// Marks the word as in use, unless the access is no longer permitted.
    fn map_v1(header: &AtomicU32) -> bool {
        loop {
            let word = header.load(Ordering::Relaxed);
            if word as u16 & GTF_permit_access == 0 {
                return false;
            }
            let marked = word | u32::from(GTF_reading);
            if header.compare_exchange(word, marked, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// Marks the status, and takes the mark away if the access is no longer permitted.
    fn map_v2(header: &AtomicU32, status: &AtomicU16) -> bool {
        if header.load(Ordering::Relaxed) as u16 & GTF_permit_access == 0 {
            return false;
        }
        status.fetch_or(GTF_reading, Ordering::SeqCst);
        loom::sync::atomic::fence(Ordering::SeqCst);
        let permitted = header.load(Ordering::Relaxed) as u16 & GTF_permit_access != 0;
        if !permitted {
            status.fetch_and(!GTF_reading, Ordering::SeqCst);
        }
        permitted
    }

    #[test]
    fn an_entry_of_version_1_is_either_taken_back_or_mapped() {
        loom::model(|| {
            let header = Arc::new(AtomicU32::new(GRANTED));
            let xen = Arc::clone(&header);
            let xen = thread::spawn(move || map_v1(&xen));
            let closed = close_v1(&*header);
            assert_ne!(closed, xen.join().unwrap());
        });
    }

    #[test]
    fn an_entry_of_version_2_is_never_taken_back_while_it_is_mapped() {
        loom::model(|| {
            let entry = Arc::new((AtomicU32::new(GRANTED), AtomicU16::new(0)));
            let xen = Arc::clone(&entry);
            let xen = thread::spawn(move || map_v2(&xen.0, &xen.1));
            let closed = close_v2(&entry.0, || entry.1.load(Ordering::Relaxed));
            let mapped = xen.join().unwrap();
            assert!(!(closed && mapped), "taken back under a mapping");
            // Whoever was too early asks again.
            assert!(mapped || close_v2(&entry.0, || entry.1.load(Ordering::Relaxed)));
        });
    }
}
