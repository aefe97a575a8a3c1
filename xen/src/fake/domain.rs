// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen keeps of the domain itself: its version and features, parameters, memory map, timers,
//! console, page-table entries, and how it ended.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use xen_sys::hvm::hvm_op::{HVMOP_get_param, HVMOP_set_param, xen_hvm_param};
use xen_sys::memory::{
    XENMEM_current_reservation, XENMEM_decrease_reservation, XENMEM_memory_map, XENMEM_populate_physmap,
    xen_memory_map, xen_memory_reservation,
};
use xen_sys::sched::{SCHEDOP_block, SCHEDOP_poll, SCHEDOP_shutdown, SCHEDOP_yield, sched_shutdown};
use xen_sys::vcpu::*;
use xen_sys::version::*;
use xen_sys::xen::*;

use super::memory::Store;
use super::{Kind, Machine, argument, error};
use crate::Errno;
use crate::memory::MAP_ENTRY_BYTES;
use crate::version::Features;

/// The version that the fake says it is.
const VERSION: i64 = 4 << 16 | 20;
/// vCPUs of the domain.
const VCPUS: u64 = 2;

/// What is kept.
#[derive(Default)]
pub(super) struct Domain {
    parameters: BTreeMap<u32, u64>,
    memory_map: Vec<u8>,
    pages: u64,
    /// How many there may be, if that is limited.
    max_pages: Option<u64>,
    timer: Option<u64>,
    console: String,
    mappings: BTreeMap<u64, u64>,
    shutdown: Option<u32>,
}

impl Machine {
    /// Sets a parameter (`HVM_PARAM_*`), as the toolstack does.
    pub fn set_parameter(&self, index: u32, value: u64) {
        self.domain.lock().parameters.insert(index, value);
    }

    /// Gives the domain so many pages.
    pub fn set_pages(&self, pages: u64) {
        self.domain.lock().pages = pages;
    }

    /// Lets the domain have so many pages at most.
    pub fn set_max_pages(&self, pages: u64) {
        self.domain.lock().max_pages = Some(pages);
    }

    /// Gives the domain `count` pages more, and returns their frames.
    pub fn populate(&self, count: u64) -> Vec<u64> {
        self.domain.lock().pages += count;
        let mut state = self.state();
        (0..count).map(|_| state.memory.add()).collect()
    }

    /// Sets the memory map: E820 entries of 20 bytes.
    pub fn set_memory_map(&self, map: &[u8]) {
        self.domain.lock().memory_map = map.to_vec();
    }

    /// What was written to Xen's own console.
    pub fn console(&self) -> String {
        self.domain.lock().console.clone()
    }

    /// When the one-shot timer of vCPU 0 goes off, if it is set.
    pub fn timer(&self) -> Option<u64> {
        self.domain.lock().timer
    }

    /// The page-table entry that maps `address`, if it was ever set (PV).
    pub fn mapping(&self, address: u64) -> Option<u64> {
        self.domain.lock().mappings.get(&address).copied()
    }

    /// How the domain ended (`SHUTDOWN_*`), if it did.
    pub fn shutdown_reason(&self) -> Option<u32> {
        self.domain.lock().shutdown
    }

    /// Answers what is asked of the domain itself.
    pub(super) fn domain_op(&self, number: u64, [first, second, third, ..]: [u64; 5]) -> i64 {
        let mut domain = self.domain.lock();
        let command = first as u32;
        match (number, self.config.kind) {
            (__HYPERVISOR_xen_version, kind) => version(command, second, kind),
            (__HYPERVISOR_memory_op, _) if command == XENMEM_memory_map => domain.fill_in_map(second),
            (__HYPERVISOR_memory_op, _) if command == XENMEM_current_reservation => domain.pages as i64,
            (__HYPERVISOR_memory_op, kind) if command == XENMEM_decrease_reservation => {
                domain.give_back(&mut self.state().memory, second, kind)
            }
            (__HYPERVISOR_memory_op, kind) if command == XENMEM_populate_physmap => {
                domain.populate(&mut self.state().memory, second, kind)
            }
            (__HYPERVISOR_hvm_op, Kind::Hvm) => domain.hvm_op(command, second),
            (__HYPERVISOR_update_va_mapping, Kind::Pv) => {
                domain.mappings.insert(first, second);
                0
            }
            (__HYPERVISOR_sched_op, _) => domain.sched_op(command, second),
            (__HYPERVISOR_vcpu_op, _) => domain.vcpu_op(command, second, third),
            (__HYPERVISOR_console_io, _) if command == CONSOLEIO_write => {
                let text: Vec<u8> = (0..second).map(|index| argument::<u8>(third, index).read()).collect();
                domain.console.push_str(&String::from_utf8_lossy(&text));
                0
            }
            _ => error(Errno::NOSYS),
        }
    }
}

