// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports of this machine that lead to a guest's.
//!
//! A client of 127.0.0.1:8080 reaches this machine's QEMU, which hands the connection on by a NIC of the lab
//! machine, from where it goes over the bridge to port 80 of the guest.
//!
//! The NIC is plugged in when it is needed: snapshots of machines have none. QEMU's user network and the
//! bridge are parts of the same network; the machine forwards packets between the two, and answers for each
//! on the other. It forwards no broadcasts, so that the guest does not hear QEMU's DHCP server.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::neighbour::{BRIDGE, GUEST};
use super::session::Session;

/// Where clients are to the guest: QEMU's own address on its user network.
const CLIENTS: &str = "192.0.2.254";

/// A TCP port of this machine that leads to one of the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// This machine's, on 127.0.0.1.
    pub host: u16,
    /// The guest's.
    pub guest: u16,
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let port = |word: &str| word.parse().ok().filter(|port| *port != 0);
        let ports = word.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
        let (host, guest) = ports.ok_or("give a port of this machine and one of the guest, as in 8080:80")?;
        Ok(Self { host, guest })
    }
}

impl Publish {
    /// Whether this machine's port can be had.
    ///
    /// # Errors
    /// Says what to do if not.
    pub fn require_free(self) -> Result<()> {
        let Self { host, guest } = self;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, host)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let other = host.checked_add(1).unwrap_or(8080);
                bail!(
                    "port {host} of this machine is in use: give another one, as in --publish {other}:{guest}"
                )
            }
            Err(error) => Err(error).with_context(|| format!("cannot use port {host} of this machine")),
        }
    }

    /// As QEMU takes it.
    fn rule(self) -> Value {
        json!({ "str": format!("tcp:127.0.0.1:{}-{GUEST}:{}", self.host, self.guest) })
    }
}

/// Has these ports lead to the guest of a machine whose bridge has been made.
///
/// # Errors
/// If QEMU refuses, or the machine does not find its new NIC.
pub(super) fn open(session: &mut Session, ports: &[Publish]) -> Result<()> {
    let rules: Vec<Value> = ports.iter().map(|port| port.rule()).collect();
    let mut qmp = session.qmp()?;
    qmp.execute(
        "netdev_add",
        json!({
            "type": "user", "id": "outside", "restrict": true, "ipv6": false,
            "net": "192.0.2.0/24", "host": CLIENTS, "hostfwd": rules,
        }),
    )?;
    qmp.execute(
        "device_add",
        json!({
            "driver": "virtio-net-pci", "id": "outside-nic", "netdev": "outside", "addr": "0x18",
            "disable-legacy": "on", "iommu_platform": true, "romfile": "",
        }),
    )?;
    let output = session.agent().sh(&connect(), FOUND)?;
    if output.status != 0 {
        bail!("the lab machine cannot use its new NIC: {}", output.text().trim_end());
    }
    Ok(())
}

/// Time for the machine to find its NIC.
const FOUND: Duration = Duration::from_secs(60);

/// Connects the new NIC, the only one of its driver, with the bridge.
fn connect() -> String {
    format!(
        "modprobe virtio_net; echo 1 >/sys/bus/pci/rescan; nic=; i=0; \
         until [ -n \"$nic\" ] || [ $i -ge 100 ]; do \
         for d in /sys/class/net/*; do case $(readlink $d/device/driver) in */virtio_net) nic=${{d##*/}};; esac; done; \
         i=$((i + 1)); [ -n \"$nic\" ] || sleep 0.1; done; \
         [ -n \"$nic\" ] || {{ echo 'it finds none'; exit 1; }}; \
         ip link set $nic up && ip route replace {CLIENTS}/32 dev $nic && \
         for d in $nic {BRIDGE}; do sysctl -qw net.ipv4.conf.$d.forwarding=1 net.ipv4.conf.$d.proxy_arp=1 \
         net.ipv4.neigh.$d.proxy_delay=0 || exit 1; done"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_this_machines_and_the_guests() {
        assert_eq!("8080:80".parse(), Ok(Publish { host: 8080, guest: 80 }));
        for word in ["8080", "80:", ":80", "0:80", "8080:0", "8080:80:80", "65536:80", "http:80"] {
            assert!(word.parse::<Publish>().is_err_and(|error| error.contains("as in 8080:80")), "{word}");
        }
    }

    #[test]
    fn a_port_in_use_is_told_with_another_one() {
        let take = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = take();
        let host = taken.local_addr().unwrap().port();
        let error = Publish { host, guest: 80 }.require_free().unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {host} of this machine is in use: give another one")),
            "{error}"
        );
        // Somebody else may take a port as soon as it is given up.
        let is_free = |host| Publish { host, guest: 80 }.require_free().is_ok();
        assert!((0..20).map(|_| take().local_addr().unwrap().port()).any(is_free));
    }
}
