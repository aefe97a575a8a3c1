// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the C program and the Rust table that the test compares.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "generate/c.rs"]
mod c;
#[path = "src/newer.rs"]
#[expect(dead_code, reason = "only the test looks at the releases")]
mod newer;
#[path = "generate/rust.rs"]
mod rust;
#[path = "generate/source.rs"]
mod source;
#[path = "generate/spelling.rs"]
mod spelling;

fn main() {
    if let Err(message) = generate() {
        println!("cargo::error={message}");
    }
}

fn generate() -> Result<(), String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xen/sys/src");
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-changed=generate");
    println!("cargo::rerun-if-changed=src/newer.rs");

    let bindings = source::read(&sources)?;
    spelling::check(&bindings)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    write(&out.join("probe.c"), &c::program(&bindings)?)?;
    write(&out.join("ours.rs"), &rust::table(&bindings)?)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
