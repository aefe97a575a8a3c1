// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every finished image must be, checked on the file itself.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use object::elf::{ET_EXEC, PT_DYNAMIC, PT_INTERP, PT_TLS, SHT_DYNAMIC, SHT_REL, SHT_RELA};

use super::elf::{Elf, Segment};
use super::notes::{self, Note};
use super::{Image, command_line, disassembly, multiboot, symbols};

/// A check: a sentence, and what finds out whether it is true.
pub type Check = (&'static str, fn(&Subject) -> Result<()>);

/// All checks.
pub const CHECKS: [Check; 16] = [
    ("pv_notes_are_present_and_right", pv_notes),
    ("pvh_note_leads_into_code", pvh_note),
    ("entry_point_is_in_code", entry_point),
    ("no_segment_is_both_writable_and_executable", write_xor_execute),
    ("virtual_addresses_are_physical_addresses", identity_addresses),
    ("all_memory_lies_between_1_and_16_mib", low_addresses),
    ("multiboot_1_is_seen_by_grub_and_not_by_qemu", multiboot_1),
    ("multiboot_2_header_is_valid", multiboot_2),
    ("nothing_is_left_for_a_dynamic_linker", statically_linked),
    ("nothing_lives_in_the_red_zone", no_red_zone),
    ("nothing_of_std_is_linked", no_std),
    ("no_driver_that_the_application_does_not_use_is_linked", no_unused_driver),
    ("every_sleep_ends_with_interrupts_off", no_interrupts_after_sleep),
    ("only_what_is_loaded_is_left_in_the_file", stripped),
    ("the_symbol_table_names_the_entry_of_the_application", symbol_table),
    ("there_is_room_for_one_command_line", command_line_room),
];

/// An image under examination.
#[derive(Debug)]
pub struct Subject {
    image: Image,
    bytes: Vec<u8>,
}

impl Subject {
    /// Reads an image.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn read(image: &Image) -> Result<Self> {
        let bytes = fs::read(&image.file).with_context(|| format!("cannot read {}", image.file.display()))?;
        Ok(Self { image: image.clone(), bytes })
    }

    fn elf(&self) -> Result<Elf<'_>> {
        Elf::parse(&self.bytes)
    }

    fn loads(&self) -> Result<Vec<Segment>> {
        Ok(self.elf()?.segments().into_iter().filter(Segment::is_load).collect())
    }

    fn note(&self, kind: u32) -> Result<Note> {
        let notes = notes::of_elf(&self.elf()?)?;
        let mut found = notes.into_iter().filter(|note| note.owner == notes::XEN && note.kind == kind);
        let note = found.next().with_context(|| format!("there is no Xen note {kind}"))?;
        ensure!(found.next().is_none(), "there are several Xen notes {kind}");
        Ok(note)
    }

    fn number(&self, kind: u32) -> Result<u64> {
        self.note(kind)?.number().with_context(|| format!("Xen note {kind} is no number"))
    }

    fn text(&self, kind: u32) -> Result<String> {
        let note = self.note(kind)?;
        Ok(note.text().with_context(|| format!("Xen note {kind} is no text"))?.to_owned())
    }

    fn require_code(&self, address: u64, what: &str) -> Result<()> {
        let loads = self.loads()?;
        let code = loads.iter().any(|segment| segment.is_executable() && segment.contains(address));
        ensure!(code, "{what} {address:#x} is in no executable segment");
        Ok(())
    }
}

fn pv_notes(subject: &Subject) -> Result<()> {
    subject.require_code(subject.number(notes::XEN_ELFNOTE_ENTRY)?, "the PV entry")?;
    let page = subject.number(notes::XEN_ELFNOTE_HYPERCALL_PAGE)?;
    subject.require_code(page, "the hypercall page")?;
    subject.require_code(page + 4095, "the end of the hypercall page")?;
    ensure!(page % 4096 == 0, "the hypercall page {page:#x} is on no page boundary");
    ensure!(subject.number(notes::XEN_ELFNOTE_VIRT_BASE)? == 0, "VIRT_BASE is not 0");
    ensure!(subject.number(notes::XEN_ELFNOTE_PADDR_OFFSET)? == 0, "PADDR_OFFSET is not 0");
    ensure!(subject.text(notes::XEN_ELFNOTE_XEN_VERSION)? == "xen-3.0", "XEN_VERSION is not xen-3.0");
    ensure!(subject.text(notes::XEN_ELFNOTE_LOADER)? == "generic", "LOADER is not generic");
    ensure!(!subject.text(notes::XEN_ELFNOTE_GUEST_OS)?.is_empty(), "GUEST_OS is empty");
    subject.text(notes::XEN_ELFNOTE_FEATURES).map(drop)
}

fn pvh_note(subject: &Subject) -> Result<()> {
    subject.require_code(subject.number(notes::XEN_ELFNOTE_PHYS32_ENTRY)?, "the PVH entry")
}

fn entry_point(subject: &Subject) -> Result<()> {
    subject.require_code(subject.elf()?.entry(), "the entry point")
}

fn write_xor_execute(subject: &Subject) -> Result<()> {
    for segment in subject.loads()? {
        let both = segment.is_writable() && segment.is_executable();
        ensure!(!both, "the segment at {:#x} is writable and executable", segment.address);
    }
    Ok(())
}

fn identity_addresses(subject: &Subject) -> Result<()> {
    for segment in subject.loads()? {
        let (address, physical) = (segment.address, segment.physical);
        ensure!(address == physical, "the segment at {address:#x} has the physical address {physical:#x}");
    }
    Ok(())
}

