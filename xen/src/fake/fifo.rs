// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen does in the FIFO ABI (`xen/common/event_fifo.c`), and a look at what the guest does.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::mem::offset_of;
use core::ops::Range;
use core::sync::atomic::Ordering::SeqCst;

use xen_sys::event_channel::*;

use super::memory::Store;
use crate::Errno;
use crate::grant::PAGE_SIZE;
use crate::shared::Shared;

const PENDING: u32 = 1 << EVTCHN_FIFO_PENDING;
const MASKED: u32 = 1 << EVTCHN_FIFO_MASKED;
const LINKED: u32 = 1 << EVTCHN_FIFO_LINKED;
const BUSY: u32 = 1 << EVTCHN_FIFO_BUSY;
const LINK: u32 = EVTCHN_FIFO_LINK_MASK;
const WORDS: u32 = (PAGE_SIZE / 4) as u32;

/// The event array, the control blocks, and Xen's ends of the queues.
pub(super) struct XenFifo {
    pages: Vec<u64>,
    vcpus: Vec<XenVcpu>,
    /// The queue that a port was put into last, by vCPU and priority.
    last: BTreeMap<u32, (u32, u32)>,
}

#[derive(Default)]
struct XenVcpu {
    control: Option<(u64, usize)>,
    queues: [XenQueue; EVTCHN_FIFO_MAX_QUEUES as usize],
}

#[derive(Default)]
struct XenQueue {
    tail: u32,
    /// What was put in and not taken out, as far as Xen could know.
    ports: VecDeque<u32>,
}

impl XenFifo {
    pub(super) fn new(vcpus: u32) -> Self {
        let vcpus = (0..vcpus).map(|_| XenVcpu::default()).collect();
        Self { pages: Vec::new(), vcpus, last: BTreeMap::new() }
    }

    pub(super) fn uses(&self, frame: u64) -> bool {
        let controls = self.vcpus.iter().filter_map(|vcpu| vcpu.control);
        self.pages.contains(&frame) || controls.into_iter().any(|(control, _)| control == frame)
    }

    pub(super) fn add_control(&mut self, memory: &Store, argument: evtchn_init_control) -> Result<(), Errno> {
        let offset = argument.offset as usize;
        let outside = offset > PAGE_SIZE - size_of::<evtchn_fifo_control_block>();
        let vcpu = &mut self.vcpus[argument.vcpu as usize];
        if outside
            || !offset.is_multiple_of(8)
            || vcpu.control.is_some()
            || memory.at(argument.control_gfn).is_none()
        {
            return Err(Errno::INVAL);
        }
        vcpu.control = Some((argument.control_gfn, offset));
        let block = self.control(memory, argument.vcpu).expect("just added").read();
        assert_eq!(block, evtchn_fifo_control_block::default(), "a fresh control block is zero");
        Ok(())
    }

    /// Adds a page, and says which ports have a word now.
    pub(super) fn add_page(&mut self, memory: &Store, frame: u64) -> Result<Range<u32>, Errno> {
        let first = self.pages.len() as u32 * WORDS;
        if first >= EVTCHN_FIFO_NR_CHANNELS {
            return Err(Errno::NOSPC);
        }
        if memory.at(frame).is_none() {
            return Err(Errno::INVAL);
        }
        assert!(!self.uses(frame), "frame {frame:#x} was given twice");
        self.pages.push(frame);
        let ports = first..first + WORDS;
        let masked = ports.clone().all(|port| self.read(memory, port) == MASKED);
        assert!(masked, "every word of a new page is masked, and nothing else");
        Ok(ports)
    }

    pub(super) fn has_word(&self, port: u32) -> bool {
        port / WORDS < self.pages.len() as u32
    }

    pub(super) fn is_linked(&self, memory: &Store, port: u32) -> bool {
        self.has_word(port) && self.read(memory, port) & LINKED != 0
    }

    pub(super) fn clear_pending(&self, memory: &Store, port: u32) {
        if self.has_word(port) {
            self.word(memory, port).atomic().fetch_and(!PENDING, SeqCst);
        }
    }

    /// Unmasks a port, and says whether it is pending.
    pub(super) fn unmask(&mut self, memory: &Store, port: u32) -> bool {
        self.has_word(port) && self.word(memory, port).atomic().fetch_and(!MASKED, SeqCst) & PENDING != 0
    }

    /// Sets a port pending, and puts it into a queue if it is open; says whether the vCPU is to be
    /// told.
    pub(super) fn set_pending(&mut self, memory: &Store, port: u32, vcpu: u32, priority: u32) -> bool {
        self.audit(memory);
        let Some(control) = self.control(memory, vcpu) else {
            panic!("port {port} is bound to vCPU {vcpu}, which has no control block: its event is lost");
        };
        let word = self.word(memory, port);
        word.atomic().fetch_or(PENDING, SeqCst);
        if word.atomic().load(SeqCst) & MASKED != 0 || word.atomic().fetch_or(LINKED, SeqCst) & LINKED != 0 {
            return false;
        }
        let linked = self.enqueue(memory, port, vcpu, priority);
        !linked && set_ready(control, priority)
    }

