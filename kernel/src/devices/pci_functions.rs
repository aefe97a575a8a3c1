// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PCI functions of the machine, which are looked for once: each access to configuration space leaves the
//! guest, and a bus takes a hundred of them.

use prism_drivers::pci::{self, Function};
use spin::Mutex;

use crate::ports::CpuPorts;

/// Functions that are remembered: a machine of QEMU's has about ten.
const MOST: usize = 32;

static FOUND: Mutex<Option<Found>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Found {
    functions: [Option<Function>; MOST],
    /// There are no others.
    are_all: bool,
}

impl Found {
    fn now() -> Self {
        let mut all = pci::functions(&CpuPorts);
        Self { functions: core::array::from_fn(|_| all.next()), are_all: all.next().is_none() }
    }
}

/// Every function that answers, in the order of [`pci::functions`]. Not for PV domains, which have no ports.
pub(crate) fn all() -> impl Iterator<Item = Function> {
    let Found { functions, are_all } = *FOUND.lock().get_or_insert_with(Found::now);
    let others = (!are_all).then(|| pci::functions(&CpuPorts).skip(MOST));
    functions.into_iter().flatten().chain(others.into_iter().flatten())
}

/// Has functions looked for again: some have gone, or come back.
pub(crate) fn forget() {
    *FOUND.lock() = None;
}
