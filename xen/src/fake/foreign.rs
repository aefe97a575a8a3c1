// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypercalls that concern what other domains granted to this one.

use alloc::collections::{BTreeMap, BTreeSet};

use xen_sys::grant_table::*;
use xen_sys::xen::DOMID_SELF;

use super::memory::Store;
use super::{Call, FakeXen, Machine, State};
use crate::grant::copy::bytes::OwnMemory;
use crate::grant::{Frame, Memory, PAGE_SIZE};
use crate::shared::Shared;

/// Other domains, their grants to this one, and what it maps of them.
#[derive(Default)]
pub(super) struct Foreign {
    pub(super) domains: BTreeSet<u16>,
    /// By granter and reference.
    pub(super) grants: BTreeMap<(u16, u32), ForeignGrant>,
    mappings: BTreeMap<u32, Mapped>,
    next_handle: u32,
    /// Grants that there were.
    granted: u32,
    /// Pages of the test's own heap that were asked for as frames.
    heap: BTreeSet<u64>,
}

/// Pages of the test's own heap are frames numbered from here.
const HEAP: u64 = 1 << 52;

/// A grant of another domain's.
pub(super) struct ForeignGrant {
    pub(super) frame: u64,
    pub(super) read_only: bool,
    /// How often this domain has it mapped.
    pub(super) uses: u32,
}

struct Mapped {
    grant: (u16, u32),
    host_addr: u64,
}

const PAGE: u64 = PAGE_SIZE as u64;

impl Machine {
    pub(super) fn map_grant_ref(&self, argument: &mut gnttab_map_grant_ref) {
        let planned = self.planned_status(Call::grant(GNTTABOP_map_grant_ref));
        let mapped = match planned {
            Some(status) => Err(status.0),
            None => self.state().map(argument),
        };
        match mapped {
            Ok(handle) => {
                argument.handle = handle;
                argument.status = GNTST_okay;
            }
            Err(status) => argument.status = status,
        }
    }

    pub(super) fn unmap_grant_ref(&self, argument: &mut gnttab_unmap_grant_ref) {
        let planned = self.planned_status(Call::grant(GNTTABOP_unmap_grant_ref));
        let unmapped = match planned {
            Some(status) => Err(status.0),
            None => self.state().unmap(argument),
        };
        argument.status = unmapped.err().unwrap_or(GNTST_okay);
    }

    pub(super) fn copy(&self, argument: &mut gnttab_copy) {
        let planned = self.planned_status(Call::grant(GNTTABOP_copy));
        let copied = match planned {
            Some(status) => Err(status.0),
            None => self.state().copy(argument),
        };
        argument.status = copied.err().unwrap_or(GNTST_okay);
    }
}

impl State {
    fn map(&mut self, argument: &gnttab_map_grant_ref) -> Result<u32, i16> {
        let read_only = argument.flags & GNTMAP_readonly != 0;
        assert_eq!(argument.flags & !GNTMAP_readonly, GNTMAP_host_map, "strange flags");
        let key = (argument.dom, argument.r#ref);
        let frame = self.foreign.permitted(key, !read_only)?.frame;
        if !argument.host_addr.is_multiple_of(PAGE) || !self.memory.is_hole(argument.host_addr / PAGE) {
            return Err(GNTST_bad_virt_addr);
        }
        self.memory.place(frame, argument.host_addr / PAGE);
        Ok(self.foreign.note_mapping(key, argument.host_addr))
    }

    fn unmap(&mut self, argument: &gnttab_unmap_grant_ref) -> Result<(), i16> {
        let mapped = self.foreign.mappings.remove(&argument.handle).ok_or(GNTST_bad_handle)?;
        assert_eq!(mapped.host_addr, argument.host_addr, "unmapped somewhere else");
        self.memory.displace(mapped.host_addr / PAGE);
        if let Some(grant) = self.foreign.grants.get_mut(&mapped.grant) {
            grant.uses -= 1;
        }
        Ok(())
    }

    fn copy(&self, argument: &gnttab_copy) -> Result<(), i16> {
        let from = self.end(&argument.source, argument.flags & GNTCOPY_source_gref != 0, false)?;
        let to = self.end(&argument.dest, argument.flags & GNTCOPY_dest_gref != 0, true)?;
        for index in 0..usize::from(argument.len) {
            let from = from.field::<u8>(usize::from(argument.source.offset) + index);
            let to = to.field::<u8>(usize::from(argument.dest.offset) + index);
            to.ok_or(GNTST_bad_copy_arg)?.write(from.ok_or(GNTST_bad_copy_arg)?.read());
        }
        Ok(())
    }

    /// The page at one end of a copy.
    fn end(&self, end: &gnttab_copy_ptr, is_grant: bool, write: bool) -> Result<Memory, i16> {
        let frame = match (is_grant, end.domid) {
            (true, domain) => self.foreign.permitted((domain, end.u as u32), write)?.frame,
            (false, DOMID_SELF) if end.u >= HEAP => return self.foreign.heap(end.u),
            (false, DOMID_SELF) => end.u,
            (false, _) => return Err(GNTST_permission_denied),
        };
        self.memory.at(frame).ok_or(GNTST_bad_page)
    }
}

// SAFETY: only the frames that are named here are those of the heap, and each is found where it was.
unsafe impl OwnMemory for FakeXen {
    fn frame_of(&self, address: u64) -> Option<Frame> {
        let frame = HEAP + address / PAGE;
        self.state().foreign.heap.insert(frame);
        Some(Frame(frame))
    }
}

impl Foreign {
    /// A page of the heap, if it is known.
    fn heap(&self, frame: u64) -> Result<Memory, i16> {
        if !self.heap.contains(&frame) {
            return Err(GNTST_bad_page);
        }
        // SAFETY: whoever named it has the bytes that are copied, and does not look meanwhile.
        Ok(unsafe { Shared::at((frame - HEAP) * PAGE) })
    }

    fn permitted(&self, key: (u16, u32), write: bool) -> Result<&ForeignGrant, i16> {
        if !self.domains.contains(&key.0) {
            return Err(GNTST_bad_domain);
        }
        match self.grants.get(&key) {
            None => Err(GNTST_bad_gntref),
            Some(grant) if grant.read_only && write => Err(GNTST_general_error),
            Some(grant) => Ok(grant),
        }
    }

    fn note_mapping(&mut self, grant: (u16, u32), host_addr: u64) -> u32 {
        self.grants.entry(grant).and_modify(|grant| grant.uses += 1);
        self.next_handle += 1;
        self.mappings.insert(self.next_handle, Mapped { grant, host_addr });
        self.next_handle
    }

    /// A new grant of `domain`'s.
    pub(super) fn grant(&mut self, memory: &mut Store, domain: u16, read_only: bool) -> u32 {
        let reference = GNTTAB_NR_RESERVED_ENTRIES + self.granted;
        self.granted += 1;
        let grant = ForeignGrant { frame: memory.add_other(), read_only, uses: 0 };
        self.grants.insert((domain, reference), grant);
        reference
    }

    /// Ends a grant of `domain`'s that is not mapped.
    pub(super) fn withdraw(&mut self, domain: u16, reference: u32) -> bool {
        let key = (domain, reference);
        let unused = self.grants.get(&key).is_some_and(|grant| grant.uses == 0);
        if unused {
            self.grants.remove(&key);
        }
        unused
    }

    pub(super) fn check_for_leaks(&self) {
        if let Some(mapped) = self.mappings.values().next() {
            panic!("domain {}'s grant {} was left mapped", mapped.grant.0, mapped.grant.1);
        }
    }
}
