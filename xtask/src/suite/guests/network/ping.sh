# SPDX-License-Identifier: MIT OR Apache-2.0
# Every echo request of every size is answered, over IPv4 and IPv6, whatever size the one before it had: what
# is left of a longer message must not come into a shorter one.
answered() {
    ping -q -c 3 -i 0.05 -W 10 "$@" >/tmp/ping && grep -q " 3 received" /tmp/ping || { cat /tmp/ping; exit 1; }
}
ping -q -c 1 -W 5 192.0.2.2 >/dev/null # this one may be lost to finding each other
for size in 0 1 56 1472 1473 4096 30000 65507 20000 1473 56; do
    answered -s $size 192.0.2.2
done
# Routers are asked for an address again and again: the first request may be lost.
for try in $(seq 30); do
    ping -q -c 1 -W 1 2001:db8::216:3eff:fe00:2 >/dev/null && break
done
for size in 0 56 1452 56; do
    answered -s $size 2001:db8::216:3eff:fe00:2
done
