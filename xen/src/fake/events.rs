// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's side of event channels: who is at the other end, and the hypercalls
//! (`xen/common/event_channel.c`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem::offset_of;

use xen_sys::arch_x86::xen::XEN_LEGACY_MAX_VCPUS;
use xen_sys::event_channel::*;
use xen_sys::xen::{DOMID_SELF, shared_info, vcpu_info};

use super::fifo::XenFifo;
use super::memory::Store;
use super::{Machine, State, argument, error, two_level};
use crate::Errno;
use crate::grant::PAGE_SIZE;
use crate::shared::Shared;

/// The event channels of the domain.
pub(super) struct XenEvents {
    /// The frame of `shared_info`.
    frame: u64,
    vcpus: u32,
    /// The highest port that the domain may have.
    highest: u32,
    offers_fifo: bool,
    channels: BTreeMap<u32, Channel>,
    /// Ports of other domains that wait for this one, and how often they were notified.
    pub(super) remote: BTreeMap<(u16, u32), u64>,
    fifo: Option<XenFifo>,
    /// The lowest port that is opened. It differs between the domains that one is restored into.
    lowest: u32,
}

/// An open port.
pub(super) struct Channel {
    pub(super) end: End,
    vcpu: u32,
    priority: u32,
    /// An event that came when the FIFO ABI had no word for the port.
    pending: bool,
    leak: bool,
}

/// The other end of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Unbound { domain: u16 },
    Connected { domain: u16, port: u32 },
    Virq(u32),
    Ipi,
}

type Answer<T> = Result<T, Errno>;

impl XenEvents {
    pub(super) fn new(memory: &mut Store, vcpus: u32, highest: u32, offers_fifo: bool) -> Self {
        assert!((1..=XEN_LEGACY_MAX_VCPUS).contains(&vcpus), "as many as shared_info has room for");
        Self {
            frame: memory.add_other(),
            vcpus,
            highest,
            offers_fifo,
            channels: BTreeMap::new(),
            remote: BTreeMap::new(),
            fifo: None,
            lowest: 1,
        }
    }

    pub(super) fn shared_info(&self, memory: &Store) -> Shared<shared_info> {
        let page = memory.at(self.frame).expect("Xen's own");
        page.field(0).expect("smaller than a page")
    }

    pub(super) fn vcpu_info(&self, memory: &Store, vcpu: u32) -> Shared<vcpu_info> {
        assert!(vcpu < self.vcpus, "there is no vCPU {vcpu}");
        let offset = offset_of!(shared_info, vcpu_info) + vcpu as usize * size_of::<vcpu_info>();
        self.shared_info(memory).field(offset).expect("an element of the array")
    }

    /// Forgets the pages that events are kept in, as when the domain ends.
    pub(super) fn end(&mut self) {
        self.fifo = None;
    }

    /// Closes all ports, and begins with an empty `shared_info`, as that of a domain that is restored.
    pub(super) fn migrate(&mut self, memory: &Store) {
        self.end();
        self.channels.clear();
        self.remote.clear();
        self.lowest += 7;
        memory.at(self.frame).expect("Xen's own").write([0; PAGE_SIZE]);
    }

    /// Whether Xen writes to this frame because the guest gave it for events.
    pub(super) fn uses(&self, frame: u64) -> bool {
        self.fifo.as_ref().is_some_and(|fifo| fifo.uses(frame))
    }