fn version(command: u32, pointer: u64, kind: Kind) -> i64 {
    match command {
        XENVER_version => VERSION,
        XENVER_extraversion => {
            argument(pointer, 0).write(*b".2-fake\0\0\0\0\0\0\0\0\0");
            0
        }
        XENVER_get_features => {
            let place = argument::<xen_feature_info>(pointer, 0);
            let features = match (place.read().submap_idx, kind) {
                (0, Kind::Hvm) => Features::HVM_CALLBACK_VECTOR | Features::AUTO_TRANSLATED_PHYSMAP,
                (0, Kind::Pv) => Features::MMU_PT_UPDATE_PRESERVE_AD,
                _ => return error(Errno::INVAL),
            };
            place.write(xen_feature_info { submap: features.bits(), ..place.read() });
            0
        }
        _ => error(Errno::NOSYS),
    }
}

impl Domain {
    fn fill_in_map(&mut self, pointer: u64) -> i64 {
        let place = argument::<xen_memory_map>(pointer, 0);
        let mut request = place.read();
        let count = (self.memory_map.len() / MAP_ENTRY_BYTES).min(request.nr_entries as usize);
        for (index, byte) in self.memory_map.iter().take(count * MAP_ENTRY_BYTES).enumerate() {
            argument(request.buffer, index as u64).write(*byte);
        }
        request.nr_entries = count as _;
        place.write(request);
        0
    }

    /// Takes pages back, up to the first that is none.
    fn give_back(&mut self, memory: &mut Store, pointer: u64, kind: Kind) -> i64 {
        let request = argument::<xen_memory_reservation>(pointer, 0).read();
        let pages = 1 << request.extent_order;
        assert!(kind == Kind::Hvm || pages == 1, "machine frames of a PV domain are not contiguous");
        for index in 0..request.nr_extents {
            let start = argument::<u64>(request.extent_start, index).read();
            if !(start..start + pages).all(|frame| memory.has(frame)) {
                return index as i64;
            }
            (start..start + pages).for_each(|frame| memory.retire(frame));
            self.pages -= pages;
        }
        request.nr_extents as i64
    }

    /// Adds pages, up to the domain's limit.
    fn populate(&mut self, memory: &mut Store, pointer: u64, kind: Kind) -> i64 {
        let request = argument::<xen_memory_reservation>(pointer, 0).read();
        assert_eq!(request.extent_order, 0, "the fake knows single pages");
        for index in 0..request.nr_extents {
            if self.max_pages.is_some_and(|most| self.pages >= most) {
                return index as i64;
            }
            let extent = argument::<u64>(request.extent_start, index);
            match kind {
                Kind::Pv => extent.write(memory.add()),
                Kind::Hvm => memory.add_at(extent.read()),
            }
            self.pages += 1;
        }
        request.nr_extents as i64
    }

    fn hvm_op(&mut self, command: u32, pointer: u64) -> i64 {
        let place = argument::<xen_hvm_param>(pointer, 0);
        let mut request = place.read();
        assert_eq!(
            u32::from(request.domid),
            DOMID_SELF as u32,
            "a guest has no business with others' parameters"
        );
        match command {
            HVMOP_get_param => {
                request.value = self.parameters.get(&request.index).copied().unwrap_or(0);
                place.write(request);
                0
            }
            HVMOP_set_param => {
                self.parameters.insert(request.index, request.value);
                0
            }
            _ => error(Errno::NOSYS),
        }
    }

    /// A fake never sleeps: what waits is over at once.
    fn sched_op(&mut self, command: u32, pointer: u64) -> i64 {
        match command {
            SCHEDOP_yield | SCHEDOP_block | SCHEDOP_poll => 0,
            SCHEDOP_shutdown => {
                assert_eq!(self.shutdown, None, "a domain ends once");
                self.shutdown = Some(argument::<sched_shutdown>(pointer, 0).read().reason);
                0
            }
            _ => error(Errno::NOSYS),
        }
    }

    fn vcpu_op(&mut self, command: u32, vcpu: u64, pointer: u64) -> i64 {
        if vcpu >= VCPUS {
            return -i64::from(xen_sys::errno::XEN_ENOENT);
        }
        match command as _ {
            VCPUOP_is_up => i64::from(vcpu == 0),
            VCPUOP_stop_periodic_timer => 0,
            VCPUOP_stop_singleshot_timer | VCPUOP_set_singleshot_timer if vcpu != 0 => error(Errno::INVAL),
            VCPUOP_stop_singleshot_timer => {
                self.timer = None;
                0
            }
            VCPUOP_set_singleshot_timer => {
                self.timer = Some(argument::<vcpu_set_singleshot_timer>(pointer, 0).read().timeout_abs_ns);
                0
            }
            _ => error(Errno::NOSYS),
        }
    }
}
