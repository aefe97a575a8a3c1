// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people do with applications of their own, and how it fails. Ignored by default: it needs the lab.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use prism_runner::project::Project;
use prism_runner::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to be reached, its build included.
const REACHED: Duration = Duration::from_secs(600);
/// How often that is tried.
const RETRY: Duration = Duration::from_millis(500);

/// Seconds that a server is given: it is ready long before, on a host with little time for it too.
const SERVES: &str = "60";

/// A place outside of the project where applications are made.
struct Outside {
    project: Project,
    scratch: Scratch,
}

impl Outside {
    fn new() -> Result<Self> {
        Ok(Self { project: Project::find()?, scratch: Scratch::new()? })
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.scratch.path().join(folder)
    }

    /// A command of `scripts/`, or cargo, in a folder here. What it builds is kept for the other tests.
    fn command(&self, folder: &str, program: &str, words: &[&str]) -> Command {
        let script = self.project.root().join("scripts").join(program);
        let mut command = if program == "cargo" { Command::new("cargo") } else { Command::new(script) };
        command.args(words).current_dir(self.path(folder)).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", self.project.root().join("target"));
        command
    }

    fn run(&self, folder: &str, program: &str, words: &[&str]) -> Result<Ended> {
        Ok(Ended::of(self.command(folder, program, words).output()?))
    }

    /// Replaces a text in a file of an application.
    fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.path(file);
        let text = fs::read_to_string(&path)?;
        assert!(text.contains(from), "{file} has no {from}");
        Ok(fs::write(path, text.replace(from, to))?)
    }
}

/// What came of a command.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    text: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self { status: output.status.code(), text: text.concat() }
    }

    #[track_caller]
    fn tells(&self, status: i32, text: &str) {
        assert_eq!(self.status, Some(status), "{}", self.text);
        assert!(self.text.contains(text), "{text:?} is not in:\n{}", self.text);
    }

    #[track_caller]
    fn dumps_no_registers(&self) {
        assert!(!self.text.contains("rip"), "registers were dumped:\n{}", self.text);
    }
}