    pub(super) fn open_ports(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn check_for_leaks(&self, memory: &Store) {
        if let Some(fifo) = &self.fifo {
            fifo.audit_words(memory);
        }
        let leaked = self.channels.iter().find(|(_, channel)| channel.leak);
        assert!(leaked.is_none(), "port {} was never closed", leaked.map_or(0, |(port, _)| *port));
    }

    pub(super) fn audit(&mut self, memory: &Store) {
        if let Some(fifo) = &mut self.fifo {
            fifo.audit(memory);
        }
    }

    /// A port that the toolstack opens for the guest, and that stays.
    pub(super) fn open_for_guest(&mut self, memory: &Store, domain: u16) -> u32 {
        let port = self.open(memory, End::Unbound { domain }, 0).expect("a free port");
        self.channels.get_mut(&port).expect("just opened").leak = false;
        port
    }

    fn open(&mut self, memory: &Store, end: End, vcpu: u32) -> Answer<u32> {
        if vcpu >= self.vcpus {
            return Err(Errno::NOENT);
        }
        let busy = |port| self.fifo.as_ref().is_some_and(|fifo| fifo.is_linked(memory, port));
        let port =
            (self.lowest..=self.highest).find(|port| !self.channels.contains_key(port) && !busy(*port));
        let port = port.ok_or(Errno::NOSPC)?;
        let priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
        self.channels.insert(port, Channel { end, vcpu, priority, pending: false, leak: true });
        Ok(port)
    }

    fn close(&mut self, memory: &Store, port: u32) -> Answer<()> {
        self.channels.remove(&port).ok_or(Errno::INVAL)?;
        match &self.fifo {
            Some(fifo) => {
                fifo.audit_words(memory);
                fifo.clear_pending(memory, port);
            }
            None => two_level::clear_pending(self.shared_info(memory), port),
        }
        Ok(())
    }

    pub(super) fn channel(&mut self, port: u32) -> Answer<&mut Channel> {
        self.channels.get_mut(&port).ok_or(Errno::INVAL)
    }

    /// Sets a port pending, as a notification from its other end does.
    pub(super) fn raise(&mut self, memory: &Store, port: u32) {
        let Some(channel) = self.channels.get_mut(&port) else { return };
        let (vcpu, priority) = (channel.vcpu, channel.priority);
        let upcall = match &mut self.fifo {
            Some(fifo) if fifo.has_word(port) => fifo.set_pending(memory, port, vcpu, priority),
            Some(_) => {
                channel.pending = true;
                false
            }
            None => {
                let (page, info) = (self.shared_info(memory), self.vcpu_info(memory, vcpu));
                two_level::set_pending(page, info, port)
            }
        };
        if upcall {
            self.call_up(memory, vcpu);
        }
    }

    fn call_up(&self, memory: &Store, vcpu: u32) {
        let info = self.vcpu_info(memory, vcpu);
        info.field::<u8>(offset_of!(vcpu_info, evtchn_upcall_pending)).expect("a field").write(1);
    }

    fn send(&mut self, memory: &Store, port: u32) -> Answer<()> {
        match self.channel(port)?.end {
            End::Ipi => self.raise(memory, port),
            End::Connected { domain, port } => *self.remote.entry((domain, port)).or_default() += 1,
            // Nobody is there to hear it.
            End::Unbound { .. } => {}
            End::Virq(_) => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn bind_virq(&mut self, memory: &Store, virq: u32, vcpu: u32) -> Answer<u32> {
        let taken = |channel: &Channel| matches!(channel.end, End::Virq(bound) if bound == virq && channel.vcpu == vcpu);
        if self.channels.values().any(taken) {
            return Err(Errno::EXIST);
        }
        self.open(memory, End::Virq(virq), vcpu)
    }

    fn bind_interdomain(&mut self, memory: &Store, domain: u16, remote: u32) -> Answer<u32> {
        if !self.remote.contains_key(&(domain, remote)) {
            return Err(Errno::INVAL);
        }
        let port = self.open(memory, End::Connected { domain, port: remote }, 0)?;
        self.raise(memory, port);
        Ok(port)
    }

    fn bind_vcpu(&mut self, port: u32, vcpu: u32) -> Answer<()> {
        if vcpu >= self.vcpus {
            return Err(Errno::NOENT);
        }
        let channel = self.channel(port)?;
        if matches!(channel.end, End::Ipi | End::Virq(_)) {
            return Err(Errno::INVAL);
        }
        channel.vcpu = vcpu;
        Ok(())
    }

    fn unmask(&mut self, memory: &Store, port: u32) -> Answer<()> {
        let vcpu = self.channel(port)?.vcpu;
        match &mut self.fifo {
            Some(fifo) => {
                if fifo.unmask(memory, port) {
                    self.raise(memory, port);
                }
            }
            None => {
                let (page, info) = (self.shared_info(memory), self.vcpu_info(memory, vcpu));
                if two_level::unmask(page, info, port) {
                    self.call_up(memory, vcpu);
                }
            }
        }
        Ok(())
    }

    fn init_control(&mut self, memory: &Store, control: evtchn_init_control) -> Answer<()> {
        if !self.offers_fifo {
            return Err(Errno::NOSYS);
        }
        if control.vcpu >= self.vcpus {
            return Err(Errno::NOENT);
        }
        let first = self.fifo.is_none();
        let mut fifo = self.fifo.take().unwrap_or_else(|| XenFifo::new(self.vcpus));
        let mapped = fifo.add_control(memory, control);
        if mapped.is_ok() || !first {
            self.fifo = Some(fifo);
        }
        if mapped.is_ok() && first {
            let page = self.shared_info(memory);
            for (port, channel) in &mut self.channels {
                channel.pending |= two_level::is_pending(page, *port);
            }
        }
        mapped
    }

    fn expand_array(&mut self, memory: &Store, frame: u64) -> Answer<()> {
        let fifo = self.fifo.as_mut().ok_or(Errno::OPNOTSUPP)?;
        let ports = fifo.add_page(memory, frame)?;
        let late: Vec<u32> =
            self.channels.iter().filter(|(_, channel)| channel.pending).map(|(port, _)| *port).collect();
        for port in late.into_iter().filter(|port| ports.contains(port)) {
            self.raise(memory, port);
        }
        Ok(())
    }

    fn set_priority(&mut self, port: u32, priority: u32) -> Answer<()> {
        let has_fifo = self.fifo.is_some();
        let channel = self.channel(port)?;
        if !has_fifo {
            return Err(Errno::NOSYS);
        }
        if priority > EVTCHN_FIFO_PRIORITY_MIN {
            return Err(Errno::INVAL);
        }
        channel.priority = priority;
        Ok(())
    }
}

impl Machine {
    pub(super) fn event_channel_op(&self, command: u32, pointer: u64) -> i64 {
        let mut state = self.state();
        let State { memory, events, .. } = &mut *state;
        match events.operate(memory, command, pointer) {
            Ok(()) => 0,
            Err(errno) => error(errno),
        }
    }
}

/// The argument of a command, read and with its results written back.
macro_rules! with {
    ($pointer:expr, |$argument:ident: $kind:ty| $body:expr) => {{
        let place = argument::<$kind>($pointer, 0);
        #[allow(unused_mut, reason = "some commands have no results")]
        let mut $argument = place.read();
        let answer = $body;
        place.write($argument);
        answer
    }};
}

impl XenEvents {
    fn operate(&mut self, memory: &Store, command: u32, pointer: u64) -> Answer<()> {
        match command {
            EVTCHNOP_send => with!(pointer, |it: evtchn_send| self.send(memory, it.port)),
            EVTCHNOP_close => with!(pointer, |it: evtchn_close| self.close(memory, it.port)),
            EVTCHNOP_unmask => with!(pointer, |it: evtchn_unmask| self.unmask(memory, it.port)),
            EVTCHNOP_bind_vcpu => {
                with!(pointer, |it: evtchn_bind_vcpu| self.bind_vcpu(it.port, it.vcpu))
            }
            EVTCHNOP_bind_ipi => with!(pointer, |it: evtchn_bind_ipi| {
                it.port = self.open(memory, End::Ipi, it.vcpu)?;
                Ok(())
            }),
            EVTCHNOP_bind_virq => with!(pointer, |it: evtchn_bind_virq| {
                it.port = self.bind_virq(memory, it.virq, it.vcpu)?;
                Ok(())
            }),
            EVTCHNOP_alloc_unbound => with!(pointer, |it: evtchn_alloc_unbound| {
                assert_eq!(it.dom, DOMID_SELF, "for itself");
                it.port = self.open(memory, End::Unbound { domain: it.remote_dom }, 0)?;
                Ok(())
            }),
            EVTCHNOP_bind_interdomain => with!(pointer, |it: evtchn_bind_interdomain| {
                it.local_port = self.bind_interdomain(memory, it.remote_dom, it.remote_port)?;
                Ok(())
            }),
            EVTCHNOP_init_control => with!(pointer, |it: evtchn_init_control| {
                it.link_bits = EVTCHN_FIFO_LINK_BITS as u8;
                self.init_control(memory, it)
            }),
            EVTCHNOP_expand_array => {
                with!(pointer, |it: evtchn_expand_array| self.expand_array(memory, it.array_gfn))
            }
            EVTCHNOP_set_priority => {
                with!(pointer, |it: evtchn_set_priority| self.set_priority(it.port, it.priority))
            }
            _ => Err(Errno::NOSYS),
        }
    }
}
