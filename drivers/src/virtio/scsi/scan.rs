// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search for disks behind a controller.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use super::Failure;
use super::command::{Address, inquiry, listed, mode_sense, read_capacity, report_luns};
use super::controller::{Controller, DATA};
use crate::block::Geometry;
use crate::hal::{Interrupt, RingMemory};

/// Targets that are asked, at most, and units of each.
const MAX_TARGETS: u16 = 64;
const MAX_LUNS: usize = 32;
/// Disks of a controller that are used, at most.
pub const MAX_DISKS: usize = 26;

/// Lengths of what is asked for.
const HEAD: usize = 8;
const LUNS: usize = HEAD + 8 * MAX_LUNS;
const INQUIRY: usize = 36;
const CAPACITY: usize = 32;
const MODE: usize = 4;

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where it is.
    pub address: Address,
    /// Who made it, and what they call it.
    pub model: String,
    /// What it is like.
    pub geometry: Geometry,
}

/// Why a disk is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not tell what is to be known.
    Failed(Failure),
    /// It has no blocks, or claims to have more bytes than can be.
    Size,
    /// Its blocks are of so many bytes.
    BlockSize(u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Size => f.write_str("it has no blocks, or claims to have more bytes than can be"),
            Self::BlockSize(bytes) => {
                write!(f, "its blocks are of {bytes} bytes, and no power of two from 512 to 4096")
            }
        }
    }
}

impl core::error::Error for Unfit {}

/// What is not used of what is behind a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The disk at this address, or the whole target.
    Disk(Address, Unfit),
    /// The disks from this address on, so many: [`MAX_DISKS`] come before them.
    Disks(Address, usize),
    /// So many units of this target, behind the first that it lists.
    Units(u8, usize),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(address, unfit) => write!(f, "{address} not used: {unfit}"),
            Self::Disks(address, count) => {
                write!(f, "only the first {MAX_DISKS} disks used; {count} left out, from {address} on")
            }
            Self::Units(target, count) => {
                write!(f, "only the first {MAX_LUNS} units of target {target} used; {count} left out")
            }
        }
    }
}

impl<M: RingMemory, I: Interrupt> Controller<M, I> {
    /// The targets that there may be, and that are not asked.
    pub fn targets_left_out(&self) -> RangeInclusive<u16> {
        MAX_TARGETS..=self.last_target
    }

    /// The disks behind the controller that can be used, in the order of their addresses. `report` is told of
    /// others.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the controller is not to be used.
    pub async fn disks(&mut self, report: impl Fn(LeftOut)) -> Result<Vec<Disk>, Failure> {
        let found = self.scan(report).await;
        if found.as_ref().map_or(true, Vec::is_empty) {
            // Nobody takes its interrupts.
            self.give_up();
        }
        found
    }

    async fn scan(&mut self, report: impl Fn(LeftOut)) -> Result<Vec<Disk>, Failure> {
        let mut found = Vec::new();
        let mut too_many = None;
        let last = self.last_target.min(MAX_TARGETS - 1);
        for target in (0..=last).filter_map(|target| u8::try_from(target).ok()) {
            let (luns, more) = match self.luns(target).await {
                Ok(luns) => luns,
                Err(failure) if failure.is_final() => return Err(failure),
                Err(failure) => {
                    report(LeftOut::Disk(Address { target, lun: 0 }, Unfit::Failed(failure)));
                    continue;
                }
            };
            if more > 0 {
                report(LeftOut::Units(target, more));
            }
            for lun in luns {
                let address = Address { target, lun };
                match self.disk(address).await {
                    Ok(None) => {}
                    Ok(Some(_)) if found.len() == MAX_DISKS => too_many.get_or_insert((address, 0)).1 += 1,
                    Ok(Some(disk)) => found.push(disk),
                    Err(Unfit::Failed(failure)) if failure.is_final() => return Err(failure),
                    Err(unfit) => report(LeftOut::Disk(address, unfit)),
                }
            }
        }
        if let Some((first, count)) = too_many {
            report(LeftOut::Disks(first, count));
        }
        Ok(found)
    }

