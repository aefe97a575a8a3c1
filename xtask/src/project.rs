// SPDX-License-Identifier: MIT OR Apache-2.0
//! The project this runner belongs to: its folders and what can be started from it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::lab::Lab;
use crate::nearest;

/// The project's folders.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

/// An application or a guest test of the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct App {
    /// Whether it is a guest test rather than an application.
    pub kind: Kind,
    /// The name of its folder, by which it is started.
    pub name: String,
    /// The name of its cargo package.
    pub package: String,
    /// Where cargo is run to build it.
    pub workspace: PathBuf,
    /// Where its finished image is put.
    pub images: PathBuf,
    /// What it does, in a line.
    pub about: String,
    /// Whether it is of no use without a network: `network = true` in its `[package.metadata.prism]`.
    pub network: bool,
}

/// What something that can be started is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// For people; below `apps`.
    Application,
    /// For tests; below `tests/guest`.
    GuestTest,
}

impl Project {
    /// The project that the environment variable `PRISM_ROOT` names, as `scripts/` set it, or else
    /// the one in whose `xtask` this program was built.
    ///
    /// # Errors
    /// If it is not there.
    pub fn find() -> Result<Self> {
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).map(PathBuf::from);
        let root = env::var_os("PRISM_ROOT").map(PathBuf::from).or(built_in);
        let root = root.context("the runner lies at the root of the file system")?;
        ensure!(root.join("Cargo.toml").is_file(), "{} is no Prism tree: set PRISM_ROOT", root.display());
        Ok(Self { root })
    }

    /// The folder of the whole project.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lab's cache.
    pub fn lab(&self) -> Lab {
        Lab::new(self.root.join("target/lab"))
    }

    /// Where finished images are put: in cargo's target directory.
    pub fn images(&self) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        self.root.join(target).join("images")
    }

    /// All applications and guest tests.
    ///
    /// # Errors
    /// If cargo does not know its workspace.
    pub fn apps(&self) -> Result<Vec<App>> {
        let metadata = metadata(&self.root)?;
        let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
        let mut apps: Vec<App> = packages.iter().filter_map(|package| self.app_of(package)).collect();
        apps.sort();
        Ok(apps)
    }

    /// The application whose manifest is in `folder`, which need not be in this project.
    ///
    /// # Errors
    /// If there is none.
    pub fn app_in(&self, folder: &Path) -> Result<App> {
        let folder = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
        let manifest = folder.join("Cargo.toml");
        let metadata = metadata(&folder)?;
        let mut packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages.find(|package| package["manifest_path"].as_str() == manifest.to_str());
        let package = package.with_context(|| format!("{} has no package", manifest.display()))?;
        if let Some(app) = self.app_of(package) {
            return Ok(app);
        }
        if let Some(lack) = lack(package) {
            bail!("{} {lack}: scripts/new makes what has all", manifest.display());
        }
        let target = metadata["target_directory"].as_str().context("cargo metadata tells of no folder")?;
        let images = Path::new(target).join("images");
        App::of(package, Kind::Application, folder.clone(), images).context("its package has no name")
    }

    /// The application or guest test called `name`.
    ///
    /// # Errors
    /// If there is none; the error then guesses what was meant.
    pub fn app(&self, name: &str) -> Result<App> {
        let apps = self.apps()?;
        let names = apps.iter().map(|app| app.name.as_str());
        let found = apps.iter().find(|app| app.name == name);
        found.cloned().with_context(|| nearest::unknown("application", name, names))
    }

    fn app_of(&self, package: &Value) -> Option<App> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.parent()?.strip_prefix(&self.root).ok()?;
        let kind = match folder.parent()?.to_str()? {
            "apps" => Kind::Application,
            "tests/guest" => Kind::GuestTest,
            _ => return None,
        };
        let name = folder.file_name()?.to_str()?.to_owned();
        App::of(package, kind, self.root.clone(), self.images()).map(|app| App { name, ..app })
    }
}

impl App {
    /// That of a package as cargo describes it.
    fn of(package: &Value, kind: Kind, workspace: PathBuf, images: PathBuf) -> Option<Self> {
        let name = package["name"].as_str()?.to_owned();
        Some(Self {
            kind,
            package: name.clone(),
            name,
            workspace,
            images,
            about: about(Path::new(package["targets"][0]["src_path"].as_str()?)),
            network: package["metadata"]["prism"]["network"].as_bool().unwrap_or(false),
        })
    }
}

/// What a package lacks to be an application.
fn lack(package: &Value) -> Option<&'static str> {
    let has = |list: &str, is_it: &dyn Fn(&Value) -> bool| {
        package[list].as_array().is_some_and(|all| all.iter().any(is_it))
    };
    if !has("dependencies", &|it| it["name"] == "prism") {
        Some("does not depend on prism")
    } else if !has("targets", &|it| it["kind"][0] == "custom-build") {
        Some("has no build.rs that calls prism_build::link()")
    } else if !has("dependencies", &|it| it["name"] == "prism-build" && it["kind"] == "build") {
        Some("does not depend on prism-build in [build-dependencies]")
    } else {
        None
    }
}

/// What cargo tells of the workspace that `folder` belongs to.
fn metadata(folder: &Path) -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata speaks no JSON")
}

/// What a program does, by the first paragraph of its documentation.
fn about(source: &Path) -> String {
    first_paragraph(&fs::read_to_string(source).unwrap_or_default())
}

/// As a line, without a last sentence that announces a list.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    match line.rsplit_once(". ") {
        Some((before, last)) if last.ends_with(':') => format!("{before}."),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{first_paragraph, lack};

    #[test]
    fn what_a_package_lacks_is_named() {
        let package = |dependencies: &[&str], kinds: &[&str]| {
            let dependency = |name: &&str| json!({"name": name, "kind": if *name == "prism" { None } else { Some("build") }});
            let target = |kind: &&str| json!({"kind": [kind]});
            json!({
                "dependencies": dependencies.iter().map(dependency).collect::<Vec<_>>(),
                "targets": kinds.iter().map(target).collect::<Vec<_>>(),
            })
        };
        let both = ["prism", "prism-build"];
        assert_eq!(lack(&package(&both, &["bin", "custom-build"])), None);
        assert_eq!(lack(&package(&[], &["bin"])), Some("does not depend on prism"));
        assert_eq!(lack(&package(&both, &["bin"])), Some("has no build.rs that calls prism_build::link()"));
        let lacks = lack(&package(&["prism"], &["bin", "custom-build"])).unwrap();
        assert!(lacks.contains("[build-dependencies]"));
    }

    #[test]
    fn what_a_program_does_is_its_first_paragraph() {
        let text = "// SPDX\n//! A server\n//! of pages.\n//!\n//! `root=`: where\n#![no_std]\n";
        assert_eq!(first_paragraph(text), "A server of pages.");
        assert_eq!(first_paragraph("//! A store. The words are:\n//!\n//! - a\n"), "A store.");
        assert_eq!(first_paragraph("fn main() {}"), "");
    }
}
