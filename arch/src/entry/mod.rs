// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries of all boot protocols.
//!
//! | boot protocol | entry symbol | state | file |
//! |---|---|---|---|
//! | Xen PV | `pv_start` | 64-bit, ring 3, Xen's page tables | `pv.rs` |
//! | PVH note (Xen, QEMU, Cloud Hypervisor) | `pvh_start` | 32-bit, no paging | `hvm.rs` |
//! | Multiboot 1 and 2 (GRUB) | `multiboot_start` | 32-bit, no paging | `hvm.rs` |
//!
//! Secondary vCPUs enter by `secondary.rs`.
//!
//! A stub only switches to 64-bit Rust on our own stack. The kernel parses the loader's information, in one
//! place for all protocols.

mod hvm;
mod notes;
mod pv;
mod secondary;

use crate::cpu;

pub(crate) use hvm::BOOT_GDT;
pub use notes::embedded_command_line;
pub(crate) use secondary::secondary_start;

/// The boot protocol, as far as the entry stubs tell. Once the loader's information is read, the kernel has
/// its own type for it, `prism_boot::BootProtocol`: `arch` knows no parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryProtocol {
    /// Xen's PV domain builder; the information is a `start_info`.
    Pv,
    /// The PVH note; the information is an `hvm_start_info`.
    Pvh,
    /// A Multiboot 1 loader; the information is a Multiboot information structure.
    Multiboot1,
    /// A Multiboot 2 loader; the information is a list of tags.
    Multiboot2,
}

/// What an entry stub hands over.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The boot protocol.
    pub protocol: EntryProtocol,
    /// Address of the loader's information: virtual for [`EntryProtocol::Pv`], else physical (the same
    /// number under the identity map).
    pub information: u64,
}

/// `EAX` of a Multiboot 1 loader (Multiboot Specification 0.6.96, section 3.2).
const MULTIBOOT1_MAGIC: u32 = 0x2bad_b002;
/// `EAX` of a Multiboot 2 loader (Multiboot2 Specification 2.0, section 3.5).
const MULTIBOOT2_MAGIC: u32 = 0x36d7_6289;

/// Numbers that the stubs pass where no loader's magic number says it.
const FROM_PV: u32 = 1;
const FROM_PVH: u32 = 2;

unsafe extern "Rust" {
    /// The kernel's first function; the crate above defines it.
    safe fn prism_start_kernel(entry: Entry) -> !;
}

/// Where all stubs meet: 64-bit, on the boot stack, `.bss` zero, traps not yet installed.
extern "C" fn rust_entry(loader: u32, information: u64) -> ! {
    let protocol = match loader {
        FROM_PV => EntryProtocol::Pv,
        FROM_PVH => EntryProtocol::Pvh,
        MULTIBOOT1_MAGIC => EntryProtocol::Multiboot1,
        MULTIBOOT2_MAGIC => EntryProtocol::Multiboot2,
        // Started at the ELF entry by something that is no Multiboot loader: there is no
        // information to trust, and no console that we know of but this port.
        _ => {
            cpu::debug_port_write(b"prism: started by an unknown loader; use PVH, Multiboot or Xen PV\n");
            cpu::stop()
        }
    };
    prism_start_kernel(Entry { protocol, information })
}
