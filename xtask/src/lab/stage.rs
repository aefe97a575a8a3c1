// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stage of the lab's build: a file or tree, and the stamp that says it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::progress::Step;

/// A cached product and the recipe it is made by.
#[derive(Clone, Debug)]
pub struct Stage {
    title: &'static str,
    product: PathBuf,
    stamp: String,
}

impl Stage {
    /// A stage that makes `product`; the recipe is everything that decides what comes out.
    pub fn new(title: &'static str, product: PathBuf, recipe: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in recipe {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self { title, product, stamp: hex(&hash.finalize()) }
    }

    /// What is made.
    pub fn product(&self) -> &Path {
        &self.product
    }

    /// The hash of the recipe; part of the recipes of the stages built upon this one.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// Whether the product was made whole, by this very recipe.
    pub fn is_done(&self) -> bool {
        let stamp = fs::read_to_string(self.stamp_file());
        stamp.is_ok_and(|stamp| stamp.trim() == self.stamp) && self.product.exists()
    }

    /// Runs `make` unless the stage is done.
    ///
    /// # Errors
    /// What `make` reports; the stage then counts as not done.
    pub fn ensure(&self, make: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        let step = Step::begin(self.title);
        self.forget()?;
        make().with_context(|| format!("lab: {} failed", self.title))?;
        fs::write(self.stamp_file(), &self.stamp).context("cannot write the lab's stamp")?;
        step.done();
        Ok(())
    }

    /// The stage in a line, for `scripts/lab status`.
    pub fn status(&self) -> String {
        let state = if self.is_done() { "ready" } else { "not made" };
        format!("{:44} {state}", self.title)
    }

    fn forget(&self) -> Result<()> {
        let _ = fs::remove_file(self.stamp_file());
        if self.product.is_dir() {
            fs::remove_dir_all(&self.product)
        } else if self.product.exists() {
            fs::remove_file(&self.product)
        } else {
            Ok(())
        }
        .with_context(|| format!("cannot remove the old {}", self.product.display()))
    }

    fn stamp_file(&self) -> PathBuf {
        self.product.with_added_extension("ok")
    }
}

/// `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_known_by_its_parts_and_their_borders() {
        let stamp = |recipe: &[&str]| Stage::new("t", "p".into(), recipe).stamp;
        assert_eq!(stamp(&["a", "b"]), stamp(&["a", "b"]));
        assert_ne!(stamp(&["a", "b"]), stamp(&["ab", ""]));
    }
}
