// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images: the ELF files that guests are started from, and how they are built and finished.

pub mod build;
mod cargo;
pub mod checks;
pub mod command_line;
pub mod config;
pub mod disassembly;
pub mod disk;
pub mod elf;
pub mod finish;
mod grammar;
pub mod lines;
pub mod multiboot;
pub mod notes;
pub mod panics;
pub mod symbols;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::lab::stage::hex;

/// A finished image: the very same file is started in every environment.
#[derive(Clone, Debug)]
pub struct Image {
    /// The application's name.
    pub name: String,
    /// The ELF file, by its absolute path.
    pub file: PathBuf,
    /// The unstripped link output, if the runner built the image.
    pub debug: Option<PathBuf>,
}

impl Image {
    /// The hash of the file, in hexadecimal.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let bytes = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        Ok(hex(&Sha256::digest(&bytes)))
    }
}
