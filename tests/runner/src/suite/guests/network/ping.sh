# SPDX-License-Identifier: MIT OR Apache-2.0
# Every echo request of every size is answered, over IPv4 and IPv6: each before the next one is sent, as
# the guest puts one answer in fragments at a time.
answered() {
    for request in 1 2 3; do
        ping -q -c 1 -W 10 "$@" >/tmp/ping || { cat /tmp/ping; exit 1; }
    done
}
ping -q -c 1 -W 5 192.0.2.2 >/dev/null # this one may be lost to finding each other
for size in 0 1 56 1472 1473 4096 30000 65507; do
    answered -s $size 192.0.2.2
done
# Routers are asked for an address again and again: the first request may be lost.
for try in $(seq 30); do
    ping -q -c 1 -W 1 2001:db8::216:3eff:fe00:2 >/dev/null && break
done
for size in 0 56 1452; do
    answered -s $size 2001:db8::216:3eff:fe00:2
done
