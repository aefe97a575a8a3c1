// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network of a guest: a bridge of the lab machine, which is a DHCP and DNS server on it.

use anyhow::Result;

use crate::lab::agent::Agent;

/// The bridge in the machine.
pub const BRIDGE: &str = "xenbr0";

/// The guest's address on the bridge's network, from RFC 5737. The DHCP server gives this one.
pub const GUEST: &str = "192.0.2.2";

/// The Ethernet address of the guest's interface, from Xen's range.
pub const MAC: &str = "00:16:3e:00:00:02";

/// The tap device that QEMU gives a guest.
pub const TAP: &str = "tap0";

/// Makes the bridge's network: this machine at 192.0.2.1 and 2001:db8::1, the guest by the name
/// `guest.test`.
///
/// # Errors
/// If the machine no longer answers.
pub fn prepare(agent: &mut Agent) -> Result<()> {
    agent.check(&format!(
        "ip link show {BRIDGE} >/dev/null 2>&1 || {{ modprobe bridge; ip link add {BRIDGE} type bridge; }}; \
         ip link set {BRIDGE} up; sysctl -qw net.ipv6.conf.{BRIDGE}.accept_dad=0; \
         ip addr replace 192.0.2.1/24 dev {BRIDGE}; ip -6 addr replace 2001:db8::1/64 dev {BRIDGE} nodad; \
         [ -e /run/dnsmasq.pid ] && kill -0 $(cat /run/dnsmasq.pid) 2>/dev/null || \
         dnsmasq --interface={BRIDGE} --bind-interfaces --except-interface=lo --no-resolv --no-hosts --user=root \
         --dhcp-range=192.0.2.50,192.0.2.99,5m --dhcp-host={MAC},{GUEST} --dhcp-leasefile=/run/leases \
         --enable-ra --dhcp-range=2001:db8::,ra-only,64,5m \
         --address=/guest.test/{GUEST} --pid-file=/run/dnsmasq.pid --log-facility=/run/dnsmasq.log"
    ))
    .map(drop)
}

/// Makes the tap device for a guest of QEMU's on the bridge.
///
/// # Errors
/// If the machine no longer answers.
pub fn prepare_tap(agent: &mut Agent) -> Result<()> {
    agent
        .check(&format!(
            "ip link del {TAP} 2>/dev/null; ip tuntap add {TAP} mode tap && ip link set {TAP} master {BRIDGE} up"
        ))
        .map(drop)
}