    /// Puts a port at the end of a queue, and says whether the one before it leads to it.
    fn enqueue(&mut self, memory: &Store, port: u32, vcpu: u32, priority: u32) -> bool {
        let (last_vcpu, last_priority) = self.last.insert(port, (vcpu, priority)).unwrap_or((vcpu, priority));
        let last = self.queue(last_vcpu, last_priority);
        if last.tail == port {
            last.tail = 0;
        }
        // The guest has taken it out since it was looked for last.
        last.ports.retain(|before| *before != port);
        let tail = self.queue(vcpu, priority).tail;
        let linked = tail != 0 && set_link(self.word(memory, tail), port);
        if !linked {
            let offset = offset_of!(evtchn_fifo_control_block, head) + priority as usize * 4;
            let control = self.control(memory, vcpu).expect("looked at before");
            control.field::<u32>(offset).expect("a field").atomic().store(port, SeqCst);
        }
        let queue = self.queue(vcpu, priority);
        queue.tail = port;
        queue.ports.push_back(port);
        linked
    }

    /// Looks whether the guest kept the rules: it takes ports out in order, and puts none in.
    pub(super) fn audit(&mut self, memory: &Store) {
        for (vcpu, priority) in self.all_queues() {
            let ports = self.queue(vcpu, priority).ports.clone();
            // From the end on: the guest may be at it right now, and begins at the front.
            let left = ports.iter().rev().take_while(|port| self.is_linked(memory, **port)).count();
            let gone = ports.len() - left;
            for port in ports.iter().take(gone) {
                assert!(!self.is_linked(memory, *port), "port {port} was left behind in its queue");
            }
            self.queue(vcpu, priority).ports.drain(..gone);
        }
    }

    /// Looks whether the guest wrote to the words what only Xen may.
    pub(super) fn audit_words(&self, memory: &Store) {
        let queued: usize =
            self.vcpus.iter().flat_map(|vcpu| &vcpu.queues).map(|queue| queue.ports.len()).sum();
        let mut linked = 0;
        for word in self.pages.iter().flat_map(|page| words(memory, *page)) {
            assert_eq!(word & !(PENDING | MASKED | LINKED | LINK), 0, "unused bits of {word:#x}");
            assert!(word & LINKED != 0 || word & LINK == 0, "a link without LINKED: {word:#x}");
            linked += usize::from(word & LINKED != 0);
        }
        assert!(linked <= queued, "the guest put a port into a queue");
    }

    fn all_queues(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let vcpus = self.vcpus.len() as u32;
        (0..vcpus).flat_map(|vcpu| (0..EVTCHN_FIFO_MAX_QUEUES).map(move |priority| (vcpu, priority)))
    }

    fn queue(&mut self, vcpu: u32, priority: u32) -> &mut XenQueue {
        &mut self.vcpus[vcpu as usize].queues[priority as usize]
    }

    fn control(&self, memory: &Store, vcpu: u32) -> Option<Shared<evtchn_fifo_control_block>> {
        let (frame, offset) = self.vcpus[vcpu as usize].control?;
        memory.at(frame)?.field(offset)
    }

    fn word(&self, memory: &Store, port: u32) -> Shared<u32> {
        let page = memory.at(self.pages[(port / WORDS) as usize]).expect("the guest keeps it");
        page.field((port % WORDS) as usize * 4).expect("inside the page")
    }

    fn read(&self, memory: &Store, port: u32) -> u32 {
        self.word(memory, port).atomic().load(SeqCst)
    }
}

/// The words of a page, one after the other.
fn words(memory: &Store, frame: u64) -> impl Iterator<Item = u32> {
    let page = memory.at(frame).expect("the guest keeps it");
    (0..WORDS as usize)
        .map(move |index| page.field::<u32>(index * 4).expect("inside the page").atomic().load(SeqCst))
}

/// Marks a queue as one to look at, and says whether it wasn't.
fn set_ready(control: Shared<evtchn_fifo_control_block>, priority: u32) -> bool {
    let ready = control.field::<u32>(offset_of!(evtchn_fifo_control_block, ready)).expect("a field");
    ready.atomic().fetch_or(1 << priority, SeqCst) & 1 << priority == 0
}

/// Has a port lead to the next one, if it is in a queue still.
fn set_link(word: Shared<u32>, next: u32) -> bool {
    let mut now = word.atomic().load(SeqCst);
    if let Some(linked) = try_set_link(word, &mut now, next) {
        return linked;
    }
    word.atomic().fetch_or(BUSY, SeqCst);
    now = word.atomic().load(SeqCst);
    for _ in 0..4 {
        if let Some(linked) = try_set_link(word, &mut now, next) {
            word.atomic().fetch_and(!BUSY, SeqCst);
            return linked;
        }
    }
    panic!("the guest changed a BUSY word more often than it may");
}

fn try_set_link(word: Shared<u32>, now: &mut u32, next: u32) -> Option<bool> {
    if *now & LINKED == 0 {
        return Some(false);
    }
    match word.atomic().compare_exchange(*now, *now & !(BUSY | LINK) | next, SeqCst, SeqCst) {
        Ok(_) => Some(true),
        Err(changed) => {
            *now = changed;
            None
        }
    }
}
