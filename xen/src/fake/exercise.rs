// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of operations on a grant table and by a peer, each step checked against a model that does
//! the same the slow and obvious way. Property tests and fuzzers make up the lists.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Config, FakePage, FakeXen, Peer, PeerMapping};
use crate::DomainId;
use crate::grant::{
    Error, FreeRef, Granted, InUse, NotGranted, ReadOnly, ReadWrite, Reference, Table, Version,
};

/// One thing that happens. Numbers choose among what there is, whatever their size.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// A page is granted for reading.
    GrantToRead,
    /// A page is granted for reading and writing.
    GrantToWrite,
    /// A grant is ended.
    End(u8),
    /// A grant is dropped.
    Drop(u8),
    /// The peer maps a page for reading.
    MapToRead(u8),
    /// The peer maps a page for reading and writing.
    MapToWrite(u8),
    /// The peer unmaps a page.
    Unmap(u8),
    /// The quarantine is looked through.
    Retry,
    /// So many references are taken and not used.
    Reserve(u8),
    /// What one [`Reserve`](Self::Reserve) took is given back.
    Unreserve(u8),
}

impl From<[u8; 2]> for Operation {
    fn from([code, number]: [u8; 2]) -> Self {
        match code % 10 {
            0 => Self::GrantToRead,
            1 => Self::GrantToWrite,
            2 => Self::End(number),
            3 => Self::Drop(number),
            4 => Self::MapToRead(number),
            5 => Self::MapToWrite(number),
            6 => Self::Unmap(number),
            7 => Self::Retry,
            8 => Self::Reserve(number),
            _ => Self::Unreserve(number),
        }
    }
}

/// Carries the operations out on a fresh machine. At the end everything is given back, and
/// nothing must be left.
pub fn run(config: Config, operations: impl IntoIterator<Item = Operation>) {
    let xen = FakeXen::with(config);
    let table = xen.table();
    let mut exercise = Exercise::new(&xen, &table, config);
    for operation in operations {
        exercise.step(operation);
        exercise.check();
    }
    exercise.finish();
    assert!(table.report().is_idle(), "{}", table.report());
}

const PEER: DomainId = DomainId(7);

struct Exercise<'t> {
    xen: &'t FakeXen,
    table: &'t Table<FakePage>,
    peer: Peer,
    /// References that a table of full size has.
    capacity: usize,
    live: Vec<Live<'t>>,
    quarantined: BTreeSet<Reference>,
    mapped: Vec<(Reference, PeerMapping)>,
    reserved: Vec<Vec<FreeRef<'t, FakePage>>>,
}

enum Live<'t> {
    ToRead(Granted<'t, FakePage, ReadOnly>),
    ToWrite(Granted<'t, FakePage, ReadWrite>),
}

impl Live<'_> {
    fn reference(&self) -> Reference {
        match self {
            Self::ToRead(granted) => granted.reference(),
            Self::ToWrite(granted) => granted.reference(),
        }
    }

    fn end(self) -> Result<FakePage, InUse> {
        match self {
            Self::ToRead(granted) => granted.end(),
            Self::ToWrite(granted) => granted.end(),
        }
    }

    fn write(&self, bytes: &[u8]) {
        match self {
            Self::ToRead(granted) => granted.write(0, bytes),
            Self::ToWrite(granted) => granted.write(0, bytes),
        }
        .expect("inside the page");
    }
}

impl<'t> Exercise<'t> {
    fn new(xen: &'t FakeXen, table: &'t Table<FakePage>, config: Config) -> Self {
        let version = table.report().version;
        let entries = version.entries_per_frame() * config.max_grant_frames;
        Self {
            xen,
            table,
            peer: xen.peer(PEER),
            capacity: entries as usize - 8,
            live: Vec::new(),
            quarantined: BTreeSet::new(),
            mapped: Vec::new(),
            reserved: Vec::new(),
        }
    }

    fn step(&mut self, operation: Operation) {
        let before = self.xen.hypercalls();
        match operation {
            Operation::GrantToRead => {
                let granted = self.table.try_grant(self.xen.page(), PEER).map(Live::ToRead);
                return self.granted(granted);
            }
            Operation::GrantToWrite => {
                let granted = self.table.try_grant(self.xen.page(), PEER).map(Live::ToWrite);
                return self.granted(granted);
            }
            Operation::Reserve(count) => return self.reserve(count.into()),
            Operation::Unreserve(which) => drop(take(&mut self.reserved, which)),
            Operation::End(which) => self.end(which),
            Operation::Drop(which) => self.drop(which),
            Operation::MapToRead(which) => self.map_to_read(which),
            Operation::MapToWrite(which) => self.map_to_write(which),
            Operation::Unmap(which) => self.unmap(which),
            Operation::Retry => self.retry(),
        }
        assert_eq!(self.xen.hypercalls(), before, "only growing takes hypercalls");
    }

    /// What is true after every step.
    fn check(&self) {
        let report = self.table.report();
        assert_eq!(report.granted as usize, self.live.len());
        assert_eq!(report.quarantined as usize, self.quarantined.len());
        assert_eq!(report.references as usize, report.free as usize + self.in_use());
        assert_eq!((report.abandoned, report.waiting), (0, 0));
        assert!(report.peak >= report.granted && report.frames <= report.limit);
    }

