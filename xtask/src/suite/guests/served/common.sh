# SPDX-License-Identifier: MIT OR Apache-2.0
# Guests that have their disks, or interfaces, from the one under test, and are of the same kind.
served=/local/domain/$DOMID/backend

# Which of them is meant from now on.
called() {
    name=$1
    log=/var/log/xen/guest-$1.log
}
called front

# Starts it with these words for its kernel, these disks and interfaces.
front() {
    write_front "$@"
    xl create -q /tmp/$name.cfg
}

# Its configuration.
write_front() {
    xl destroy $name 2>/dev/null
    rm -f $log
    {
        grep -E '^(type|cpus|vcpus) ' /tmp/$GUEST.cfg
        echo "name = '$name'"
        echo "memory = 64"
        echo "kernel = '$OTHER'"
        echo "cmdline = '$1'"
        echo "disk = [ $2 ]"
        echo "vif = [ $3 ]"
        echo "on_poweroff = 'preserve'"
        echo "on_crash = 'preserve'"
    } >/tmp/$name.cfg
}

# Waits until it has written this, for 240 s at most, or for as many as are named.
said() {
    command said -t ${2:-240} "$1" $log
}

# Waits until nothing is served any more: whoever removes a device has to leave no node.
nothing_is_served() {
    i=0
    while xenstore-ls $served 2>/dev/null | grep -q frontend; do
        [ $i -lt 1200 ] || { echo "left behind:"; xenstore-ls $served; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
}
