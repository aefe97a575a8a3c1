// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `xl` configuration beside an image, for people with a Xen of their own.

use super::Image;

/// A configuration that boots the image as a PVH guest, and says how else.
pub fn xl(image: &Image) -> String {
    let file = image.file.display();
    format!(
        "# Start it with: xl create -c {name}.cfg
name = \"{name}\"
memory = 64
vcpus = 1                    # do not leave this out: xl may refuse small guests then

type = \"pvh\"                # or \"pv\"
kernel = \"{file}\"
cmdline = \"\"
# As a PV guest in a PVH container:
#pvshim = 1
# As an HVM guest, replace type, kernel and cmdline by these two lines:
#type = \"hvm\"
#firmware_override = \"{file}\"

#vif = [ 'bridge=xenbr0' ]
#disk = [ '/path/to/disk.img,raw,xvda,rw' ]

on_poweroff = \"destroy\"
on_reboot = \"restart\"
on_crash = \"preserve\"       # xl dmesg then holds the registers; xl destroy {name} ends it
",
        name = image.name,
    )
}
