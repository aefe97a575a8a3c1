// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 2-level ABI: a pending bit and a mask bit for each port, and for each vCPU a word that
//! tells in which words of pending bits to look (`shared_info` of `xen/include/public/xen.h`).

use alloc::vec::Vec;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use xen_sys::xen::{shared_info, vcpu_info};

use super::Port;
use crate::shared::Shared;

/// Ports of a 64-bit domain: a bit each in 64 words.
pub const PORTS: u32 = 4096;
const WORDS: u32 = PORTS / 64;

/// The ports whose events one vCPU takes.
struct Ports([AtomicU64; WORDS as usize]);

impl Ports {
    fn filled(word: u64) -> Self {
        Self(core::array::from_fn(|_| AtomicU64::new(word)))
    }

    fn fill(&self, word: u64) {
        self.0.iter().for_each(|place| place.store(word, Ordering::SeqCst));
    }

    fn add(&self, port: Port) {
        if let Some(word) = self.0.get((port.0 / 64) as usize) {
            word.fetch_or(1 << (port.0 % 64), Ordering::SeqCst);
        }
    }

    fn remove(&self, port: Port) {
        if let Some(word) = self.0.get((port.0 / 64) as usize) {
            word.fetch_and(!(1 << (port.0 % 64)), Ordering::SeqCst);
        }
    }

    fn word(&self, index: u32) -> u64 {
        self.0.get(index as usize).map_or(0, |word| word.load(Ordering::SeqCst))
    }
}

/// The events of a domain, kept the 2-level way, and which vCPU takes those of which port.
///
/// The pending and mask bits are the domain's, not the vCPU's. Were a vCPU to take events that Xen is
/// just delivering to another, that one's upcall could get lost: Xen sets the pending bit first and
/// looks at the mask afterwards (`xen/common/event_2l.c`). As in Xen, ports are the first vCPU's
/// until they are [given](Self::give) to another.
pub struct TwoLevel {
    bits: Bits,
    vcpus: Vec<Ports>,
}

impl TwoLevel {
    /// The events in `page` of a domain of so many vCPUs. Every port is masked.
    pub fn new(page: Shared<shared_info>, vcpus: u32) -> Self {
        let vcpus = (0..vcpus).map(|_| Ports::filled(0)).collect();
        let two_level = Self { bits: Bits::new(page), vcpus };
        two_level.begin();
        two_level
    }

    /// Begins, or begins again in a fresh page at the same address: every port is masked, and the first
    /// vCPU's.
    pub(super) fn begin(&self) {
        self.bits.mask_all();
        for (vcpu, ports) in self.vcpus.iter().enumerate() {
            ports.fill(if vcpu == 0 { u64::MAX } else { 0 });
        }
    }

    /// The bits.
    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// How many vCPUs, from 0 on, can be given ports.
    pub fn vcpus(&self) -> u32 {
        self.vcpus.len() as u32
    }

    /// Has `vcpu` take the events of `port` from now on. The port is masked meanwhile.
    pub fn give(&self, port: Port, vcpu: u32) {
        self.vcpus.iter().for_each(|ports| ports.remove(port));
        if let Some(ports) = self.vcpus.get(vcpu as usize) {
            ports.add(port);
        }
    }

    /// Takes every event that has arrived at `vcpu`, whose structure is `info`, on one of its ports: for
    /// each, masks the port, clears its pending bit, and calls `arrived`.
    pub fn take_all(&self, vcpu: u32, info: Shared<vcpu_info>, arrived: impl FnMut(Port)) {
        if let Some(ports) = self.vcpus.get(vcpu as usize) {
            self.bits.take_all(info, ports, arrived);
        }
    }
}

/// The pending and mask bits of all ports, in the page that Xen shares with the domain.
#[derive(Clone, Copy)]
pub struct Bits {
    page: Shared<shared_info>,
}

impl Bits {
    /// The bits in `page`.
    pub fn new(page: Shared<shared_info>) -> Self {
        Self { page }
    }

    /// Masks every port: a fresh page is all zero, and would have Xen interrupt for anything.
    pub fn mask_all(self) {
        for index in 0..WORDS {
            if let Some(word) = self.word(offset_of!(shared_info, evtchn_mask), index) {
                word.atomic().store(u64::MAX, Ordering::SeqCst);
            }
        }
    }

    /// Keeps a port from interrupting. It still becomes pending.
    pub fn mask(self, port: Port) {
        self.change(offset_of!(shared_info, evtchn_mask), port, |word, bit| {
            word.atomic().fetch_or(bit, Ordering::SeqCst)
        });
    }

    /// Lets a port interrupt from now on. What arrived before does not: ask
    /// [`take_pending`](Self::take_pending) afterwards, or it is lost.
    pub fn unmask(self, port: Port) {
        self.change(offset_of!(shared_info, evtchn_mask), port, |word, bit| {
            word.atomic().fetch_and(!bit, Ordering::SeqCst)
        });
    }

    /// Clears the port's pending bit, and says whether it was set.
    pub fn take_pending(self, port: Port) -> bool {
        self.change(offset_of!(shared_info, evtchn_pending), port, |word, bit| {
            word.atomic().fetch_and(!bit, Ordering::SeqCst)
        })
    }