    /// The units of a target, none if there is no such target; and how many more it lists.
    async fn luns(&mut self, target: u8) -> Result<(Vec<u16>, usize), Failure> {
        let length = match self.ask(Address { target, lun: 0 }, report_luns(LUNS as u32), LUNS).await {
            Ok(length) => length,
            Err(Failure::NO_TARGET) => return Ok((Vec::new(), 0)),
            // It exists, but does not list its units.
            Err(Failure::Sense(_)) => return Ok((Vec::from([0]), 0)),
            Err(failure) => return Err(failure),
        };
        let mut list = [0; LUNS];
        self.memory().read(DATA, &mut list);
        let [a, b, c, d, ..] = list;
        let claimed = u32::from_be_bytes([a, b, c, d]) as usize;
        let count = claimed.min(length.saturating_sub(HEAD)) / 8;
        let (_, entries) = list.split_at(HEAD);
        let entries = entries.as_chunks().0.iter().take(count);
        let mut luns: Vec<u16> = entries.filter_map(|entry| listed(*entry)).collect();
        luns.sort_unstable();
        luns.dedup();
        Ok((luns, (claimed / 8).saturating_sub(MAX_LUNS)))
    }

    /// The disk at an address, if a disk is there.
    async fn disk(&mut self, address: Address) -> Result<Option<Disk>, Unfit> {
        const DISK: u8 = 0;
        self.ask(address, inquiry(INQUIRY as u8), INQUIRY).await.map_err(Unfit::Failed)?;
        let mut told = [0; INQUIRY];
        self.memory().read(DATA, &mut told);
        // The upper bits tell whether there is anything.
        let [kind, ..] = told;
        if kind != DISK {
            return Ok(None);
        }
        let model = text(told.get(8..32).unwrap_or_default());
        let length =
            self.ask(address, read_capacity(CAPACITY as u8), CAPACITY).await.map_err(Unfit::Failed)?;
        if length < 12 {
            return Err(Unfit::Failed(Failure::Short));
        }
        let mut told = [0; 12];
        self.memory().read(DATA, &mut told);
        let [last @ .., a, b, c, d] = told;
        let geometry = geometry(u64::from_be_bytes(last), u32::from_be_bytes([a, b, c, d]))?;
        let read_only = self.is_read_only(address).await?;
        Ok(Some(Disk { address, model, geometry: Geometry { read_only, ..geometry } }))
    }

    /// Whether a disk cannot be written. One that does not tell can.
    async fn is_read_only(&mut self, address: Address) -> Result<bool, Unfit> {
        const WRITE_PROTECTED: u8 = 1 << 7;
        match self.ask(address, mode_sense(MODE as u8), MODE).await {
            Err(failure) if failure.is_final() => return Err(Unfit::Failed(failure)),
            Err(_) => return Ok(false),
            Ok(_) => {}
        }
        let mut told = [0; MODE];
        self.memory().read(DATA, &mut told);
        let [_, _, flags, _] = told;
        Ok(flags & WRITE_PROTECTED != 0)
    }
}

/// What a disk is like whose last block is `last`.
fn geometry(last: u64, sector_size: u32) -> Result<Geometry, Unfit> {
    if !sector_size.is_power_of_two() || !(512..=4096).contains(&sector_size) {
        return Err(Unfit::BlockSize(sector_size));
    }
    let bytes = last.checked_add(1).and_then(|blocks| blocks.checked_mul(sector_size.into()));
    Ok(Geometry {
        bytes: bytes.ok_or(Unfit::Size)?,
        sector_size,
        read_only: false,
        removable: false,
        optical: false,
        discards: false,
    })
}

/// What can be printed of it.
fn text(bytes: &[u8]) -> String {
    let letters = bytes.iter().map(|byte| char::from(*byte));
    let text: String = letters.filter(|letter| matches!(letter, ' '..='~')).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
