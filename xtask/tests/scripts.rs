// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scripts on machines that lack something and in a project of their own, and the program behind them.

use std::os::unix::fs::symlink;
use std::process::Command;

use prism_runner::project::Project;
use prism_runner::scratch::Scratch;

/// What a script says, and its status, where only these programs are; one may have another one's name.
fn with_programs(programs: &[&str]) -> (Option<i32>, String) {
    let (project, scratch) = (Project::find().unwrap(), Scratch::new().unwrap());
    for program in programs {
        let (program, name) = program.split_once(':').unwrap_or((program, program));
        symlink(format!("/usr/bin/{program}"), scratch.path().join(name)).unwrap();
    }
    let script = project.root().join("scripts/run");
    let output = Command::new(script).arg("--list").env("PATH", scratch.path()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_machine_without_rust_or_a_linker_is_told_what_to_install() {
    let (status, said) = with_programs(&["dirname"]);
    assert_eq!(
        (status, said.as_str()),
        (Some(2), "error: cargo is missing: install Rust, https://rustup.rs\n")
    );
    // Whatever stands for cargo: it is not run.
    let (status, said) = with_programs(&["dirname", "true:cargo"]);
    assert_eq!(
        (status, said.as_str()),
        (Some(2), "error: cc, which links, is missing: apt-get install gcc\n")
    );
}

#[test]
fn an_application_made_inside_belongs_to_the_project() {
    let (project, scratch) = (Project::find().unwrap(), Scratch::new().unwrap());
    let copy = scratch.path().join("project");
    let pack = format!(
        "mkdir {0} && tar -C {1} --exclude=target --exclude=.git -cf - . | tar -C {0} -xf -",
        copy.display(),
        project.root().display()
    );
    assert!(Command::new("sh").args(["-c", &pack]).status().unwrap().success());
    let runner = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prism-runner"));
        let output = command.args(words).env("PRISM_ROOT", &copy).current_dir(&copy).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = runner(&["new", "shop"]);
    assert!(status == Some(0) && said.contains("next: scripts/run shop --env pvh"), "{said}");
    let (_, list) = runner(&["run", "--list"]);
    assert!(list.contains("shop       shop: greets each client that asks for a page"), "{list}");
    assert_eq!(runner(&["new", "shop"]).0, Some(2));
    assert_eq!(runner(&["new", "docs/shop"]).0, Some(2));
}

#[test]
fn output_that_nobody_reads_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = Command::new(env!("CARGO_BIN_EXE_prism-runner"));
    let ended = program.arg("--help").stdout(writer).output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(141), &b""[..]));
}

#[test]
fn output_that_there_is_no_room_for_is_told() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_prism-runner"));
    let ended = program.arg("--help").stdout(full).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(said.starts_with("error: ") && said.contains("No space left on device"), "{said}");
}
