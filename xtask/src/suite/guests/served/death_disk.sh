# SPDX-License-Identifier: MIT OR Apache-2.0
# A driver domain is destroyed while the guest under test reads its disk and dom0's Linux has it, and another one serves
# both. Linux does not read at that moment: it would wait for its answers, and its disk could not be detached.
modprobe xen-blkfront || exit 1
dd if=/dev/urandom of=/tmp/served.img bs=1M count=8 2>/dev/null
h=$(sha256sum </tmp/served.img | cut -c-64)
loop=$(losetup -f --show /tmp/served.img) || exit 2
disk="disk = [ 'format=raw,vdev=xvda,script=/tmp/block-lab,target=$loop' ]"

sum() { dd if=/dev/xvdx bs=1M iflag=direct 2>/dev/null | sha256sum | cut -c-64; }

attach() {
    xl block-attach $DOMID "vdev=xvda,format=raw,access=r,backend=driver,target=xvda" || fail "no disk for the guest"
    xl block-attach 0 "vdev=xvdx,format=raw,access=r,backend=driver,target=xvda" || fail "no disk for Linux"
    until_it_holds '[ -b /dev/xvdx ] && [ "$(blockdev --getsize64 /dev/xvdx)" = 8388608 ]' || fail "Linux has no disk"
}

xl unpause $DOMID
for time in 1 2; do
    start_driver "$disk" || fail "no driver domain"
    attach
    has_said $time 'hammering xvda' || fail "the guest does not read"
    [ "$(sum)" = "$h" ] || fail "Linux reads something else"
    xl destroy driver
    has_said $time 'the disk was taken away' || fail "the guest does not notice"
    # Linux is told by the toolstack.
    xl block-detach $DOMID xvda || fail "not detached from the guest"
    xl block-detach 0 xvdx || fail "not detached from Linux"
    until_it_holds '! [ -e /dev/xvdx ]' || fail "Linux keeps its disk"
    until_it_holds '! xenstore-ls /local/domain/$DOMID/device/vbd 2>/dev/null | grep -q 51712' || fail "the guest keeps its disk"
done
start_driver "$disk" || fail "no driver domain"
attach
has_said 1 "sha256 xvda $h" || fail "the guest reads something else"
[ "$(sum)" = "$h" ] || fail "Linux reads something else"
has_said 3 'hammering xvda' || fail "the guest reads no more"
xl sysrq $DOMID m
has_said 1 'not given back' && grep ' 0 not given back' /var/log/xen/guest-$GUEST.log || fail "pages stay granted to who is gone"
xl block-detach 0 xvdx && xl block-detach $DOMID xvda || fail "not detached"
echo "both go on with the third one"
xl destroy driver
losetup -d $loop
xenstore-ls -f /local/domain | grep -v "^/local/domain/\(0\|$DOMID\)\(/\| \)"
true
