// SPDX-License-Identifier: MIT OR Apache-2.0
//! Driver domains of Prism's that serve all guests of a lab machine, instead of dom0's Linux.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::neighbour::BRIDGE;
use super::xl::pinned;
use super::{Job, hotplug::Hotplug};
use crate::env::Env;
use crate::image::Image;
use crate::lab::agent::Agent;

/// The domain that has the machine's disks, by the names that guests have for them.
pub const STORAGE: &str = "storage";

/// The domain that has an interface on the machine's network, and is a bridge to it.
pub const ROUTER: &str = "router";

/// Its interface's Ethernet address, which it does not use.
const ROUTER_MAC: &str = "00:16:3e:00:00:f0";

/// Beside a guest: devices that are attached to it come from the driver domains.
pub(super) const ATTACHING: &str = include_str!("driver_domains/attaching.sh");

const GIVE_BACK: &str = include_str!("driver_domains/give_back.sh");

/// Where the machine has that.
const GIVE_BACK_FILE: &str = "/tmp/give_back.sh";

/// The configuration of one, that boots `image`, which is at `path` in the machine.
fn config(env: Env, name: &str, image: &Image, path: &str, devices: &str) -> String {
    let kind = if env == Env::Pv { "pv" } else { "pvh" };
    let cpus = pinned(&Job::new(env, image.clone()));
    format!(
        "name = \"{name}\"\ntype = \"{kind}\"\nkernel = \"{path}\"\nmemory = 16\nvcpus = 1\n{cpus}\n\
         driver_domain = 1\non_crash = \"preserve\"\non_poweroff = \"preserve\"\n{devices}\n"
    )
}

/// Starts both, with so many disks of the machine's. The images are in the machine.
///
/// # Errors
/// If the machine no longer answers, or one of them does not start.
pub(super) fn start(agent: &mut Agent, env: Env, images: [(&Image, &str); 2], disks: usize) -> Result<()> {
    agent.put(GIVE_BACK_FILE, GIVE_BACK.as_bytes())?;
    let script = Hotplug::Lab.of_disk();
    let disk = |letter: char| format!("'/dev/vd{letter},raw,xvd{letter},rw{script}'");
    let disks: Vec<String> = ('a'..).take(disks).map(disk).collect();
    let script = Hotplug::Lab.of_network();
    let devices = [
        format!("disk = [ {} ]", disks.join(", ")),
        format!("vif = [ 'mac={ROUTER_MAC},bridge={BRIDGE}{script}' ]"),
    ];
    for ((name, devices), (image, path)) in [STORAGE, ROUTER].into_iter().zip(&devices).zip(images) {
        let config = config(env, name, image, path, devices);
        agent.put(&format!("/tmp/{name}.cfg"), config.as_bytes())?;
        let create = format!("xl create -q /tmp/{name}.cfg && said ': ready' /var/log/xen/guest-{name}.log");
        check(agent, &create)?;
    }
    Ok(())
}

/// When a guest is gone: waits until nothing is served to anybody, and has the storage domain give back what
/// was attached to it for the guest.
///
/// # Errors
/// If the machine no longer answers, or a device stays behind.
pub(super) fn give_back(agent: &mut Agent) -> Result<()> {
    check(agent, &format!("sh {GIVE_BACK_FILE}")).map(drop)
}

/// Has both end, and gives what they have written.
///
/// # Errors
/// If the machine no longer answers, or one of them does not end well.
pub(super) fn end(agent: &mut Agent) -> Result<String> {
    let mut told = String::new();
    for name in [STORAGE, ROUTER] {
        let end = format!(
            "log=/var/log/xen/guest-{name}.log; xl shutdown {name}; said '^Test result: SUCCESS' $log && \
             cat $log && xl destroy {name}"
        );
        told += &check(agent, &end)?;
    }
    Ok(told)
}

/// Time for what waits two minutes at most, and for more devices than one.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a command that must succeed, and gives what it wrote.
fn check(agent: &mut Agent, command: &str) -> Result<String> {
    let output = agent.sh(command, LIMIT)?;
    ensure!(output.status == 0, "driver domains: {}", output.text());
    Ok(output.text())
}
