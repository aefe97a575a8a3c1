// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the C headers say: compiles and runs the generated C program.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use crate::Facts;

/// The environment variable that names another include directory: the one that holds `xen/xen.h`.
pub const HEADERS: &str = "PRISM_XEN_HEADERS";

const PROGRAM: &str = include_str!(concat!(env!("OUT_DIR"), "/probe.c"));

/// The include directory to look for `xen/xen.h` in.
///
/// # Errors
///
/// If it is not there: which package to install.
pub fn include_directory() -> Result<PathBuf, String> {
    let directory = env::var_os(HEADERS).map_or_else(|| PathBuf::from("/usr/include"), PathBuf::from);
    if directory.join("xen/xen.h").is_file() {
        return Ok(directory);
    }
    Err(format!(
        "no Xen headers: {} has no xen/xen.h. Install the package libxen-dev, or set {HEADERS} to an include \
         directory that has it",
        directory.display()
    ))
}

/// Compiles the C program against the headers in `include`, in the folder `scratch`, and runs it.
///
/// # Errors
///
/// If there is no C compiler, which package to install; if the headers lack a name, what the
/// compiler says.
pub fn facts(include: &Path, scratch: &Path) -> Result<Facts, String> {
    let source = scratch.join("probe.c");
    let program = scratch.join("probe");
    fs::write(&source, PROGRAM).map_err(|error| format!("{}: {error}", source.display()))?;
    compile(include, &source, &program)?;
    let output = finished(Command::new(&program).output(), "the C program")?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn compile(include: &Path, source: &Path, program: &Path) -> Result<(), String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let result = Command::new(&compiler)
        .arg("-std=gnu11")
        .arg("-D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__")
        .arg("-I")
        .arg(include)
        .arg("-o")
        .arg(program)
        .arg(source)
        .output();
    if let Err(error) = &result
        && error.kind() == ErrorKind::NotFound
    {
        return Err(format!(
            "no C compiler: {compiler} is not there. Install the package gcc, or set CC to another"
        ));
    }
    let explanation = "the C compiler: the headers lack a name of xen-sys. It is misspelt there, or newer than the \
                       headers (add it to src/newer.rs), or C writes it otherwise (add it to generate/spelling.rs)";
    finished(result, explanation).map(drop)
}

fn finished(result: std::io::Result<Output>, what: &str) -> Result<Output, String> {
    let output = result.map_err(|error| format!("cannot start {what}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{what}\n{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn parse(text: &str) -> Result<Facts, String> {
    text.lines()
        .map(|line| {
            let (name, value) = line.split_once('\t').ok_or_else(|| format!("not a fact: {line}"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
