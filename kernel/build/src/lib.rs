// SPDX-License-Identifier: MIT OR Apache-2.0
//! Link settings of a Prism image, for an application's one-line build script:
//!
//! ```no_run
//! prism_build::link();
//! ```
//!
//! A library cannot hand link arguments to the programs that use it, so each image asks for
//! them itself. Nothing else of the build is special: stock stable Rust, the host's target.

use std::{env, fs, path::Path};

/// The linker script: one ELF with the layout that every boot protocol expects.
const SCRIPT: &str = include_str!("../../../linker/prism.ld");

/// What the image may not do without: exception frames are pushed right below the stack
/// pointer, so no code may keep data there.
const RED_ZONE_OFF: &str = "no-redzone=yes";

/// What a crash report may not do without: it finds callers by their frames.
const FRAME_POINTERS: &str = "force-frame-pointers=yes";

/// Prints the cargo instructions that link this package's binaries as a Prism image.
///
/// # Panics
///
/// If the build would produce an image that breaks at the first interrupt (the red zone is
/// on) or cannot tell who called whom, or if the linker script cannot be written.
pub fn link() {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for needed in [RED_ZONE_OFF, FRAME_POINTERS] {
        assert!(
            flags.contains(needed),
            "a Prism image needs `-C {needed}`: copy Prism's .cargo/config.toml into your workspace, \
             and don't set RUSTFLAGS, which replaces it"
        );
    }
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let script = Path::new(&directory).join("prism.ld");
    fs::write(&script, SCRIPT).unwrap_or_else(|error| panic!("cannot write {}: {error}", script.display()));

    let script = script.display().to_string();
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,noexecstack",
        "-T",
        &script,
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
