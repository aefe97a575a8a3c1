// SPDX-License-Identifier: MIT OR Apache-2.0
//! The FIFO ABI: a word for each port, and for each vCPU a queue of ports per priority, in pages
//! that the guest gives Xen (`xen/include/public/event_channel.h`; what Xen does with them is in
//! `xen/common/event_fifo.c`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::{ManuallyDrop, offset_of};
use core::sync::atomic::{AtomicU32, Ordering, fence};

use spin::{Mutex, Once};
use xen_sys::event_channel::*;
use xen_sys::xen::{__HYPERVISOR_event_channel_op, vcpu_info};

use super::queues::{Drained, Queues};
use super::{Port, unmask, word};
use crate::error::{Errno, Result};
use crate::grant::{Frame, Memory, PAGE_SIZE, Page};
use crate::hypercall::{Hypercall, command};
use crate::shared::Shared;

/// Ports of a domain: so many can a link name.
pub const FIFO_PORTS: u32 = EVTCHN_FIFO_NR_CHANNELS;

const WORDS_PER_PAGE: u32 = (PAGE_SIZE / size_of::<event_word_t>()) as u32;
const MAX_PAGES: u32 = FIFO_PORTS / WORDS_PER_PAGE;

/// A vCPU's control block gets two cache lines of its own: other vCPUs write theirs all the time.
const CONTROL_STRIDE: usize = 128;
const CONTROLS_PER_PAGE: usize = PAGE_SIZE / CONTROL_STRIDE;
const _: () = assert!(size_of::<evtchn_fifo_control_block>() <= CONTROL_STRIDE);

/// The event array and the queues of all vCPUs.
///
/// The pages are Xen's for good: only `EVTCHNOP_reset`, which closes all ports, would return them.
pub struct Fifo {
    words: Words,
    queues: Vec<Queues>,
    /// The pages of the control blocks.
    controls: Vec<Given>,
}

/// A page that Xen was given: never dropped.
type Given = ManuallyDrop<Box<dyn Page + Sync>>;

fn given(page: impl Page + Sync + 'static) -> Given {
    ManuallyDrop::new(Box::new(page))
}

