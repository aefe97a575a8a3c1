# SPDX-License-Identifier: MIT OR Apache-2.0
# What the driver domain has, and what others keep for it and for dom0, to be compared with what that was before.
console=/var/log/xen/guest-$GUEST.log

# Has the driver domain tell what it uses, and waits for that.
tell_memory() {
    told=$(grep -c 'ports open' $console)
    xl sysrq $DOMID m
    until_it_holds '[ "$(grep -c "ports open" $console)" -gt $told ]'
}

# Pages, mappings, ports, nodes, watches; and how many allocations the driver domain's heap has.
left() {
    tell_memory || exit 3
    grep -E 'pages granted|ports open| allocations' $console | tail -n 3 | tr -d '\r' |
        sed -E 's/^.*sysrq: //; s/\([0-9]* at most\), //; s/; memory of.*//'
    echo "$(lsevtchn $DOMID | wc -l) ports of its, $(lsevtchn 0 | wc -l) of dom0's"
    echo "$(xenstore-ls /local/domain/$DOMID | wc -l) nodes of its, $(xenstore-ls /local/domain/0 | wc -l) of dom0's"
    echo "$(xenstore-ls /libxl/$DOMID | wc -l) and $(xenstore-ls /libxl/0 2>/dev/null | wc -l) of the toolstack's"
    xenstore-control quota $DOMID | sed -n 's/^\(nodes\|watches\|transactions\) *: *\([0-9]*\).*/\2 \1/p'
    # Pages that a frontend wanted back, and its backend did not let go.
    echo "$(dmesg | grep -c 'g\.e\.') grants of dom0's that are deferred"
}

# Whether as much is left as before.
nothing_is_left() {
    left >/tmp/after
    cat /tmp/after
    diff /tmp/before /tmp/after
}

fail() {
    echo "$1"
    xenstore-ls $served
    xenstore-ls /local/domain/0/device
    cat $console
    exit 4
}

# Has devices come and go, eight at a `once`, until $times have; nothing may be left that was not after the first two, in
# which as much is in flight as there may be.
nothing_is_left_of_all_times() {
    rm -f /tmp/not-detached
    once all
    once all
    left >/tmp/before
    time=0
    while [ $time -lt $times ]; do
        once
        time=$((time + 8))
    done
    nothing_is_left && echo "nothing is left of $time times"
}
