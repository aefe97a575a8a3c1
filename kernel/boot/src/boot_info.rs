// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one plain struct that the parser of every boot protocol fills.

use core::fmt;

use arrayvec::ArrayVec;

use crate::{CommandLine, Kind, MemoryMap, Notes, PhysRange, Text};

/// The boot protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BootProtocol {
    /// Xen's PV entry, with `start_info`.
    Pv,
    /// The PVH entry, with `hvm_start_info`: Xen, QEMU and other monitors.
    Pvh,
    /// Multiboot 1: GRUB, iPXE.
    Multiboot1,
    /// Multiboot 2: GRUB.
    Multiboot2,
}

impl BootProtocol {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pv => "PV",
            Self::Pvh => "PVH",
            Self::Multiboot1 => "Multiboot",
            Self::Multiboot2 => "Multiboot2",
        }
    }
}

impl fmt::Display for BootProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A module (initial RAM disk) that the loader put into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its address range, to the byte; not empty.
    pub range: PhysRange,
    /// Its text, often its file name.
    pub command_line: Text<128>,
}

/// A page shared with another domain and the event channel that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedRing {
    /// Machine frame number of the page.
    pub mfn: u64,
    /// Our end of the event channel.
    pub port: u32,
}

/// Where a PV initial domain finds the description of the screen (`dom0_vga_console_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dom0Console {
    /// Offset from the beginning of `start_info` in bytes.
    pub offset: u32,
    /// Length in bytes.
    pub length: u32,
}

/// What only a PV guest is told: where its bootstrap structures lie
/// (`xen/include/public/xen.h`, `struct start_info` and "Start-of-day memory layout").
///
/// Virtual addresses are also pseudo-physical ones: the image's VIRT_BASE is 0. Except where
/// [`BootInfo::notes`] says otherwise they are as Xen gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvLayout {
    /// Virtual address of `start_info`.
    pub start_info: u64,
    /// Frames the guest has; its pseudo-physical frames are 0 up to this.
    pub nr_pages: u64,
    /// *Machine* address of the shared info page.
    pub shared_info: u64,
    /// Virtual address of the top-level page table.
    pub pt_base: u64,
    /// Frames of bootstrap page tables, from `pt_base` on.
    pub nr_pt_frames: u64,
    /// Virtual address of the list of machine frame numbers, 8 bytes for each of `nr_pages`.
    pub mfn_list: u64,
    /// First pseudo-physical frame of that list, or 0 if it lies in the bootstrap mapping.
    pub first_p2m_pfn: u64,
    /// Frames that hold the list and the page tables mapping it.
    pub nr_p2m_frames: u64,
    /// The initial domain's screen.
    pub dom0_console: Option<Dom0Console>,
}

/// Never mapped, so that null pointers fault; never handed out, so that frame 0 can mean "none".
const NULL_PAGE: PhysRange = PhysRange::frames(0, 1);

/// Everything the loader told us, in one form for every front protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// The boot protocol.
    pub protocol: BootProtocol,
    /// Name of the boot loader; empty if it did not say.
    pub loader: Text<64>,
    /// The kernel's command line.
    pub command_line: CommandLine,
    /// The memory map. Empty if the loader gave none ([`crate::BootNote::NoMemoryMap`]); under Xen
    /// `XENMEM_memory_map` and [`crate::e820::parse`] can fill it.
    pub memory: MemoryMap,
    /// How many bytes of the highest usable memory there are not: the domain does not have them yet, and must
    /// not touch them.
    pub unpopulated: u64,
    /// Modules, in the loader's order.
    pub modules: ArrayVec<Module, 16>,
    /// The PV console ring, if the boot protocol tells (PV; HVM guests ask for `HVM_PARAM_CONSOLE_*`).
    pub console: Option<SharedRing>,
    /// The xenstore ring, if the boot protocol tells (PV; HVM guests ask for `HVM_PARAM_STORE_*`).
    pub store: Option<SharedRing>,
    /// Physical address of ACPI's root pointer structure, or of a copy.
    pub rsdp: Option<u64>,
    /// Whether this is the first domain, the one that owns the machine (`SIF_INITDOMAIN`).
    pub initial_domain: bool,
    /// Whether this domain may control others (`SIF_PRIVILEGED`).
    pub privileged: bool,
    /// All `SIF_*` flags as given; 0 for Multiboot.
    pub flags: u32,
    /// Bootstrap structures of a PV guest.
    pub pv: Option<PvLayout>,
    /// Suspicious values, to be logged once there is a log.
    pub notes: Notes,
    /// Pages that hold what the loader handed over (start info, lists, texts, modules, PV page
    /// tables, ...), and the null page: not to be handed out before they have been read.
    pub reserved: MemoryMap<64>,
}

impl BootInfo {
    /// Only the protocol; the null page is reserved.
    #[must_use]
    pub fn new(protocol: BootProtocol) -> Self {
        let mut reserved = MemoryMap::new();
        reserved.add(NULL_PAGE, Kind::Reserved);
        Self {
            protocol,
            loader: Text::new(),
            command_line: CommandLine::default(),
            memory: MemoryMap::new(),
            unpopulated: 0,
            modules: ArrayVec::new(),
            console: None,
            store: None,
            rsdp: None,
            initial_domain: false,
            privileged: false,
            flags: 0,
            pv: None,
            notes: Notes::default(),
            reserved,
        }
    }

    /// Notes that only `bytes` of the usable memory are there. What is beyond 256 times as much is left out
    /// of the map: a bit or two for each of its frames would be too much.
    pub fn leave_unpopulated(&mut self, bytes: u64) {
        const MOST: u64 = 256;
        let told = self.memory.total_usable();
        let excess = told.saturating_sub(bytes.saturating_mul(MOST));
        for range in self.memory.clone().highest(excess) {
            self.memory.add(range, Kind::Reserved);
        }
        self.unpopulated = self.memory.total_usable().saturating_sub(bytes);
    }

    /// Bytes of usable memory that the domain has.
    #[must_use]
    pub fn populated(&self) -> u64 {
        self.memory.total_usable().saturating_sub(self.unpopulated)
    }

    /// The memory map without the pages in [`Self::reserved`].
    #[must_use]
    pub fn free_memory(&self) -> MemoryMap {
        let mut free = self.memory.clone();
        for region in self.reserved.iter() {
            free.subtract(region.range);
        }
        free
    }
}

/// Boot stacks are small: keep the struct well under one.
const _: () = assert!(size_of::<BootInfo>() <= 12 * 1024);
