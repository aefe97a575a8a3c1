// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hypervisor to test against, stricter than Xen.
//!
//! [`FakeXen`] answers hypercalls as Xen does, and plays the other domains. It counts hypercalls,
//! refuses what it is told to refuse, and panics where Xen would let a mistake pass: a page given
//! up while a peer still uses it, an entry rewritten under a mapping, a frame of the table mapped
//! twice, and, when it is dropped, a grant or a mapping that nobody ended.
//!
//! Each value is a machine of its own. There is no `std` in it.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a fake stops the test that made the mistake"
)]
#![allow(non_upper_case_globals, reason = "xen-sys has the names of the headers")]

mod back_ring;
mod calls;
mod domain;
pub mod event_exercise;
mod events;
pub mod exercise;
mod fifo;
mod foreign;
mod front_ring;
mod grants;
mod memory;
mod page;
mod peer;
mod table;
mod two_level;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Deref;

use spin::{Mutex, MutexGuard};
use xen_sys::memory::{XENMEM_add_to_physmap, xen_add_to_physmap};
use xen_sys::xen::{
    __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op, __HYPERVISOR_memory_op, shared_info,
    vcpu_info,
};

use crate::DomainId;
use crate::event::Port;
use crate::grant::{Frame, Memory, Status, Table};
use crate::shared::Shared;
use crate::{Errno, Hypercall};

pub use back_ring::BackRing;
pub use calls::Call;
pub use front_ring::FrontRing;
pub use page::{FakeMapSlot, FakeMapper, FakePage};
pub use peer::{Peer, PeerMapping, PeerPage};

use calls::{Answer, Calls};
use domain::Domain;
use events::XenEvents;
use foreign::Foreign;
use memory::Store;
use table::XenTable;

/// What kind of domain the fake runs. It decides how the grant table is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The guest maps machine frames.
    Pv,
    /// The guest says where it wants frames to appear.
    Hvm,
}

/// A machine's properties.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Kind of domain.
    pub kind: Kind,
    /// Frames that the grant table may have.
    pub max_grant_frames: u32,
    /// Highest version that the grant table may have.
    pub max_grant_version: u32,
    /// Number of the domain's first frame.
    pub first_frame: u64,
    /// Virtual CPUs, 32 at most.
    pub vcpus: u32,
    /// The highest port that the domain may have.
    pub max_event_channels: u32,
    /// Whether the FIFO ABI of event channels is offered.
    pub fifo: bool,
}

