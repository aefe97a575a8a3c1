// SPDX-License-Identifier: MIT OR Apache-2.0
//! All targets in one program: `FUZZ=http prism-fuzz` fuzzes one of them.

#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use prism_fuzz::Run;

#[path = "../targets"]
mod targets {
    pub(crate) mod backend_ring;
    pub(crate) mod blkfront;
    pub(crate) mod boot_acpi;
    pub(crate) mod boot_mp_table;
    pub(crate) mod boot_multiboot1;
    pub(crate) mod boot_multiboot2;
    pub(crate) mod boot_pv;
    pub(crate) mod boot_pvh;
    pub(crate) mod checksum;
    pub(crate) mod command_line;
    pub(crate) mod e820;
    pub(crate) mod events;
    pub(crate) mod frames;
    pub(crate) mod grants;
    pub(crate) mod http;
    pub(crate) mod netback;
    pub(crate) mod netfront;
    pub(crate) mod network_boundary;
    pub(crate) mod partitions;
    pub(crate) mod ring;
    pub(crate) mod router;
    pub(crate) mod symbols;
    pub(crate) mod terminal;
    pub(crate) mod virtio;
    pub(crate) mod virtio_scsi;
    pub(crate) mod xenstore;
}

/// Each with its name.
const TARGETS: &[(&str, Run)] = &[
    ("backend_ring", targets::backend_ring::fuzz),
    ("blkfront", targets::blkfront::fuzz),
    ("boot_acpi", targets::boot_acpi::fuzz),
    ("boot_mp_table", targets::boot_mp_table::fuzz),
    ("boot_multiboot1", targets::boot_multiboot1::fuzz),
    ("boot_multiboot2", targets::boot_multiboot2::fuzz),
    ("boot_pv", targets::boot_pv::fuzz),
    ("boot_pvh", targets::boot_pvh::fuzz),
    ("checksum", targets::checksum::fuzz),
    ("command_line", targets::command_line::fuzz),
    ("e820", targets::e820::fuzz),
    ("events", targets::events::fuzz),
    ("frames", targets::frames::fuzz),
    ("grants", targets::grants::fuzz),
    ("http", targets::http::fuzz),
    ("netback", targets::netback::fuzz),
    ("netfront", targets::netfront::fuzz),
    ("network_boundary", targets::network_boundary::fuzz),
    ("partitions", targets::partitions::fuzz),
    ("ring", targets::ring::fuzz),
    ("router", targets::router::fuzz),
    ("symbols", targets::symbols::fuzz),
    ("terminal", targets::terminal::fuzz),
    ("virtio", targets::virtio::fuzz),
    ("virtio_scsi", targets::virtio_scsi::fuzz),
    ("xenstore", targets::xenstore::fuzz),
];

/// The one that the environment names.
static CHOSEN: LazyLock<Run> = LazyLock::new(|| {
    let name = env::var("FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("FUZZ={name} is none of {:?}", TARGETS.iter().map(|(name, _)| name))).1
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    if CHOSEN(bytes) { Corpus::Keep } else { Corpus::Reject }
});
