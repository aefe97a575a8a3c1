// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `new`: an application of one's own, inside of this project or anywhere else.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cli;
use crate::lab::agent::quoted;
use crate::project::Project;

/// Where an application is to be.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    name: String,
    /// Whether it belongs to this project's workspace.
    inside: bool,
}

/// Makes the folder of an application that builds and runs.
///
/// # Errors
/// If the name does not do or is taken, or the folder cannot be written.
pub fn new(project: &Project, options: &cli::New) -> Result<u8> {
    let here = env::current_dir().context("cannot tell the current folder")?;
    let place = place(project.root(), &here, &options.folder)?;
    ensure!(is_package_name(&place.name), "{:?} is no name: take letters, digits, - and _", place.name);
    let locked = fs::read_to_string(project.root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    ensure!(!is_reserved(&place.name, &locked), "{} is taken by a crate: choose another name", place.name);
    let is_used = fs::read_dir(&place.folder).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!is_used, "{} is taken: choose another name", place.folder.display());
    for (file, text) in files(project.root(), &place, options.plain) {
        let path = place.folder.join(file);
        let folder = path.parent().context("a file has no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !place.inside {
        let lock = place.folder.join("Cargo.lock");
        fs::copy(project.root().join("Cargo.lock"), lock).context("cannot copy Cargo.lock")?;
    }
    println!("{}", place.folder.display());
    println!("{}", next(project.root(), &here, &place, options));
    Ok(0)
}

/// A bare name is a folder of `apps/` for who is in this project, else one where one is.
fn place(root: &Path, here: &Path, folder: &Path) -> Result<Place> {
    let name = folder.file_name().and_then(|name| name.to_str()).context("this names no folder")?.to_owned();
    let is_bare = folder.components().count() == 1;
    let root = without_dots(root);
    let is_for_apps = is_bare && here.starts_with(&root);
    let folder = if is_for_apps { root.join("apps").join(folder) } else { without_dots(&here.join(folder)) };
    let inside = folder.parent() == Some(&root.join("apps"));
    if !inside && folder.starts_with(&root) {
        bail!("inside of this project applications are in apps/: scripts/new {name}");
    }
    Ok(Place { folder, name, inside })
}

/// The same path without `.` and `..`, of which some parts need not be there yet.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // Nothing is above the root.
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Whether cargo takes it for a package, and `xl` for a guest.
fn is_package_name(name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.chars().all(is_part)
}

/// Whether cargo or Rust has another meaning for it: a crate of this project's or one that it uses, one of
/// Rust's own, or a keyword.
fn is_reserved(name: &str, locked: &str) -> bool {
    const OF_RUST: &str = "alloc core std test proc_macro as async await break const continue crate dyn else enum \
                           extern false fn for gen if impl in let loop match mod move mut pub ref return self Self \
                           static struct super trait true type union unsafe use where while abstract become box do \
                           final macro override priv try typeof unsized virtual yield";
    let is_locked =
        |line: &str| line.strip_prefix("name = ").is_some_and(|found| found.trim_matches('"') == name);
    locked.lines().any(is_locked) || OF_RUST.split(' ').any(|word| word == name.replace('-', "_"))
}

/// What one does next.
fn next(root: &Path, here: &Path, place: &Place, options: &cli::New) -> String {
    let scripts =
        if here == root { "scripts".to_owned() } else { root.join("scripts").display().to_string() };
    let app = if place.inside { place.name.clone() } else { options.folder.display().to_string() };
    let app = if app.contains('/') || place.inside { app } else { format!("./{app}") };
    let visit = if options.plain { "" } else { " --visit curl -s http://192.0.2.2/" };
    let (run, app) = (word(&format!("{scripts}/run")), word(&app));
    format!("next: {run} {app} --env pvh{visit}")
}

/// The text as one word of a shell command, in quotes only where it needs them.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    if text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// The files, by their paths in the folder.
fn files(root: &Path, place: &Place, plain: bool) -> Vec<(&'static str, String)> {
    let name = &place.name;
    let metadata = if plain { "" } else { "\n[package.metadata.prism]\nnetwork = true\n" };
    let main = if plain { PLAIN } else { SERVER }.replace("@NAME@", name);
    let mut files = vec![("src/main.rs", main), ("build.rs", BUILD.to_owned())];
    if place.inside {
        let manifest = INSIDE.replace("{name}", name).replace("{metadata}", metadata);
        files.push(("Cargo.toml", manifest));
        return files;
    }
    let path = |part: &str| toml_text(&root.join(part).display().to_string());
    let manifest = OUTSIDE
        .replace("{name}", name)
        .replace("{metadata}", metadata)
        .replace("{prism}", &path("kernel"))
        .replace("{build}", &path("kernel/build"));
    files.push(("Cargo.toml", manifest));
    files.push((".cargo/config.toml", CONFIG.replace("{run}", &path("scripts/run"))));
    files.push((".gitignore", "/target\n".to_owned()));
    if !plain {
        files.push(("tests/visit.rs", VISIT.to_owned()));
    }
    files
}

/// The text as TOML writes it.
fn toml_text(text: &str) -> String {
    if text.contains('\'') {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("'{text}'")
}

const BUILD: &str = "//! Links this package as a Prism image.
fn main() {
    prism_build::link();
}
";

const INSIDE: &str = r#"# SPDX-License-Identifier: MIT OR Apache-2.0
[package]
name = "{name}"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
{metadata}
[[bin]]
name = "{name}"
path = "src/main.rs"
test = false
bench = false

[dependencies]
prism.workspace = true

[build-dependencies]
prism-build.workspace = true

[lints]
workspace = true
"#;

const OUTSIDE: &str = r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false
{metadata}
[[bin]]
name = "{name}"
path = "src/main.rs"
test = false
bench = false

[dependencies]
prism = { path = {prism} }

[build-dependencies]
prism-build = { path = {build} }

# An image cannot unwind. The rest makes it small.
[profile.dev]
panic = "abort"
opt-level = "s"
debug = "line-tables-only"

[profile.release]
panic = "abort"
opt-level = "s"
lto = "fat"
codegen-units = 1
debug = "line-tables-only"

# A test is a program of the host, and runs nothing of this.
[profile.test]
opt-level = 0
debug = false

[workspace]
"#;

const CONFIG: &str = r#"# Exception frames are pushed right below the stack pointer, so no code may keep data there; the crash report
# walks frame pointers.
[target.x86_64-unknown-linux-gnu]
rustflags = ["-C", "no-redzone=yes", "-C", "force-frame-pointers=yes"]
# `cargo run --release -- --env pvh` boots the image.
runner = [{run}]
"#;

const PLAIN: &str = r#"//! @NAME@: says hello; `name=` on the command line says to whom.
#![no_std]
#![no_main]

prism::app!(main, params: ["name"]);

async fn main(context: prism::Context) {
    let name = context.command_line().get("name").unwrap_or("world");
    prism::println!("Hello, {name}!");
}
"#;

const SERVER: &str = r#"//! @NAME@: greets each client that asks for a page on port 80; `name=` on the command line says whom.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;

use prism::embassy_net::tcp::{Error, TcpSocket};
use prism::network::{Buffers, Listener};

prism::app!(main, params: ["name"]);

const PORT: u16 = 80;
/// Connections at once, and the bytes that each keeps.
const CONNECTIONS: usize = 16;
const BUFFERS: Buffers = Buffers { receive: 4 << 10, send: 4 << 10 };

async fn main(context: prism::Context) -> prism::Result {
    let name = context.command_line().get("name").unwrap_or("world");
    let stack = context.network(0).await?;
    let listener = Box::leak(Box::new(Listener::new(stack, PORT, BUFFERS, CONNECTIONS)));
    for _ in 0..listener.tasks() {
        context.spawn(listener.serve(async |socket, _| {
            // A client that breaks off has nobody to be told.
            let _ = greet(socket, name).await;
        }))?;
    }
    listener.listening().await;
    // `--visit` waits for ": ready".
    prism::println!("{}: ready on port {PORT}", env!("CARGO_PKG_NAME"));
    context.shutdown_requested().await;
    Ok(())
}

async fn greet(socket: &mut TcpSocket<'_>, name: &str) -> Result<(), Error> {
    // What a client asks for ends with an empty line.
    let (mut last, mut ends) = ([0; 256], 0);
    while ends < 2 {
        match socket.read(&mut last).await? {
            0 => return Ok(()),
            length => {
                for byte in &last[..length] {
                    ends = match byte {
                        b'\n' => ends + 1,
                        b'\r' => ends,
                        _ => 0,
                    };
                }
            }
        }
    }
    let text = format!("Hello, {name}!\n");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    for mut part in [head.as_bytes(), text.as_bytes()] {
        while !part.is_empty() {
            let written = socket.write(part).await?;
            part = &part[written..];
        }
    }
    socket.flush().await
}
"#;

const VISIT: &str = r#"//! Boots the server, and visits it: `cargo test`.

use std::process::Command;

#[test]
fn a_visitor_is_greeted() {
    let visit = "curl -s http://192.0.2.2/ | grep 'Hello, Xen!'";
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--", "--env", "pvh", "--cmdline", "name=Xen", "--visit", visit])
        .status()
        .expect("cargo runs");
    assert!(status.success());
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(here: &str, folder: &str) -> Result<Place> {
        place(Path::new("/prism"), Path::new(here), Path::new(folder))
    }

    #[test]
    fn an_application_goes_where_one_is_or_into_apps() {
        let at = |here, folder| {
            let place = placed(here, folder).unwrap();
            (place.folder.display().to_string(), place.inside)
        };
        assert_eq!(at("/prism", "shop"), ("/prism/apps/shop".to_owned(), true));
        assert_eq!(at("/prism/docs", "shop"), ("/prism/apps/shop".to_owned(), true));
        assert_eq!(at("/prism", "apps/shop"), ("/prism/apps/shop".to_owned(), true));
        assert_eq!(at("/home", "shop"), ("/home/shop".to_owned(), false));
        assert_eq!(at("/prism", "/home/my shop/shop"), ("/home/my shop/shop".to_owned(), false));
        assert!(placed("/prism", "docs/shop").is_err());
        assert!(placed("/home", "..").is_err());
    }

    #[test]
    fn dots_in_a_path_lead_out_of_the_project_and_into_it() {
        let at = |here, folder| placed(here, folder).map(|place| (place.folder, place.inside)).ok();
        assert_eq!(at("/prism", "../shop"), Some(("/shop".into(), false)));
        assert_eq!(at("/prism/docs", "../../home/./shop"), Some(("/home/shop".into(), false)));
        assert_eq!(at("/prism/docs", "../apps/shop"), Some(("/prism/apps/shop".into(), true)));
        assert_eq!(at("/home", "../prism/apps/shop"), Some(("/prism/apps/shop".into(), true)));
        assert_eq!(at("/home", "../prism/docs/shop"), None);
        assert_eq!(at("/", "/home/../../prism/shop"), None);
    }

    #[test]
    fn the_next_command_can_be_pasted() {
        let next = |root: &str, folder: &str| {
            let (root, here) = (Path::new(root), Path::new("/home"));
            let place = place(root, here, Path::new(folder)).unwrap();
            next(root, here, &place, &cli::New { folder: folder.into(), plain: true })
        };
        assert_eq!(next("/prism", "shop"), "next: /prism/scripts/run ./shop --env pvh");
        assert_eq!(
            next("/my prism", "my work/shop"),
            "next: '/my prism/scripts/run' 'my work/shop' --env pvh"
        );
        assert_eq!(next("/it's", "../it's/apps/shop"), "next: '/it'\\''s/scripts/run' shop --env pvh");
    }

    #[test]
    fn a_name_is_a_packages() {
        assert!(is_package_name("my-shop_2"));
        for name in ["", "2shops", "my shop", "käse", "a.b", "-"] {
            assert!(!is_package_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_means_something_else_is_taken() {
        let locked = "[[package]]\nname = \"prism\"\nversion = \"0.1.0\"\n";
        for name in ["prism", "core", "proc-macro", "mod"] {
            assert!(is_reserved(name, locked), "{name}");
        }
        assert!(!is_reserved("shop", locked) && !is_reserved("prism-shop", locked));
    }

    #[test]
    fn paths_with_blanks_and_quotes_are_written_as_toml_has_them() {
        assert_eq!(toml_text("/my tree/kernel"), "'/my tree/kernel'");
        assert_eq!(toml_text("/it's \"mine\""), "\"/it's \\\"mine\\\"\"");
    }

    #[test]
    fn a_server_has_a_network_and_other_applications_have_none() {
        for (inside, plain) in [(true, true), (true, false), (false, true), (false, false)] {
            let place = Place { folder: "/home/shop".into(), name: "shop".to_owned(), inside };
            let files = files(Path::new("/prism"), &place, plain);
            let manifest = &files.iter().find(|(file, _)| *file == "Cargo.toml").unwrap().1;
            assert_eq!(manifest.contains("network = true"), !plain);
            let is_visited = files.iter().any(|(file, _)| *file == "tests/visit.rs");
            assert_eq!(is_visited, !plain && !inside);
            assert!(!manifest.contains('{') || !inside, "{manifest}");
            assert_eq!(manifest.contains("prism = { path = '/prism/kernel' }"), !inside);
        }
    }
}
