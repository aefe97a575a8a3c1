// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypercalls that concern the domain's own grant table.

use xen_sys::grant_table::*;
use xen_sys::memory::{
    XENMAPIDX_grant_table_status, XENMAPSPACE_grant_table, XENMEM_add_to_physmap, xen_add_to_physmap,
};
use xen_sys::xen::DOMID_SELF;

use super::{Call, Kind, Machine, argument, error};
use crate::Errno;

/// What an HVM domain is told of a frame that appears nowhere.
const NOWHERE: u64 = u64::MAX;

impl Machine {
    pub(super) fn grant_table_op(&self, command: u32, pointer: u64, count: u64) -> i64 {
        let done = match command {
            GNTTABOP_map_grant_ref => self.each(pointer, count, |argument| self.map_grant_ref(argument)),
            GNTTABOP_unmap_grant_ref => self.each(pointer, count, |argument| self.unmap_grant_ref(argument)),
            GNTTABOP_copy => self.each(pointer, count, |argument| self.copy(argument)),
            _ if count != 1 => Err(Errno::INVAL),
            GNTTABOP_setup_table => self.each(pointer, 1, |argument| self.setup_table(argument)),
            GNTTABOP_query_size => self.each(pointer, 1, |argument| self.query_size(argument)),
            GNTTABOP_get_version => self.each(pointer, 1, |argument| self.get_version(argument)),
            GNTTABOP_set_version => self.set_version(pointer),
            GNTTABOP_get_status_frames => self.each(pointer, 1, |argument| self.get_status_frames(argument)),
            _ => Err(Errno::NOSYS),
        };
        done.map_or_else(error, |()| 0)
    }

    /// Works through the array that a hypercall points to.
    fn each<T: Copy>(&self, pointer: u64, count: u64, operation: impl Fn(&mut T)) -> Result<(), Errno> {
        for index in 0..count {
            let place = argument::<T>(pointer, index);
            let mut value = place.read();
            operation(&mut value);
            place.write(value);
        }
        Ok(())
    }

    fn setup_table(&self, argument: &mut gnttab_setup_table) {
        assert_eq!(argument.dom, DOMID_SELF);
        let planned = self.planned_status(Call::grant(GNTTABOP_setup_table));
        let mut state = self.state();
        let state = &mut *state;
        if planned.is_some() || !state.table.grow(&mut state.memory, argument.nr_frames) {
            argument.status = planned.map_or(GNTST_general_error, |status| status.0);
            return;
        }
        self.list(&state.table.frames, argument.nr_frames, argument.frame_list, |frame| {
            state.memory.place_of(frame)
        });
        argument.status = GNTST_okay;
    }

    fn get_status_frames(&self, argument: &mut gnttab_get_status_frames) {
        assert_eq!(argument.dom, DOMID_SELF);
        let state = self.state();
        if argument.nr_frames as usize > state.table.status.len() {
            argument.status = GNTST_general_error;
            return;
        }
        self.list(&state.table.status, argument.nr_frames, argument.frame_list, |frame| {
            state.memory.place_of(frame)
        });
        argument.status = GNTST_okay;
    }

    /// Writes a list of frames: by their own numbers, or by where the guest has them appear.
    fn list(&self, frames: &[u64], count: u32, list: u64, place_of: impl Fn(u64) -> Option<u64>) {
        for (index, frame) in frames.iter().take(count as usize).enumerate() {
            let number = match self.config.kind {
                Kind::Pv => *frame,
                Kind::Hvm => place_of(*frame).unwrap_or(NOWHERE),
            };
            argument::<u64>(list, index as u64).write(number);
        }
    }

    fn query_size(&self, argument: &mut gnttab_query_size) {
        assert_eq!(argument.dom, DOMID_SELF);
        let state = self.state();
        argument.nr_frames = state.table.frames.len() as u32;
        argument.max_nr_frames = state.table.max_frames;
        argument.status = GNTST_okay;
    }

    fn get_version(&self, argument: &mut gnttab_get_version) {
        assert_eq!(argument.dom, DOMID_SELF);
        argument.version = self.state().table.version;
    }

    fn set_version(&self, pointer: u64) -> Result<(), Errno> {
        let place = argument::<gnttab_set_version>(pointer, 0);
        let mut state = self.state();
        let state = &mut *state;
        let result = match place.read().version {
            1 => panic!("version 1 is never to be asked for: some hypervisors do not know versions"),
            2 if state.table.max_version < 2 => Err(Errno::NOSYS),
            2 if state.table.version == 2 => Ok(()),
            2 => {
                state.table.check_for_leaks(&state.memory);
                state.table.switch_to_version_2(&mut state.memory);
                Ok(())
            }
            _ => Err(Errno::INVAL),
        };
        place.write(gnttab_set_version { version: state.table.version });
        result
    }

    pub(super) fn add_to_physmap(&self, argument: xen_add_to_physmap) -> i64 {
        assert_eq!(argument.domid, DOMID_SELF);
        if self.config.kind == Kind::Pv || argument.space != XENMAPSPACE_grant_table {
            return error(Errno::INVAL);
        }
        match self.place_table_frame(argument.idx, argument.gpfn) {
            Ok(()) => 0,
            Err(errno) => error(errno),
        }
    }

    fn place_table_frame(&self, index: u64, at: u64) -> Result<(), Errno> {
        let mut state = self.state();
        let state = &mut *state;
        let frame = if state.table.version == 2 && index & XENMAPIDX_grant_table_status != 0 {
            let index = (index & !XENMAPIDX_grant_table_status) as usize;
            state.table.status.get(index).copied()
        } else {
            let count = u32::try_from(index + 1).map_err(|_| Errno::INVAL)?;
            state.table.grow(&mut state.memory, count);
            state.table.frames.get(index as usize).copied()
        };
        let frame = frame.ok_or(Errno::INVAL)?;
        assert!(state.memory.place_of(frame).is_none(), "{XENMEM_add_to_physmap}: frame placed twice");
        state.memory.place(frame, at);
        Ok(())
    }
}