fn low_addresses(subject: &Subject) -> Result<()> {
    let loads = subject.loads()?;
    ensure!(!loads.is_empty(), "nothing is loaded");
    for segment in loads {
        let (start, end) = (segment.address, segment.end());
        ensure!(start >= 1 << 20 && end <= 16 << 20, "the segment {start:#x}..{end:#x} is not in 1..16 MiB");
    }
    Ok(())
}

/// Where the linker script puts the Multiboot 1 header: the last place that GRUB looks at.
const MULTIBOOT_1_OFFSET: usize = 8180;

fn multiboot_1(subject: &Subject) -> Result<()> {
    let header = multiboot::first(&subject.bytes).context("there is no Multiboot 1 header")?;
    ensure!(header.is_valid, "the checksum of the Multiboot 1 header is wrong");
    let offset = header.offset;
    ensure!(offset == MULTIBOOT_1_OFFSET, "the Multiboot 1 header is at {offset}, not {MULTIBOOT_1_OFFSET}");
    ensure!(offset >= multiboot::QEMU_WINDOW, "QEMU sees the Multiboot 1 header and refuses the image");
    Ok(())
}

fn multiboot_2(subject: &Subject) -> Result<()> {
    let header = multiboot::second(&subject.bytes).context("there is no Multiboot 2 header")?;
    ensure!(header.is_valid, "the checksum of the Multiboot 2 header is wrong");
    Ok(())
}

fn statically_linked(subject: &Subject) -> Result<()> {
    let elf = subject.elf()?;
    ensure!(elf.kind() == ET_EXEC.0, "the image is no static executable");
    for segment in elf.segments() {
        let dynamic = [PT_DYNAMIC.0, PT_INTERP.0, PT_TLS.0].contains(&segment.kind);
        ensure!(!dynamic, "there is a program header of type {}", segment.kind);
    }
    let debug = subject.image.debug.as_ref().context("the link output is gone")?;
    let linked = fs::read(debug).context("cannot read the link output")?;
    for section in elf.sections().into_iter().chain(Elf::parse(&linked)?.sections()) {
        let dynamic = [SHT_DYNAMIC.0, SHT_REL.0, SHT_RELA.0].contains(&section.kind);
        ensure!(!dynamic, "the section {} is for a dynamic linker", section.name);
    }
    Ok(())
}

fn no_red_zone(subject: &Subject) -> Result<()> {
    let accesses = disassembly::red_zone_accesses(&subject.image.file)?;
    if let [first, ..] = accesses.as_slice() {
        bail!("{} instructions use the red zone: {first}", accesses.len());
    }
    Ok(())
}

fn no_interrupts_after_sleep(subject: &Subject) -> Result<()> {
    let sleeps = disassembly::after_sleeps(&subject.image.file)?;
    ensure!(!sleeps.is_empty(), "nothing sleeps");
    if let Some(next) = sleeps.iter().find(|next| *next != "cli") {
        bail!("a sleep with interrupts on is followed by {next:?}");
    }
    Ok(())
}

fn no_std(subject: &Subject) -> Result<()> {
    let debug = subject.image.debug.as_ref().context("the link output is gone")?;
    let symbols = symbols::Symbols::of_file(debug)?;
    let found = symbols.names().find(|name| name.starts_with("std::") || name.contains("<std::"));
    if let Some(name) = found {
        bail!("{name} is linked");
    }
    Ok(())
}

/// The images that are checked ask for no disks and no network.
fn no_unused_driver(subject: &Subject) -> Result<()> {
    const DRIVERS: [&str; 10] = [
        "block::blkfront",
        "block::ide",
        "block::ahci",
        "block::nvme",
        "virtio::disk",
        "virtio::scsi",
        "net::netfront",
        "net::e1000",
        "net::rtl8139",
        "virtio::network",
    ];
    let debug = subject.image.debug.as_ref().context("the link output is gone")?;
    let symbols = symbols::Symbols::of_file(debug)?;
    let is_driver = |name: &str| DRIVERS.iter().any(|driver| name.contains(driver));
    if let Some(name) = symbols.names().find(|name| is_driver(name)) {
        bail!("{name} is linked");
    }
    Ok(())
}

fn stripped(subject: &Subject) -> Result<()> {
    for section in subject.elf()?.sections() {
        let loaded = section.address != 0 || section.name == ".shstrtab";
        ensure!(loaded, "the section {} is not loaded, but in the file", section.name);
    }
    Ok(())
}

fn symbol_table(subject: &Subject) -> Result<()> {
    let elf = subject.elf()?;
    let segment = subject.loads()?.into_iter().next_back().context("nothing is loaded")?;
    let table = symbols::read_table(elf.content(&segment)?)?;
    ensure!(segment.file_size == segment.memory_size, "the symbol table is not wholly loaded");
    ensure!(table.is_sorted_by_key(|(address, _)| *address), "the symbols are not sorted");
    ensure!(table.last().is_some_and(|(_, name)| name.is_empty()), "the end of the code is not marked");
    let own = format!("{}::", subject.image.name);
    ensure!(table.iter().any(|(_, name)| name.contains(&own)), "no function of {own} is named");
    Ok(())
}

fn command_line_room(subject: &Subject) -> Result<()> {
    command_line::patch(&subject.image.file, "loglevel=debug").map(drop)
}
