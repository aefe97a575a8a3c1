# SPDX-License-Identifier: MIT OR Apache-2.0
# Serves its disk, or its network, to another guest. Who starts that does what hotplug scripts would, but for the
# bridge.
for driver in /backend/*.ko; do
    $b insmod $driver
done
case "$line" in
*backend=network*)
    $b brctl addbr bridge
    $b brctl addif bridge eth0
    $b ip link set bridge up
    $b ip link set eth0 up
    echo "linux-baseline: ready"
    until [ -n "$vif" ]; do
        vif=$($b ls /sys/class/net | $b grep vif)
        $b sleep 0.1
    done
    # The other end of eth0 has the usual address of such, and may be what dom0 sends from.
    $b ip link set $vif address fe:ff:ff:ff:ff:fe
    $b ip link set $vif up
    $b brctl addif bridge $vif
    echo "linux-baseline: bridged"
    ;;
*) echo "linux-baseline: ready" ;;
esac
# The toolstack has it end, by /sbin/poweroff.
while :; do $b sleep 3600; done