impl Config {
    /// An HVM domain with one vCPU, on a machine like most.
    pub const USUAL: Self = Self {
        kind: Kind::Hvm,
        max_grant_frames: 4,
        max_grant_version: 2,
        first_frame: 0x1000,
        vcpus: 1,
        max_event_channels: 1023,
        fifo: true,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Frames of memory that a domain may have.
const MAX_FRAMES: u64 = 1 << 20;

/// A machine with a hypervisor, this domain, and as many others as are asked for.
pub struct FakeXen {
    machine: Arc<Machine>,
}

impl FakeXen {
    /// An HVM domain on a machine like most.
    #[allow(clippy::new_without_default, reason = "a machine is made on purpose")]
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// A machine as `config` says.
    pub fn with(config: Config) -> Self {
        let mut memory = Store::new(config.first_frame);
        let table = XenTable::new(&mut memory, config.max_grant_frames, config.max_grant_version);
        let events = XenEvents::new(&mut memory, config.vcpus, config.max_event_channels, config.fifo);
        let foreign = Foreign::default();
        let state =
            State { memory, table, foreign, events, has_table: false, forgiving: false, migrations: 0 };
        let machine =
            Machine { config, calls: Mutex::default(), domain: Mutex::default(), state: Mutex::new(state) };
        Self { machine: Arc::new(machine) }
    }

    /// The domain's grant table. There is one: asking twice panics.
    pub fn table(&self) -> Table<FakePage> {
        let before = core::mem::replace(&mut self.state().has_table, true);
        assert!(!before, "a domain has one grant table");
        let mapper = Box::new(FakeMapper::new(Arc::clone(&self.machine)));
        let highest = Frame(self.config.first_frame + MAX_FRAMES);
        // SAFETY: it is the only one, and the mapper maps what it is asked for.
        unsafe { Table::new(self, mapper, highest) }
    }

    /// Has the domain's grant table, `table`, go on after the domain has [migrated](Machine::migrate).
    ///
    /// # Errors
    ///
    /// What [`Table::resume`] gives.
    pub fn resume_grants(&self, table: &Table<FakePage>) -> crate::grant::Result<()> {
        let highest = Frame(self.config.first_frame + MAX_FRAMES);
        // SAFETY: there is one table, that of this machine.
        unsafe { table.resume(self, highest) }
    }

    /// A fresh page of the domain's, all zero.
    pub fn page(&self) -> FakePage {
        FakePage::new(Arc::clone(&self.machine))
    }

    /// Room in the domain's address space for a foreign page.
    pub fn place(&self) -> FakeMapSlot {
        FakeMapSlot::new(Arc::clone(&self.machine))
    }

    /// Another domain.
    pub fn peer(&self, domain: DomainId) -> Peer {
        Peer::new(Arc::clone(&self.machine), domain)
    }
}

impl Deref for FakeXen {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Hypercall for FakeXen {
    unsafe fn issue(&self, number: u64, arguments: [u64; 5]) -> i64 {
        // SAFETY: the caller's promise.
        unsafe { self.machine.issue(number, arguments) }
    }
}

impl Drop for FakeXen {
    fn drop(&mut self) {
        if !failing() {
            self.state().check_for_leaks();
        }
    }
}

/// What is behind a [`FakeXen`].
pub struct Machine {
    config: Config,
    calls: Mutex<Calls>,
    domain: Mutex<Domain>,
    state: Mutex<State>,
}

/// All that changes.
struct State {
    memory: Store,
    table: XenTable,
    foreign: Foreign,
    events: XenEvents,
    has_table: bool,
    forgiving: bool,
    /// Times that the domain was restored.
    migrations: u32,
}

impl Machine {
    /// Saves the domain and restores it elsewhere, at a moment at which none of its vCPUs does anything. All
    /// ports are closed and later ones have other numbers, `shared_info` and the grant table are empty, peers
    /// have nothing of the domain mapped, and parameters and timers are forgotten.
    pub fn migrate(&self) {
        let mut state = self.state();
        let State { memory, table, events, migrations, .. } = &mut *state;
        table.migrate(memory);
        events.migrate(memory);
        *migrations += 1;
        drop(state);
        *self.domain.lock() = Domain::default();
    }

    /// Has Xen forget the pages that events are kept in, as when the domain ends: they can be given
    /// back. Every port is closed.
    pub fn end_events(&self) {
        self.state().events.end();
    }

    /// How many hypercalls there were.
    pub fn hypercalls(&self) -> u64 {
        self.calls.lock().total()
    }

    /// How many there were of this kind.
    pub fn count(&self, call: Call) -> u64 {
        self.calls.lock().count(call)
    }

    /// Has the next call of this kind fail, before it did anything. More plans for the same kind
    /// are carried out one after the other.
    pub fn refuse(&self, call: Call, errno: Errno) {
        self.calls.lock().plan(call, Answer::Errno(errno));
    }

    /// Has the next operation of this kind fail, though the hypercall succeeds.
    pub fn fail(&self, call: Call, status: Status) {
        self.calls.lock().plan(call, Answer::Status(status));
    }

    /// Has calls of this kind fail from now on, as if this hypervisor did not have them.
    pub fn remove(&self, call: Call, errno: Errno) {
        self.calls.lock().remove(call, errno);
    }

    /// A frame of the domain's, as a device sees it; `None` if there is no such frame.
    pub fn frame(&self, frame: Frame) -> Option<Memory> {
        self.state().memory.at(frame.0)
    }

    /// The page that Xen shares with the domain.
    pub fn shared_info(&self) -> Shared<shared_info> {
        let state = self.state();
        state.events.shared_info(&state.memory)
    }

    /// What Xen shares of a vCPU.
    pub fn vcpu_info(&self, vcpu: u32) -> Shared<vcpu_info> {
        let state = self.state();
        state.events.vcpu_info(&state.memory, vcpu)
    }

    /// Whether a vCPU is told that there are events.
    pub fn has_upcall(&self, vcpu: u32) -> bool {
        self.vcpu_info(vcpu).read().evtchn_upcall_pending != 0
    }

    /// A port that the toolstack opens for the domain, to domain `remote`.
    pub fn toolstack_port(&self, remote: DomainId) -> Port {
        let mut state = self.state();
        let State { memory, events, .. } = &mut *state;
        Port(events.open_for_guest(memory, remote.0))
    }

    /// Ports that are open.
    pub fn open_ports(&self) -> usize {
        self.state().events.open_ports()
    }

    /// Lets this machine be dropped with grants and mappings left.
    pub fn forgive_leaks(&self) {
        self.state().forgiving = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The status that an operation of this kind is to fail with.
    fn planned_status(&self, call: Call) -> Option<Status> {
        self.calls.lock().take_status(call)
    }
}

impl Hypercall for Machine {
    unsafe fn issue(&self, number: u64, arguments: [u64; 5]) -> i64 {
        let [first, second, third, ..] = arguments;
        let command = first as u32;
        if let Err(errno) = self.calls.lock().begin(Call { number, command }) {
            return error(errno);
        }
        self.state().audit();
        match number {
            __HYPERVISOR_grant_table_op => self.grant_table_op(command, second, third),
            __HYPERVISOR_memory_op if command == XENMEM_add_to_physmap => {
                self.add_to_physmap(argument::<xen_add_to_physmap>(second, 0).read())
            }
            __HYPERVISOR_event_channel_op => self.event_channel_op(command, second),
            _ => self.domain_op(number, arguments),
        }
    }
}

impl State {
    fn audit(&mut self) {
        self.table.audit(&self.memory);
        self.events.audit(&self.memory);
    }

    fn check_for_leaks(&mut self) {
        self.audit();
        if !self.forgiving {
            self.table.check_for_leaks(&self.memory);
            self.foreign.check_for_leaks();
            self.events.check_for_leaks(&self.memory);
        }
    }
}

/// Element `index` of the array that a hypercall points to.
fn argument<T: Copy>(pointer: u64, index: u64) -> Shared<T> {
    // SAFETY: whoever issued the hypercall vouches for the pointer, and does not look meanwhile.
    unsafe { Shared::at(pointer + index * size_of::<T>() as u64) }
}

fn error(errno: Errno) -> i64 {
    -i64::from(errno.0)
}

/// Whether a test has failed already, and more complaints would only hide why.
fn failing() -> bool {
    #[cfg(test)]
    return std::thread::panicking();
    #[cfg(not(test))]
    return false;
}
