// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other domains.

use alloc::sync::Arc;
use core::fmt;

use super::Machine;
use super::State;
use super::events::End;
use super::page::{bytes, memory_at, set};
use crate::DomainId;
use crate::Errno;
use crate::event::Port;
use crate::grant::{Memory, Reference, Status};
use crate::ring::RingPage;

/// Another domain: it uses this domain's grants, and grants pages of its own.
pub struct Peer {
    machine: Arc<Machine>,
    domain: u16,
}

impl Peer {
    pub(super) fn new(machine: Arc<Machine>, domain: DomainId) -> Self {
        machine.state().foreign.domains.insert(domain.0);
        Self { machine, domain: domain.0 }
    }

    /// Maps a page that this domain granted, for reading.
    ///
    /// # Errors
    ///
    /// The status that Xen would give.
    pub fn map_to_read(&self, reference: Reference) -> Result<PeerMapping, Status> {
        self.map(reference, false)
    }

    /// Maps a page that this domain granted, for reading and writing.
    ///
    /// # Errors
    ///
    /// The status that Xen would give.
    pub fn map_to_write(&self, reference: Reference) -> Result<PeerMapping, Status> {
        self.map(reference, true)
    }

    fn map(&self, reference: Reference, write: bool) -> Result<PeerMapping, Status> {
        let mut state = self.machine.state();
        let state = &mut *state;
        state.audit();
        let pinned = state.table.pin(&state.memory, reference.number(), self.domain, write);
        let frame = pinned.map_err(Status)?;
        Ok(PeerMapping {
            machine: Arc::clone(&self.machine),
            migrations: state.migrations,
            reference: reference.number(),
            frame,
            write,
        })
    }

    /// Grants a page that begins with `contents`, for reading.
    pub fn offer_to_read(&self, contents: &[u8]) -> Reference {
        self.offer(contents, true)
    }

    /// Grants a page that begins with `contents`, for reading and writing.
    pub fn offer_to_write(&self, contents: &[u8]) -> Reference {
        self.offer(contents, false)
    }

    fn offer(&self, contents: &[u8], read_only: bool) -> Reference {
        let number = {
            let mut state = self.machine.state();
            let state = &mut *state;
            state.foreign.grant(&mut state.memory, self.domain, read_only)
        };
        let reference = Reference::new(number).expect("not 0");
        set(memory_at(&self.machine, self.offered_frame(reference)), 0, contents);
        reference
    }

    /// `N` bytes of a page that it granted.
    pub fn offered<const N: usize>(&self, reference: Reference, offset: usize) -> [u8; N] {
        bytes(memory_at(&self.machine, self.offered_frame(reference)), offset)
    }

    /// A page that it granted, as it has it itself.
    pub fn page(&self, reference: Reference) -> PeerPage {
        PeerPage { machine: Arc::clone(&self.machine), reference, frame: self.offered_frame(reference) }
    }

    /// Ends the grant of a page; false, and nothing, while this domain has the page mapped.
    pub fn withdraw(&self, reference: Reference) -> bool {
        self.machine.state().foreign.withdraw(self.domain, reference.number())
    }

    /// How often this domain has a page mapped that it granted.
    pub fn uses(&self, reference: Reference) -> u32 {
        self.machine.state().foreign.grants[&(self.domain, reference.number())].uses
    }

    /// Connects to a port that this domain opened for it; `remote` is its own end.
    ///
    /// # Errors
    ///
    /// `EINVAL`, as Xen would answer it, if the port doesn't wait for this peer.
    pub fn connect(&self, port: Port, remote: Port) -> Result<(), Errno> {
        let mut state = self.machine.state();
        let channel = state.events.channel(port.0)?;
        if channel.end != (End::Unbound { domain: self.domain }) {
            return Err(Errno::INVAL);
        }
        channel.end = End::Connected { domain: self.domain, port: remote.0 };
        state.events.remote.insert((self.domain, remote.0), 0);
        Ok(())
    }

    /// Opens a port for this domain to connect to.
    pub fn open(&self, remote: Port) {
        self.machine.state().events.remote.insert((self.domain, remote.0), 0);
    }

    /// Raises an event at a port of this domain's that it is connected to.
    ///
    /// # Errors
    ///
    /// `EINVAL`, as Xen would answer it, if it is not.
    pub fn notify(&self, port: Port) -> Result<(), Errno> {
        let mut state = self.machine.state();
        let State { memory, events, .. } = &mut *state;
        match events.channel(port.0)?.end {
            End::Connected { domain, .. } if domain == self.domain => {
                events.raise(memory, port.0);
                Ok(())
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// Closes its end of a port: this domain's waits for it again.
    pub fn disconnect(&self, port: Port) {
        let mut state = self.machine.state();
        if let Ok(channel) = state.events.channel(port.0) {
            channel.end = End::Unbound { domain: self.domain };
        }
    }

    /// How often this domain has notified its port `remote`.
    pub fn heard(&self, remote: Port) -> u64 {
        self.machine.state().events.remote.get(&(self.domain, remote.0)).copied().unwrap_or(0)
    }

    fn offered_frame(&self, reference: Reference) -> u64 {
        self.machine.state().foreign.grants[&(self.domain, reference.number())].frame
    }
}

/// A page that a peer granted, as the peer has it.
pub struct PeerPage {
    machine: Arc<Machine>,
    reference: Reference,
    frame: u64,
}

impl PeerPage {
    /// The reference of its grant.
    pub fn reference(&self) -> Reference {
        self.reference
    }

    /// `N` bytes at `offset`.
    pub fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        bytes(memory_at(&self.machine, self.frame), offset)
    }

    /// Has the peer write.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        set(memory_at(&self.machine, self.frame), offset, bytes);
    }
}

// SAFETY: the machine keeps the memory of a peer's page in place, and it is used by copies only.
unsafe impl RingPage for PeerPage {
    unsafe fn memory(&self) -> Memory {
        memory_at(&self.machine, self.frame)
    }
}

/// A page of this domain's, mapped by a peer until this value is dropped.
pub struct PeerMapping {
    machine: Arc<Machine>,
    /// Of which of the domains that one was restored into it is.
    migrations: u32,
    reference: u32,
    frame: u64,
    write: bool,
}

impl PeerMapping {
    /// `N` bytes at `offset`, as the peer sees them.
    pub fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        bytes(memory_at(&self.machine, self.frame), offset)
    }

    /// Has the peer write.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(self.write, "mapped for reading only");
        set(memory_at(&self.machine, self.frame), offset, bytes);
    }
}

// SAFETY: while it is mapped, the machine keeps the memory in place, and it is used by copies only.
unsafe impl RingPage for PeerMapping {
    unsafe fn memory(&self) -> Memory {
        assert!(self.write, "mapped for reading only");
        memory_at(&self.machine, self.frame)
    }
}

impl Drop for PeerMapping {
    fn drop(&mut self) {
        let mut state = self.machine.state();
        let state = &mut *state;
        if self.migrations != state.migrations {
            return;
        }
        state.table.unpin(&state.memory, self.reference, self.write);
    }
}

impl fmt::Debug for PeerMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerMapping({} of frame {:#x})", self.reference, self.frame)
    }
}