    /// Takes every event that has arrived at the vCPU whose structure is `vcpu` on one of its `ports`.
    ///
    /// The order is the one that loses nothing (`xen.h`, at `evtchn_upcall_pending`): first the
    /// vCPU's flag, then its selector, then the words that the selector names.
    fn take_all(self, vcpu: Shared<vcpu_info>, ports: &Ports, mut arrived: impl FnMut(Port)) {
        let Some(flag) = vcpu.field::<u8>(offset_of!(vcpu_info, evtchn_upcall_pending)) else { return };
        let Some(selector) = vcpu.field::<u64>(offset_of!(vcpu_info, evtchn_pending_sel)) else { return };
        while flag.atomic().swap(0, Ordering::SeqCst) != 0 {
            fence(Ordering::SeqCst);
            for index in ones(selector.atomic().swap(0, Ordering::SeqCst)) {
                self.take_word(index, ports.word(index), &mut arrived);
            }
        }
    }

    fn take_word(self, index: u32, ports: u64, arrived: &mut impl FnMut(Port)) {
        let masks = self.word(offset_of!(shared_info, evtchn_mask), index);
        let pendings = self.word(offset_of!(shared_info, evtchn_pending), index);
        let (Some(masks), Some(pendings)) = (masks, pendings) else { return };
        let unmasked =
            pendings.atomic().load(Ordering::SeqCst) & !masks.atomic().load(Ordering::SeqCst) & ports;
        for bit in ones(unmasked) {
            masks.atomic().fetch_or(1 << bit, Ordering::SeqCst);
            if pendings.atomic().fetch_and(!(1 << bit), Ordering::SeqCst) & 1 << bit != 0 {
                arrived(Port(index * 64 + bit));
            }
        }
    }

    /// Applies an atomic operation to the port's bit, and says whether the bit was set before.
    fn change(self, array: usize, port: Port, operation: impl FnOnce(Shared<u64>, u64) -> u64) -> bool {
        let bit = 1 << (port.0 % 64);
        self.word(array, port.0 / 64).is_some_and(|word| operation(word, bit) & bit != 0)
    }

    fn word(self, array: usize, index: u32) -> Option<Shared<u64>> {
        (index < WORDS).then(|| self.page.field(array + index as usize * 8))?
    }
}

/// The numbers of the bits set in `word`, lowest first.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1); // clears the lowest bit; nothing of zero is zero
        (lowest < 64).then_some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Xen's side of the page.
    struct Xen {
        page: Box<shared_info>,
    }

    impl Xen {
        fn new() -> Self {
            Self { page: Box::default() }
        }

        fn shared(&mut self) -> Shared<shared_info> {
            // SAFETY: the box outlives its users in these single-threaded tests.
            unsafe { Shared::at((&raw mut *self.page).expose_provenance() as u64) }
        }

        fn bits(&mut self) -> Bits {
            Bits::new(self.shared())
        }

        fn vcpu(&mut self) -> Shared<vcpu_info> {
            self.shared().field(0).unwrap()
        }

        /// What Xen does when an event is sent (`xen/common/event_2l.c`).
        fn raise(&mut self, port: u32) {
            let shared = self.shared();
            let mut page = shared.read();
            let (word, bit) = ((port / 64) as usize, 1 << (port % 64));
            let was = page.evtchn_pending[word] & bit != 0;
            page.evtchn_pending[word] |= bit;
            if !was && page.evtchn_mask[word] & bit == 0 {
                page.vcpu_info[0].evtchn_pending_sel |= 1 << word;
                page.vcpu_info[0].evtchn_upcall_pending = 1;
            }
            shared.write(page);
        }

        fn taken(&mut self) -> Vec<u32> {
            self.taken_of(&(0..PORTS).collect::<Vec<_>>())
        }

        /// What a vCPU takes that has only these ports.
        fn taken_of(&mut self, own: &[u32]) -> Vec<u32> {
            let (bits, vcpu, ports) = (self.bits(), self.vcpu(), Ports::filled(0));
            own.iter().for_each(|port| ports.add(Port(*port)));
            let mut taken = Vec::new();
            bits.take_all(vcpu, &ports, |port| taken.push(port.0));
            taken
        }
    }

    #[test]
    fn events_of_unmasked_ports_are_taken_once_in_order_of_ports() {
        let mut xen = Xen::new();
        xen.bits().mask_all();
        for port in [70, 3, 4095] {
            xen.bits().unmask(Port(port));
            xen.raise(port);
        }
        assert_eq!(xen.taken(), [3, 70, 4095]);
        assert_eq!(xen.taken(), []);
    }

    #[test]
    fn events_of_another_vcpus_ports_are_left_to_it() {
        let mut xen = Xen::new();
        xen.bits().mask_all();
        for port in [4, 5] {
            xen.bits().unmask(Port(port));
            xen.raise(port);
        }
        assert_eq!(xen.taken_of(&[5]), [5]);
        assert!(xen.bits().take_pending(Port(4)));
    }

    #[test]
    fn a_taken_port_is_masked_until_somebody_opens_it_again() {
        let mut xen = Xen::new();
        xen.bits().mask_all();
        xen.bits().unmask(Port(5));
        xen.raise(5);
        assert_eq!(xen.taken(), [5]);
        xen.raise(5);
        assert_eq!(xen.taken(), []);
        xen.bits().unmask(Port(5));
        assert!(xen.bits().take_pending(Port(5)), "what arrived meanwhile is not lost");
    }

    #[test]
    fn masked_ports_and_ports_that_do_not_exist_are_never_taken() {
        let mut xen = Xen::new();
        xen.bits().mask_all();
        xen.raise(9);
        assert_eq!(xen.taken(), []);
        assert!(!xen.bits().take_pending(Port(PORTS)));
        assert!(!xen.bits().take_pending(Port(u32::MAX)));
    }
}
