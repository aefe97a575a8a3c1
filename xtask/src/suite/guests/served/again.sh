# SPDX-License-Identifier: MIT OR Apache-2.0
# dom0 has the driver domain's disk $times times, each time anew, and nothing is left of that.
storage=/var/log/xen/guest-$GUEST.log
spec="vdev=xvdx,format=raw,backend=$GUEST,target=xvda"
modprobe xen-blkfront || exit 1
dd if=/dev/urandom of=/dev/vda bs=1M count=1 oflag=direct 2>/dev/null || exit 2
h=$(dd if=/dev/vda bs=1M count=1 iflag=direct 2>/dev/null | sha256sum)

# Waits for this to hold, for two minutes at most.
until_it_holds() {
    i=0
    until eval "$1"; do
        [ $i -lt 1200 ] || { echo "it never held: $1"; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
}

# What the driver domain has, and what others keep for it. How many pages it has granted is told, not compared: those
# that its own backend keeps are as many as were ever in flight.
left() {
    told=$(grep -c 'ports open' $storage)
    xl sysrq $DOMID m
    until_it_holds '[ "$(grep -c "ports open" $storage)" -gt $told ]' || exit 3
    grep -E 'pages granted|ports open' $storage | tail -n 2 | sed -E 's/.*sysrq: //; s/.* at most\), //'
    echo "$(lsevtchn $DOMID | wc -l) ports of its, $(lsevtchn 0 | wc -l) of dom0's"
    echo "$(xenstore-ls /local/domain/$DOMID | wc -l) nodes of its, $(xenstore-ls /local/domain/0 | wc -l) of dom0's"
}

once() {
    xl block-attach 0 "$spec" || return 1
    until_it_holds '[ -b /dev/xvdx ] && [ "$(blockdev --getsize64 /dev/xvdx)" = 16777216 ]' || return 1
    [ "$(dd if=/dev/xvdx bs=1M count=1 iflag=direct 2>/dev/null | sha256sum)" = "$h" ] || { echo "it reads otherwise"; return 1; }
    xl block-detach 0 xvdx || return 1
    until_it_holds '! [ -e /dev/xvdx ]' && nothing_is_served
}

# dom0's driver is loaded, and has all that it keeps.
once || { xenstore-ls $served; xenstore-ls /local/domain/0/device; cat $storage; exit 4; }
left >/tmp/before
time=0
while [ $time -lt $times ]; do
    once || { xenstore-ls $served; xenstore-ls /local/domain/0/device; cat $storage; exit 5; }
    time=$((time + 1))
done
left >/tmp/after
cat /tmp/after
grep 'pages granted' $storage
diff /tmp/before /tmp/after && echo "nothing is left of $times times"
