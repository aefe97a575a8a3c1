# SPDX-License-Identifier: MIT OR Apache-2.0
# A driver domain, `driver`, that serves the guest under test, and what becomes of it.

# Starts it with this disk, or this interface.
start_driver() {
    rm -f /var/log/xen/guest-driver.log
    {
        grep -E '^(type|cpus|vcpus) ' /tmp/$GUEST.cfg
        echo "name = 'driver'"
        echo "memory = 16"
        echo "kernel = '$OTHER'"
        echo "driver_domain = 1"
        echo "$1"
        echo "on_crash = 'preserve'"
    } >/tmp/driver.cfg
    xl create -q /tmp/driver.cfg || return 1
    driver=$(xl domid driver)
    until_it_holds "grep -qs ': ready' /var/log/xen/guest-driver.log" || { cat /var/log/xen/guest-driver.log; return 1; }
}

# Waits until the guest under test has written this so many times.
has_said() {
    until_it_holds "[ \"\$(grep -c '$2' /var/log/xen/guest-$GUEST.log)\" -ge $1 ]"
}

fail() {
    echo "$1"
    xenstore-ls -f /local/domain/$DOMID/device
    xenstore-ls -f /local/domain/0/device
    xenstore-ls -f /local/domain/$driver
    xenstore-ls -f /libxl/$DOMID
    xenstore-ls -f /libxl/0
    cat /var/log/xen/guest-$GUEST.log /var/log/xen/guest-driver.log
    dmesg | tail -n 40
    xl destroy driver
    xl destroy $GUEST
    exit 4
}
