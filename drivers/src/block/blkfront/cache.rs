// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a backend's volatile cache may hold: writes that it has acknowledged, and not flushed.
//!
//! A flush makes durable what was acknowledged before it, by whatever backend. One that goes to a new
//! backend cannot vouch for what the old one had in its cache. If that one closed the device, it wrote its
//! cache back, or left it with the device below, which the next flush reaches: Linux's backend and QEMU's do
//! so. A kernel's driver keeps nothing itself: if it is unbound and bound again without a word, as Linux's
//! can be, what it answered is below it, in the same domain. If a process such as QEMU, which has caches of
//! its own, or a whole domain has vanished, it is not known what is lost. Linux's frontend ignores this
//! (`blkif_recover` in `drivers/block/xen-blkfront.c`); here the next flush fails once, as `fsync` does after
//! a write-back that failed: then an application knows that it has to look at, or to write again, what it
//! wrote since its last flush. Without unflushed writes nobody notices.
//!
//! A backend that offers no flush says that nothing below it is volatile. So what its predecessor left there
//! in an orderly way is durable when it connects, without a flush: Linux's `blkback` sends none when it
//! closes a device (`xen_blkif_disconnect` waits for I/O, `xen_vbd_free` puts the device down), and offers
//! flushes as long as the queue below has a cache. Whoever tells it that there is none, by the queue's
//! `write_cache` or by a switch of the drive, vouches for what is there, as to Linux's frontend, which sends
//! no flushes then either. What a backend lost that left abruptly is not found again by that: the next flush
//! fails all the same.

use xen::xenbus::State;

/// How a backend left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// It has closed the device, or is a driver that left its cache with the device below.
    Orderly,
    /// It vanished, or began anew without a word.
    Abrupt,
}

impl Departure {
    /// How the backend left whose directory is `backend`, and which is in this state since; `None` if the
    /// directory is gone. Toolstacks name the directory by what serves it: `vbd` is a kernel's driver,
    /// `qdisk` is QEMU.
    pub(super) fn of(backend: &str, state: Option<State>) -> Self {
        match state {
            Some(State::Closed) => Self::Orderly,
            Some(_) if backend.split('/').any(|part| part == "vbd") => Self::Orderly,
            _ => Self::Abrupt,
        }
    }
}

/// Acknowledged writes, and what became of them.
#[derive(Default)]
pub(super) struct WriteCache {
    /// Writes that were acknowledged.
    written: u64,
    /// Of those, the first ones that are durable.
    durable: u64,
    /// Whether the backend that is connected has a volatile cache.
    is_volatile: bool,
    /// A backend left abruptly with writes that were not durable, and nobody was told.
    is_lost: bool,
}

impl WriteCache {
    /// A backend has connected, which has a volatile cache or none.
    pub(super) fn connected(&mut self, is_volatile: bool) {
        self.is_volatile = is_volatile;
        if !is_volatile {
            self.durable = self.written;
        }
    }

    /// A write was acknowledged.
    pub(super) fn wrote(&mut self) {
        self.written += 1;
        if !self.is_volatile {
            self.durable = self.written;
        }
    }

    /// Writes that were acknowledged so far: those that a flush sent now covers.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// A flush was acknowledged that covers the first `covers` writes.
    pub(super) fn flushed(&mut self, covers: u64) {
        self.durable = self.durable.max(covers);
    }

    /// The backend has left.
    pub(super) fn left(&mut self, departure: Departure) {
        self.is_lost |= departure == Departure::Abrupt && self.durable < self.written;
    }

    /// Whether a flush has to fail, as it could not vouch for all writes that were acknowledged.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Flushes have failed for that reason, which is told once.
    pub(super) fn forget(&mut self) {
        self.is_lost = false;
        self.durable = self.written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with an acknowledged write that no flush covers.
    fn unflushed() -> WriteCache {
        let mut cache = WriteCache::default();
        cache.connected(true);
        cache.wrote();
        cache.flushed(cache.written());
        cache.wrote();
        cache
    }

    #[test]
    fn a_backend_that_vanishes_loses_what_was_not_flushed() {
        let mut cache = unflushed();
        cache.left(Departure::Abrupt);
        assert!(cache.is_lost());
        cache.forget();
        cache.left(Departure::Abrupt);
        assert!(!cache.is_lost(), "told once");
    }

    #[test]
    fn what_is_lost_depends_on_who_left_and_how() {
        let (kernel, qemu) = ("/local/domain/0/backend/vbd/1/51712", "/local/domain/0/backend/qdisk/1/51712");
        for (backend, state, departure) in [
            (kernel, Some(State::Closed), Departure::Orderly),
            (kernel, Some(State::InitWait), Departure::Orderly),
            (kernel, None, Departure::Abrupt),
            (qemu, Some(State::Closed), Departure::Orderly),
            (qemu, Some(State::InitWait), Departure::Abrupt),
            (qemu, None, Departure::Abrupt),
        ] {
            assert_eq!(Departure::of(backend, state), departure, "{backend} {state:?}");
        }
    }

    #[test]
    fn a_backend_that_closes_loses_nothing() {
        let mut cache = unflushed();
        cache.left(Departure::Orderly);
        assert!(!cache.is_lost());
    }

    #[test]
    fn flushed_writes_are_not_lost() {
        let mut cache = unflushed();
        cache.flushed(2);
        cache.left(Departure::Abrupt);
        assert!(!cache.is_lost());
    }

    #[test]
    fn flush_does_not_cover_writes_that_were_acknowledged_after_it_was_sent() {
        let mut cache = unflushed();
        let covers = cache.written();
        cache.wrote();
        cache.flushed(covers);
        cache.left(Departure::Abrupt);
        assert!(cache.is_lost());
    }

    #[test]
    fn without_a_volatile_cache_nothing_is_lost() {
        let mut cache = WriteCache::default();
        cache.connected(false);
        cache.wrote();
        cache.left(Departure::Abrupt);
        assert!(!cache.is_lost());
    }

    #[test]
    fn what_was_left_with_a_device_without_a_volatile_cache_is_durable() {
        let mut cache = unflushed();
        cache.left(Departure::Orderly);
        cache.connected(false);
        cache.left(Departure::Abrupt);
        assert!(!cache.is_lost());
    }

    #[test]
    fn what_is_lost_stays_so_without_a_volatile_cache() {
        let mut cache = unflushed();
        cache.left(Departure::Abrupt);
        cache.connected(false);
        assert!(cache.is_lost());
    }
}
