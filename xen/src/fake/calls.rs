// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which hypercalls there were, and which are to fail.

use alloc::collections::{BTreeMap, VecDeque};

use xen_sys::xen::{
    __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op, __HYPERVISOR_memory_op, __HYPERVISOR_sched_op,
};

use crate::Errno;
use crate::grant::Status;

/// A kind of hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Number of the hypercall (`__HYPERVISOR_*`).
    pub number: u64,
    /// Command, its first argument.
    pub command: u32,
}

impl Call {
    /// A command of the grant table's (`GNTTABOP_*`).
    pub const fn grant(command: u32) -> Self {
        Self { number: __HYPERVISOR_grant_table_op, command }
    }

    /// A command of the memory's (`XENMEM_*`).
    pub const fn memory(command: u32) -> Self {
        Self { number: __HYPERVISOR_memory_op, command }
    }

    /// A command of the event channels' (`EVTCHNOP_*`).
    pub const fn event(command: u32) -> Self {
        Self { number: __HYPERVISOR_event_channel_op, command }
    }

    /// A command of the scheduler's (`SCHEDOP_*`).
    pub const fn sched(command: u32) -> Self {
        Self { number: __HYPERVISOR_sched_op, command }
    }
}

/// How a call is to fail.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// The hypercall.
    Errno(Errno),
    /// One operation of it.
    Status(Status),
}

#[derive(Default)]
pub(super) struct Calls {
    counts: BTreeMap<Call, u64>,
    planned: BTreeMap<Call, VecDeque<Answer>>,
    removed: BTreeMap<Call, Errno>,
}

impl Calls {
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(super) fn count(&self, call: Call) -> u64 {
        self.counts.get(&call).copied().unwrap_or(0)
    }

    pub(super) fn plan(&mut self, call: Call, answer: Answer) {
        self.planned.entry(call).or_default().push_back(answer);
    }

    pub(super) fn remove(&mut self, call: Call, errno: Errno) {
        self.removed.insert(call, errno);
    }

    /// Counts a call, and says whether it is to fail.
    pub(super) fn begin(&mut self, call: Call) -> Result<(), Errno> {
        *self.counts.entry(call).or_default() += 1;
        if let Some(errno) = self.removed.get(&call) {
            return Err(*errno);
        }
        match self.planned.get(&call).and_then(VecDeque::front) {
            Some(Answer::Errno(errno)) => {
                let errno = *errno;
                self.drop_first(call);
                Err(errno)
            }
            _ => Ok(()),
        }
    }

    /// The status that the next operation is to fail with.
    pub(super) fn take_status(&mut self, call: Call) -> Option<Status> {
        match self.planned.get(&call).and_then(VecDeque::front) {
            Some(Answer::Status(status)) => {
                let status = *status;
                self.drop_first(call);
                Some(status)
            }
            _ => None,
        }
    }

    fn drop_first(&mut self, call: Call) {
        if let Some(answers) = self.planned.get_mut(&call) {
            answers.pop_front();
        }
    }
}
