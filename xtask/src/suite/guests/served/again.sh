# SPDX-License-Identifier: MIT OR Apache-2.0
# dom0 has the driver domain's disk $times times, so many at a time, each time anew, and nothing is left of that.
letters='m n o p q r s t'
spec="format=raw,backend=$GUEST,target=xvda"
modprobe xen-blkfront || exit 1
dd if=/dev/urandom of=/dev/vda bs=1M count=1 oflag=direct 2>/dev/null || exit 2
h=$(dd if=/dev/vda bs=64k count=1 iflag=direct 2>/dev/null | sha256sum)

is_there() {
    [ -b /dev/xvd$1 ] && [ "$(blockdev --getsize64 /dev/xvd$1)" = 16777216 ]
}

# Has as much in flight as the driver domain takes: its own backend keeps as many pages mapped as ever were.
read_all() {
    for letter in $letters; do
        dd if=/dev/xvd$letter of=/dev/null bs=4M iflag=direct 2>/dev/null &
    done
    wait
}

once() {
    for letter in $letters; do
        xl block-attach 0 "vdev=xvd$letter,$spec" || fail "xvd$letter is not attached"
    done
    for letter in $letters; do
        until_it_holds "is_there $letter" || fail "xvd$letter is not there"
        [ "$(dd if=/dev/xvd$letter bs=64k count=1 iflag=direct 2>/dev/null | sha256sum)" = "$h" ] || fail "xvd$letter reads otherwise"
    done
    [ -z "$1" ] || read_all
    for letter in $letters; do
        (xl block-detach 0 xvd$letter || touch /tmp/not-detached) &
    done
    wait
    for letter in $letters; do
        until_it_holds "! [ -e /dev/xvd$letter ]" || fail "xvd$letter is still there"
    done
    ! [ -e /tmp/not-detached ] && nothing_is_served || fail "something is left"
}

nothing_is_left_of_all_times
