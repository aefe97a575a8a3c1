# SPDX-License-Identifier: MIT OR Apache-2.0
# dom0 has interfaces of the driver domain's $times times, so many at a time, each time anew, and nothing is left of that.
numbers='0 1 2 3 4 5 6 7'
modprobe xen-netfront || exit 1
ip netns add far

# The state of the backend of dom0's interface, and its name.
state() { xenstore-read $served/vif/0/$1/state 2>/dev/null; }
interface() { basename "$(dirname "$(grep -l 00:16:3e:00:01:0$1 /sys/class/net/*/address)")"; }

once() {
    for number in $numbers; do
        xl network-attach 0 mac=00:16:3e:00:01:0$number "backend=$GUEST" || fail "interface $number is not attached"
    done
    for number in $numbers; do
        until_it_holds "[ \"\$(state $number)\" = 4 ]" || fail "interface $number is not connected"
    done
    # Through the first one dom0 reaches itself.
    ip link set $(interface 0) netns far name front || fail "no interface"
    ip -n far addr add 192.0.2.77/24 dev front && ip -n far link set front up
    ip netns exec far ping -q -c 1 -W 60 192.0.2.1 >/dev/null || fail "nothing comes back"
    for number in $numbers; do
        (xl network-detach 0 $number || touch /tmp/not-detached) &
    done
    wait
    for number in $numbers; do
        until_it_holds "! grep -qs 00:16:3e:00:01:0$number /sys/class/net/*/address" || fail "interface $number is still there"
    done
    ! [ -e /tmp/not-detached ] && nothing_is_served || fail "something is left"
}

nothing_is_left_of_all_times
