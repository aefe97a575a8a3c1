// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels (`xen/sys/evtchn.h`).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::device;

const GROUP: u8 = b'E';
const BIND_INTERDOMAIN: u8 = 1;
const BIND_UNBOUND: u8 = 2;
const NOTIFY: u8 = 4;

/// How long an event that Xen raises by itself may take to come.
const AT_ONCE: Duration = Duration::from_secs(2);

#[repr(C)]
struct Bind {
    domain: u32,
    port: u32,
}

/// What is polled for events.
impl AsFd for Channels {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Our end of a channel: a number of dom0's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(u32);

/// Channels to ports of guests; closed when dropped.
pub(crate) struct Channels {
    device: File,
}

impl Channels {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { device: device::open("/dev/xen/evtchn")? })
    }

    /// Connects to `port` of `domain`, which waits for dom0.
    ///
    /// The event that Xen raises with the connection is taken. No other may be on its way.
    pub(crate) fn connect(&mut self, domain: u16, port: u32) -> Result<Port> {
        let mut bind = Bind { domain: domain.into(), port };
        // SAFETY: the command takes an ioctl_evtchn_bind_interdomain.
        let own = unsafe { device::command(&self.device, GROUP, BIND_INTERDOMAIN, &mut bind) };
        let own = own.with_context(|| format!("port {port} of domain {domain} is not for us"))?;
        let own = Port(u32::try_from(own)?);
        ensure!(self.wait(AT_ONCE)? == [own], "Xen raised no event with the connection");
        Ok(own)
    }

    /// A port that `domain` may connect to, and the number by which it does.
    pub(crate) fn open(&mut self, domain: u16) -> Result<(Port, u32)> {
        let mut domain = u32::from(domain);
        // SAFETY: the command takes an ioctl_evtchn_bind_unbound_port, which is a domain.
        let own = unsafe { device::command(&self.device, GROUP, BIND_UNBOUND, &mut domain) };
        let own = u32::try_from(own.context("no port could be opened")?)?;
        Ok((Port(own), own))
    }

    /// Raises an event at the guest's end.
    pub(crate) fn notify(&self, port: Port) -> Result<()> {
        let mut port = port.0;
        // SAFETY: the command takes an ioctl_evtchn_notify, which is a port.
        unsafe { device::command(&self.device, GROUP, NOTIFY, &mut port) }.map(drop)
    }

    /// Waits for events, and gives the ports on which some came; none if none came within `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Vec<Port>> {
        let limit = Timespec { tv_sec: limit.as_secs().try_into()?, tv_nsec: limit.subsec_nanos().into() };
        let ready = poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&limit))?;
        if ready == 0 {
            return Ok(Vec::new());
        }
        let mut ports = [0; 1024];
        let count = self.device.read(&mut ports).context("no event could be read")?;
        let (ports, _) = ports.split_at(count);
        // Until they are written back, the ports stay masked.
        self.device.write_all(ports).context("events could not be acknowledged")?;
        let (ports, _) = ports.as_chunks();
        Ok(ports.iter().map(|port| Port(u32::from_le_bytes(*port))).collect())
    }
}