#[test]
#[ignore = "needs the lab"]
fn an_application_is_made_visited_and_tested_in_a_folder_with_blanks() -> Result<()> {
    let outside = Outside::new()?;
    fs::create_dir(outside.path("my work"))?;
    outside.run("my work", "new", &["shop"])?.tells(0, "next: ");
    outside.run("my work", "new", &["shop"])?.tells(2, "is taken: choose another name");
    let shout = ["./shop", "--env", "pvh", "--visit", "sh", "-c", "curl -s http://192.0.2.2/ | tr a-z 'A-Z'"];
    outside.run("my work", "run", &shout)?.tells(0, "HELLO, WORLD!");
    let visit = ["run", "--release", "--", "--env", "pv", "--visit", "curl -s http://192.0.2.2/"];
    outside.run("my work/shop", "cargo", &visit)?.tells(0, "Hello, world!");
    outside.run("my work/shop", "cargo", &["test"])?.tells(0, "1 passed");
    let ended = outside.run("my work", "image", &["./shop"])?;
    let image = Path::new(ended.text.lines().last().unwrap_or_default());
    assert!(image.ends_with("images/shop.elf") && image.is_file(), "{ended:?}");
    assert!(image.with_extension("cfg").is_file() && image.with_extension("debug").is_file());
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn what_an_application_lacks_is_named() -> Result<()> {
    let outside = Outside::new()?;
    let build = || outside.run("", "image", &["./shop"]);
    let make = || -> Result<()> {
        outside.run("", "new", &["./shop", "--plain"])?.tells(0, "next: ");
        Ok(())
    };
    make()?;
    outside.edit("shop/Cargo.toml", "panic = \"abort\"\n", "")?;
    build()?.tells(2, "write `panic = \"abort\"` into [profile.dev] and [profile.release]");
    for (file, told) in [
        (".cargo/config.toml", "a Prism image needs `-C no-redzone=yes`: copy Prism's .cargo/config.toml"),
        ("build.rs", "has no build.rs that calls prism_build::link()"),
    ] {
        fs::remove_dir_all(outside.path("shop"))?;
        make()?;
        fs::remove_file(outside.path("shop").join(file))?;
        build()?.tells(2, told);
    }
    fs::remove_dir_all(outside.path("shop"))?;
    make()?;
    fs::create_dir_all(outside.path("hosted/src"))?;
    fs::write(outside.path("hosted/src/lib.rs"), "pub fn now() { std::time::Instant::now(); }\n")?;
    fs::write(
        outside.path("hosted/Cargo.toml"),
        "[package]\nname = \"hosted\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    outside.edit(
        "shop/Cargo.toml",
        "[dependencies]\n",
        "[dependencies]\nhosted = { path = \"../hosted\" }\n",
    )?;
    outside.edit("shop/src/main.rs", "prism::println!", "hosted::now();\n    prism::println!")?;
    build()?.tells(2, "default-features = false");
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_visit_that_fails_or_never_starts_fails_the_run() -> Result<()> {
    let outside = Outside::new()?;
    let run = |words: &[&str]| outside.run("", "run", words);
    run(&["httpd", "--env", "pvh", "--visit", "exit 7"])?
        .tells(4, "the command beside it ended with status 7");
    let ends = run(&["hello", "--env", "pv", "--visit", "true"])?;
    ends.tells(4, "the guest never said ready");
    let waits =
        run(&["power", "--env", "pvh", "--cmdline", "power=hang", "--timeout", "10", "--visit", "true"])?;
    waits.tells(4, "the guest never said ready");
    waits.dumps_no_registers();
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_visit_that_hangs_fails_the_run() -> Result<()> {
    let words = ["httpd", "--env", "pvh", "--timeout", SERVES, "--visit", "sleep", "1000"];
    let hangs = Outside::new()?.run("", "run", &words)?;
    hangs.tells(4, "the command beside it did not end");
    hangs.dumps_no_registers();
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_server_that_nobody_visits_serves_until_its_time_limit() -> Result<()> {
    let alone = Outside::new()?.run("", "run", &["httpd", "--env", "pvh", "--timeout", SERVES])?;
    alone.tells(0, "it was ready, and served until its time limit");
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_published_server_is_reached_from_here_until_it_is_interrupted() -> Result<()> {
    let outside = Outside::new()?;
    // One of each machine that a guest may be in: dom0 forwards to all of its guests alike.
    for env in ["pvh", "kvm"] {
        let port = free_port()?;
        let publish = format!("{port}:80");
        let mut child = outside
            .command("", "run", &["httpd", "--env", env, "--publish", &publish])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let page = reach(port, &mut child);
        // One that is gone already has said why.
        let _ = kill_process(Pid::from_child(&child), Signal::INT);
        let ended = Ended::of(child.wait_with_output()?);
        let page = page.with_context(|| format!("{env}: {}", ended.text))?;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("</html>"), "{env}: {page}");
        ended.tells(0, "httpd: ready on port 80");
    }
    Ok(())
}

#[test]
#[ignore = "needs the lab"]
fn a_port_that_is_in_use_is_told_at_once() -> Result<()> {
    let outside = Outside::new()?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let publish = format!("{}:80", taken.local_addr()?.port());
    let ended = outside.run("", "run", &["httpd", "--env", "pvh", "--publish", &publish])?;
    ended.tells(2, "of this machine is in use: give another one");
    Ok(())
}

/// A port that nobody listens on, and that the system gives to no connection either: other tests make some.
fn free_port() -> Result<u16> {
    let first = 20_000 + (std::process::id() % 5000) as u16;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (first..first + 100).find(is_free).context("a hundred ports are in use")
}

/// The page of the server on this port of this machine, as soon as it answers.
fn reach(port: u16, child: &mut Child) -> Result<String> {
    let begun = Instant::now();
    while begun.elapsed() < REACHED {
        if let Some(status) = child.try_wait()? {
            bail!("the run ended with {status}");
        }
        match ask(port) {
            Ok(page) if !page.is_empty() => return Ok(page),
            _ => thread::sleep(RETRY),
        }
    }
    bail!("nobody answers on port {port}")
}

fn ask(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
