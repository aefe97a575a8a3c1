// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hotplug scripts: what `xl` runs in dom0 to connect a device's backend (`xl-network-configuration(5)` and
//! `xl-disk-configuration(5)`, `script=`).

use anyhow::Result;

use super::neighbour::BRIDGE;
use crate::lab::agent::Agent;

/// Whose scripts connect a guest's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hotplug {
    /// Those of the distribution: what a user has.
    Distribution,
    /// The lab's, where scripts are not what is tested: each of the many programs that the others run
    /// takes its time on an emulated processor.
    Lab,
}

const NETWORK: &str = "/tmp/vif-lab";
const DISK: &str = "/tmp/block-lab";

impl Hotplug {
    /// What a `vif` says of its script.
    pub(super) fn of_network(self) -> String {
        self.word(NETWORK)
    }

    /// What a disk says of its script.
    pub(super) fn of_disk(self) -> String {
        self.word(DISK)
    }

    fn word(self, script: &str) -> String {
        match self {
            Self::Distribution => String::new(),
            Self::Lab => format!(",script={script}"),
        }
    }
}

/// Brings the lab's scripts into a machine.
///
/// # Errors
/// If the machine no longer answers.
pub(super) fn prepare(agent: &mut Agent) -> Result<()> {
    agent.put(NETWORK, network().as_bytes())?;
    agent.put(DISK, DISK_SCRIPT.as_bytes())?;
    agent.check(&format!("chmod +x {NETWORK} {DISK}")).map(drop)
}

/// Adds an interface, or an emulated NIC, to the bridge. It goes from there by itself.
fn network() -> String {
    format!(
        "#!/bin/sh\n\
         case \"$1 $*\" in\n\
         online*type_if=vif*) port=$vif ;;\n\
         add*type_if=tap*) port=$INTERFACE ;;\n\
         *) exit 0 ;;\n\
         esac\n\
         ip link set \"$port\" address fe:ff:ff:ff:ff:ff master {BRIDGE} up || exit 1\n\
         [ \"$1\" = add ] || xenstore-write \"$XENBUS_PATH/hotplug-status\" connected\n"
    )
}

/// Says which block device a disk is.
const DISK_SCRIPT: &str = "#!/bin/sh\n\
    [ \"$1\" = add ] || exit 0\n\
    device=$(xenstore-read \"$XENBUS_PATH/params\")\n\
    number=$(stat -L -c %t:%T \"$device\") || exit 1\n\
    xenstore-write \"$XENBUS_PATH/physical-device\" \"$number\" \"$XENBUS_PATH/physical-device-path\" \"$device\" \
    \"$XENBUS_PATH/hotplug-status\" connected\n";
