# SPDX-License-Identifier: MIT OR Apache-2.0
# More disks are attached than the driver domain can serve: it says so, goes on with those that it has, and serves
# others when these are gone.
modprobe xen-blkfront || exit 1
console=/var/log/xen/guest-$GUEST.log
letters='a b c d e f g h i j k l m n o p q r s t u v w x y z'
fail() {
    echo "$1"
    cat $console
    xenstore-control quota $DOMID
    xl list $GUEST
    exit 2
}
reads() { dd if=/dev/$1 bs=64k count=1 iflag=direct 2>/dev/null | sha256sum; }
h=$(dd if=/dev/vda bs=64k count=1 iflag=direct 2>/dev/null | sha256sum)
attached=
refused=
for first in a b c d e f g h; do
    for letter in $letters; do
        disk=xvd$first$letter
        xl block-attach 0 "vdev=$disk,format=raw,access=r,backend=$GUEST,target=xvda" || { refused=$disk; break 2; }
        i=0
        until [ -b /dev/$disk ] && [ "$(blockdev --getsize64 /dev/$disk)" = 16777216 ]; do
            [ $i -lt 300 ] || { refused=$disk; break 3; }
            sleep 0.1
            i=$((i + 1))
        done
        [ "$(reads $disk)" = "$h" ] || fail "$disk reads otherwise"
        attached="$attached $disk"
    done
done
echo "served: $(echo $attached | wc -w), refused: ${refused:-none}"
xenstore-control quota $DOMID
grep 'warning: backend/vbd/0/' $console | tail -n 1 | grep . || fail "it does not say why"
for disk in $attached; do
    [ "$(reads $disk)" = "$h" ] || fail "$disk reads otherwise now"
done
number=0
for disk in $attached $refused; do
    (xl block-detach 0 $disk || echo "$disk is not detached") &
    number=$((number + 1))
    [ $((number % 8)) -ne 0 ] || wait
done
wait
nothing_is_served || exit 3
xl block-attach 0 "vdev=xvdx,format=raw,access=r,backend=$GUEST,target=xvda" || fail "none is served afterwards"
until_it_holds '[ "$(reads xvdx)" = "$h" ]' || fail "it reads otherwise afterwards"
xl block-detach 0 xvdx || fail "not detached"
nothing_is_served && echo "served again"
