# SPDX-License-Identifier: MIT OR Apache-2.0
# A CD is taken out while the guest reads it, and another one is put in.
put_in() {
    head -c 1048576 /dev/urandom >/tmp/$1.iso
    xl block-attach $DOMID format=raw,vdev=xvdc,devtype=cdrom,access=r,target=/tmp/$1.iso
}
fail() {
    xl destroy $DOMID
    exit 1
}
put_in one && xl unpause $DOMID || exit 1
said 'hammering xvdc' || fail
xl block-detach $DOMID xvdc && put_in other || exit 1
said "sha256 xvdc $(sha256sum </tmp/other.iso | cut -c-64)" || fail
echo 'the other one was read'
