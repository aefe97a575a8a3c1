# SPDX-License-Identifier: MIT OR Apache-2.0
# A connection to an address from DHCP outlives a restart of the backend, and neighbors are told of the address.
set -e
awaited() { # WHAT COMMAND...
    what=$1; shift; i=0
    until "$@"; do
        sleep 1; i=$((i + 1)); [ $i -lt 120 ] || { echo "not $what"; cat /tmp/back /tmp/arp; exit 1; }
    done
    echo "$what"
}
rm -f /tmp/forth; mkfifo /tmp/forth
: >/tmp/back; : >/tmp/arp
busybox nc 192.0.2.2 7 </tmp/forth >/tmp/back &
exec 3>/tmp/forth
printf 'before,' >&3
awaited "echoed before" grep -q 'before,' /tmp/back
tcpdump -l -n -i xenbr0 arp >/tmp/arp 2>/dev/null &
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/unbind
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/bind
awaited "bridged again" ip link set vif$DOMID.0 master xenbr0 up
# What the toolstack's hotplug script says when it has done its work.
xenstore-write /local/domain/0/backend/vif/$DOMID/0/hotplug-status connected
printf 'after' >&3
awaited "echoed on the same connection" grep -q 'before,after' /tmp/back
awaited "announced" grep -q -e 'who-has 192.0.2.2 tell 192.0.2.2' -e 'Announcement 192.0.2.2' /tmp/arp
