// SPDX-License-Identifier: MIT OR Apache-2.0
//! Having cargo build something while a person waits.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stderr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::progress::{self, Step};

/// How often it is told how far cargo is, where there is no terminal.
const TOLD: Duration = Duration::from_secs(15);

/// Builds a package of the workspace in `folder`, in the folder `target`, and gives cargo's messages.
///
/// # Errors
/// If cargo cannot be run, or fails, which explains itself.
pub(super) fn build(folder: &Path, target: &Path, package: &str) -> Result<Vec<Value>> {
    if is_locked(&target.join("release/.cargo-lock")) {
        progress::wait_for("another run, which builds images");
    }
    let mut child = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", package, message_format()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("cannot run cargo")?;
    let messages = follow(&messages(&mut child)?, package);
    if !child.wait().context("cannot wait for cargo")?.success() {
        bail!("cargo could not build {package}{}", hint(&messages));
    }
    Ok(messages)
}

/// Diagnostics are shown here, as a terminal wants them.
fn message_format() -> &'static str {
    if stderr().is_terminal() {
        "--message-format=json-diagnostic-rendered-ansi"
    } else {
        "--message-format=json"
    }
}

/// What to do about errors whose own text does not tell.
fn hint(messages: &[Value]) -> &'static str {
    /// A language item, such as the panic handler, is in `std` and in the application.
    const TWO_HANDLERS: &str = "E0152";
    let has_two = messages.iter().any(|message| message["message"]["code"]["code"] == TWO_HANDLERS);
    if has_two {
        ": an image has no std, but a crate that it depends on (named above) brings it; take that with \
         default-features = false if it can do without, or another one"
    } else {
        ""
    }
}

/// Whether another cargo builds there: it has this file locked.
fn is_locked(file: &Path) -> bool {
    File::open(file).is_ok_and(|file| file.try_lock_shared().is_err())
}

/// What cargo says, as it says it.
fn messages(child: &mut Child) -> Result<Receiver<Value>> {
    let stdout: ChildStdout = child.stdout.take().context("cargo has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let messages = lines.filter_map(|line| serde_json::from_str(&line).ok());
        // Nobody listens any more when this process is to end.
        for message in messages {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Tells how far cargo is, if it has something to build, until it ends.
fn follow(receiver: &Receiver<Value>, package: &str) -> Vec<Value> {
    let (mut messages, mut built, mut is_slow) = (Vec::new(), 0, false);
    let mut step: Option<Step> = None;
    loop {
        match receiver.recv_timeout(TOLD) {
            Ok(message) => {
                built += usize::from(is_built(&message));
                if let Some(diagnostic) = message["message"]["rendered"].as_str() {
                    progress::show(step.as_ref(), diagnostic);
                }
                messages.push(message);
            }
            Err(RecvTimeoutError::Timeout) => is_slow = true,
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if built > 0 || is_slow {
            let step = step.get_or_insert_with(|| Step::begin(package));
            step.tell(&format!("crates so far: {built}"), TOLD);
        }
    }
    step.into_iter().for_each(Step::done);
    messages
}

/// Whether cargo has built a crate, which was not there.
fn is_built(message: &Value) -> bool {
    message["reason"] == "compiler-artifact" && message["fresh"] == false
}

/// The executable that cargo's messages name for a package.
pub(super) fn executable<'a>(messages: &'a [Value], package: &str) -> Option<&'a Path> {
    let mut of_package = messages.iter().filter(|message| message["target"]["name"] == package);
    of_package.find_map(|message| message["executable"].as_str().map(Path::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn messages() -> Vec<Value> {
        let text = r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":"/t/build","fresh":true}
{"reason":"compiler-artifact","target":{"name":"hello"},"executable":"/t/hello","fresh":false}
{"reason":"build-script-executed","fresh":false}
{"reason":"build-finished","success":true}"#;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_executable_is_the_packages_own() {
        assert_eq!(executable(&messages(), "hello"), Some(Path::new("/t/hello")));
        assert_eq!(executable(&messages(), "smoke"), None);
    }

    #[test]
    fn only_what_was_built_is_counted() {
        assert_eq!(messages().iter().filter(|message| is_built(message)).count(), 1);
    }

    #[test]
    fn std_in_an_image_is_explained() {
        let message = |code: &str| {
            let text = format!(r#"{{"reason":"compiler-message","message":{{"code":{{"code":"{code}"}}}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        assert!(hint(&[message("E0308"), message("E0152")]).contains("default-features = false"));
        assert_eq!(hint(&[message("E0308")]), "");
    }

    #[test]
    fn another_cargo_is_known_by_its_lock() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().join("lock");
        assert!(!is_locked(&path));
        let file = File::create(&path).unwrap();
        assert!(!is_locked(&path));
        file.lock().unwrap();
        assert!(is_locked(&path));
    }
}