    fn in_use(&self) -> usize {
        let reserved: usize = self.reserved.iter().map(Vec::len).sum();
        self.live.len() + self.quarantined.len() + reserved
    }

    fn is_mapped(&self, reference: Reference) -> bool {
        self.mapped.iter().any(|(mapped, _)| *mapped == reference)
    }

    fn granted(&mut self, granted: Result<Live<'t>, NotGranted<FakePage>>) {
        self.note_taking(granted.is_ok());
        match granted {
            Ok(granted) => {
                self.check_reference(granted.reference());
                granted.write(&stamp(granted.reference()));
                self.live.push(granted);
            }
            Err(refused) => assert_eq!(refused.error, Error::Full),
        }
    }

    fn reserve(&mut self, count: usize) {
        self.reserved.push(Vec::new());
        for _ in 0..count {
            let free_ref = self.table.free_ref();
            self.note_taking(free_ref.is_ok());
            match free_ref {
                Ok(free_ref) => {
                    self.check_reference(free_ref.reference());
                    self.reserved.last_mut().expect("just pushed").push(free_ref);
                }
                Err(error) => return assert_eq!(error, Error::Full),
            }
        }
    }

    /// When nothing is free, the table looks through its quarantine before it says no.
    fn note_taking(&mut self, taken: bool) {
        if self.in_use() == self.capacity {
            self.quarantined.retain(|reference| self.mapped.iter().any(|(mapped, _)| mapped == reference));
        }
        assert_eq!(taken, self.in_use() < self.capacity);
    }

    fn check_reference(&self, reference: Reference) {
        assert!(reference.number() >= 8);
        let reserved = self.reserved.iter().flatten().map(FreeRef::reference);
        let mut taken = self.live.iter().map(Live::reference).chain(reserved);
        assert!(taken.all(|other| other != reference), "reference {reference} was handed out twice");
        assert!(!self.is_mapped(reference), "reference {reference} was reused under a mapping");
    }

    fn end(&mut self, which: u8) {
        let Some(granted) = take(&mut self.live, which) else { return };
        let reference = granted.reference();
        match granted.end() {
            Ok(page) => {
                assert!(!self.is_mapped(reference), "a page came back under a mapping");
                assert_eq!(page.bytes(0), stamp(reference));
            }
            Err(in_use) => {
                assert!(self.is_mapped(reference), "a page was kept though nobody uses it");
                assert_eq!(in_use, InUse { reference });
                self.quarantined.insert(reference);
            }
        }
    }

    fn drop(&mut self, which: u8) {
        let Some(granted) = take(&mut self.live, which) else { return };
        if self.is_mapped(granted.reference()) {
            self.quarantined.insert(granted.reference());
        }
    }

    /// A granted page, and whether the peer may write it; or one in quarantine.
    fn choose(&self, which: u8) -> Option<(Reference, Option<bool>)> {
        let live = self.live.iter().map(|live| (live.reference(), Some(matches!(live, Live::ToWrite(_)))));
        let all: Vec<_> = live.chain(self.quarantined.iter().map(|reference| (*reference, None))).collect();
        all.get(usize::from(which) % all.len().max(1)).copied()
    }

    fn map_to_read(&mut self, which: u8) {
        let Some((reference, writable)) = self.choose(which) else { return };
        let mapping = self.peer.map_to_read(reference);
        assert!(mapping.is_ok() || writable.is_none());
        self.mapped.extend(mapping.ok().map(|mapping| (reference, mapping)));
    }

    fn map_to_write(&mut self, which: u8) {
        let Some((reference, writable)) = self.choose(which) else { return };
        let mapping = self.peer.map_to_write(reference);
        assert!(writable.is_none_or(|writable| writable == mapping.is_ok()));
        self.mapped.extend(mapping.ok().map(|mapping| (reference, mapping)));
    }

    /// As long as it is mapped, the peer finds in the page what was there for it.
    fn unmap(&mut self, which: u8) {
        let Some((reference, mapping)) = take(&mut self.mapped, which) else { return };
        assert_eq!(mapping.read(0), stamp(reference));
    }

    fn retry(&mut self) {
        let before = self.quarantined.len();
        self.quarantined.retain(|reference| self.mapped.iter().any(|(mapped, _)| mapped == reference));
        assert_eq!(self.table.retry_quarantine() as usize, before - self.quarantined.len());
    }

    fn finish(self) {
        let Self { table, mapped, live, reserved, .. } = self;
        drop((mapped, live, reserved));
        table.retry_quarantine();
    }
}

/// What is written into a page.
fn stamp(reference: Reference) -> [u8; 4] {
    reference.number().to_le_bytes()
}

fn take<T>(items: &mut Vec<T>, which: u8) -> Option<T> {
    let index = usize::from(which) % items.len().max(1);
    (index < items.len()).then(|| items.swap_remove(index))
}

/// Machines that differ in what matters to grants: version 1 and 2, PV and HVM.
pub fn machines() -> [Config; 4] {
    use super::Kind::{Hvm, Pv};
    let machine = |kind, version| Config {
        kind,
        max_grant_frames: 2,
        first_frame: if version == Version::V2 { 1 << 33 } else { 0x1000 },
        ..Config::default()
    };
    [machine(Hvm, Version::V1), machine(Pv, Version::V1), machine(Hvm, Version::V2), machine(Pv, Version::V2)]
}