impl Fifo {
    /// Switches the domain to this ABI, with control blocks for vCPUs 0 to `vcpus` - 1, in pages
    /// from `pages`. Every port is masked.
    ///
    /// To be called before any port is bound. What is pending on ports that the toolstack had bound
    /// may be lost: look at their rings once.
    ///
    /// # Errors
    ///
    /// What Xen answers, `NOSYS` or `OPNOTSUPP` where it doesn't have this ABI, or `NOMEM` if
    /// `pages` has none. The domain has the 2-level ABI still.
    pub fn begin<P: Page + Sync + 'static>(
        hypercalls: &(impl Hypercall + ?Sized),
        vcpus: u32,
        mut pages: impl FnMut() -> Option<P>,
    ) -> Result<Self> {
        let count = (vcpus.max(1) as usize).div_ceil(CONTROLS_PER_PAGE);
        let controls: Vec<P> = (0..count).map(|_| pages().ok_or(Errno::NOMEM)).collect::<Result<_>>()?;
        let first = pages().ok_or(Errno::NOMEM)?;
        let mut queues = Vec::new();
        queues.try_reserve_exact(vcpus as usize).map_err(|_| Errno::NOMEM)?;
        let words = Words::new();
        for vcpu in 0..vcpus.max(1) {
            let Some(page) = controls.get(vcpu as usize / CONTROLS_PER_PAGE) else { break };
            match init_control(hypercalls, vcpu, page) {
                Ok(control) => queues.push(Queues::new(control)),
                Err(errno) if vcpu == 0 => return Err(errno),
                // Those before it have theirs: see `vcpus`.
                Err(_) => break,
            }
        }
        // Without its first page the array grows when the first port is opened.
        let _ = words.add(hypercalls, first);
        Ok(Self { words, queues, controls: controls.into_iter().map(given).collect() })
    }

    /// Switches a domain that was restored to this ABI again, with the same pages. Every port is masked.
    ///
    /// To be called before any port is bound, and while nobody takes events.
    ///
    /// # Errors
    ///
    /// What Xen answers: it does not have this ABI, or refuses a page. The domain has no events then.
    pub(super) fn resume(&self, hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
        for (vcpu, queues) in self.queues.iter().enumerate() {
            let page = self.controls.get(vcpu / CONTROLS_PER_PAGE).ok_or(Errno::INVAL)?;
            // At the same address as before.
            init_control(hypercalls, vcpu as u32, page.as_ref())?;
            queues.reset();
        }
        self.words.resume(hypercalls)
    }

    /// How many vCPUs, from 0 on, can be given ports. A vCPU without a control block loses events.
    pub fn vcpus(&self) -> u32 {
        self.queues.len() as u32
    }

    /// Makes the array long enough for `port`, with pages from `pages`.
    ///
    /// # Errors
    ///
    /// `NOMEM` if `pages` has none; else what Xen answers, `NOSPC` beyond [`FIFO_PORTS`].
    pub fn grow<P: Page + Sync + 'static>(
        &self,
        hypercalls: &(impl Hypercall + ?Sized),
        port: Port,
        mut pages: impl FnMut() -> Option<P>,
    ) -> Result<()> {
        while self.words.get(port).is_none() {
            self.words.add(hypercalls, pages().ok_or(Errno::NOMEM)?)?;
        }
        Ok(())
    }

    /// Keeps a port from interrupting. It still becomes pending.
    pub fn mask(&self, port: Port) {
        if let Some(place) = self.words.get(port) {
            word::mask(place.atomic());
        }
    }

    /// Lets a port interrupt from now on, unless its event has arrived: then takes that, leaves the
    /// port masked, and returns `true`.
    pub fn unmask_or_take(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port) -> bool {
        let Some(place) = self.words.get(port) else { return false };
        word::unmask_or_take(place.atomic()).unwrap_or_else(|word::Busy| {
            // Xen does it itself, and raises the event if it has arrived.
            let _ = unmask(hypercalls, port);
            false
        })
    }

    /// Lets a port interrupt from now on in any case; takes its event if it has arrived, and says
    /// so.
    pub fn unmask_and_take(&self, hypercalls: &(impl Hypercall + ?Sized), port: Port) -> bool {
        let Some(place) = self.words.get(port) else { return false };
        word::unmask_and_take(place.atomic()).unwrap_or_else(|word::Busy| {
            let _ = unmask(hypercalls, port);
            false
        })
    }

    /// Takes the port's event, if it has arrived.
    pub fn take_pending(&self, port: Port) -> bool {
        self.words.get(port).is_some_and(|place| word::take(place.atomic()))
    }

    /// Takes events that have arrived at `vcpu`, whose structure is `info`, highest priority first:
    /// for each, masks the port, clears its pending bit, and calls `arrived`.
    ///
    /// To be called by that vCPU only. Takes no more events than there are ports; if there may be
    /// more, the vCPU's flag is set when this returns, so that a sleep ends at once.
    pub fn take_all(&self, vcpu: u32, info: Shared<vcpu_info>, mut arrived: impl FnMut(Port)) {
        let Some(queues) = self.queues.get(vcpu as usize) else { return };
        let Some(flag) = info.field::<u8>(offset_of!(vcpu_info, evtchn_upcall_pending)) else { return };
        let mut budget = self.words.count();
        while flag.atomic().swap(0, Ordering::SeqCst) != 0 {
            fence(Ordering::SeqCst);
            if queues.drain(&self.words, &mut budget, &mut arrived) == Drained::More {
                flag.atomic().store(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// The event array: it grows, and never shrinks or moves.
pub(super) struct Words {
    pages: Vec<Once<WordPage>>,
    /// Pages that Xen has.
    count: AtomicU32,
    growing: Mutex<()>,
}

/// A page of the event array.
struct WordPage {
    memory: Memory,
    page: Given,
}

impl Words {
    fn new() -> Self {
        let pages = (0..MAX_PAGES).map(|_| Once::new()).collect();
        Self { pages, count: AtomicU32::new(0), growing: Mutex::new(()) }
    }

    /// The word of a port.
    pub(super) fn get(&self, port: Port) -> Option<Shared<event_word_t>> {
        let (page, index) = (port.0 / WORDS_PER_PAGE, (port.0 % WORDS_PER_PAGE) as usize);
        self.pages.get(page as usize)?.get()?.memory.field(index * size_of::<event_word_t>())
    }

    /// Ports that have a word; not less than a page holds.
    fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed).max(1) * WORDS_PER_PAGE
    }

    /// Gives Xen one more page, in which every port is masked.
    fn add<P: Page + Sync + 'static>(&self, hypercalls: &(impl Hypercall + ?Sized), page: P) -> Result<()> {
        let _growing = self.growing.lock();
        let count = self.count.load(Ordering::Relaxed);
        let place = self.pages.get(count as usize).ok_or(Errno::NOSPC)?;
        // SAFETY: the page is kept below, once Xen has it: its memory stays what it is. If Xen refuses it,
        // what is made of it here is gone before the page is.
        let memory = unsafe { page.memory() };
        give(hypercalls, memory, page.frame())?;
        place.call_once(|| WordPage { memory, page: given(page) });
        self.count.store(count + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives Xen all pages again.
    fn resume(&self, hypercalls: &(impl Hypercall + ?Sized)) -> Result<()> {
        let mut pages = self.pages.iter().map_while(Once::get);
        pages.try_for_each(|WordPage { memory, page }| give(hypercalls, *memory, page.frame()))
    }
}

/// Gives Xen a page of the array, in which every port is masked.
fn give(hypercalls: &(impl Hypercall + ?Sized), memory: Memory, frame: Frame) -> Result<()> {
    for index in 0..WORDS_PER_PAGE as usize {
        if let Some(word) = memory.field(index * size_of::<event_word_t>()) {
            word.write(word::MASKED);
        }
    }
    fence(Ordering::SeqCst);
    expand_array(hypercalls, frame)
}

/// Gives Xen the control block of `vcpu`, in `page`, which is one of several. The first one switches the
/// domain's ABI.
fn init_control(
    hypercalls: &(impl Hypercall + ?Sized),
    vcpu: u32,
    page: &(impl Page + ?Sized),
) -> Result<Shared<evtchn_fifo_control_block>> {
    let offset = vcpu as usize % CONTROLS_PER_PAGE * CONTROL_STRIDE;
    // SAFETY: `begin` keeps the pages for good before the value it returns can be used.
    let memory = unsafe { page.memory() };
    let control = memory.field::<evtchn_fifo_control_block>(offset).ok_or(Errno::INVAL)?;
    control.write(evtchn_fifo_control_block::default());
    let mut argument = evtchn_init_control {
        control_gfn: page.frame().0,
        offset: offset as u32,
        vcpu,
        ..Default::default()
    };
    // SAFETY: EVTCHNOP_init_control takes an evtchn_init_control. Xen writes the block from now on;
    // it is accessed as shared memory only.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_init_control, &mut argument)? };
    Ok(control)
}

fn expand_array(hypercalls: &(impl Hypercall + ?Sized), frame: Frame) -> Result<()> {
    let mut argument = evtchn_expand_array { array_gfn: frame.0 };
    // SAFETY: EVTCHNOP_expand_array takes an evtchn_expand_array. Xen writes the page from now on;
    // it is accessed as shared memory only.
    unsafe { command(hypercalls, __HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, &mut argument) }
        .map(drop)
}
