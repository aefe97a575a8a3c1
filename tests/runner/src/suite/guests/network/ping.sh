# SPDX-License-Identifier: MIT OR Apache-2.0
# Every echo request of every size is answered, over IPv4 and IPv6.
set -e
ping -q -c 1 -W 5 192.0.2.2 >/dev/null || true # the first one may be lost to finding each other
for size in 0 1 56 1472 1473 4096 30000 65507; do
    ping -q -c 3 -i 0.3 -W 10 -s $size 192.0.2.2 >/tmp/ping || { cat /tmp/ping; echo "of $size bytes"; exit 1; }
done
ping -q -c 1 -W 5 2001:db8::216:3eff:fe00:2 >/dev/null || true
for size in 0 56 1452; do
    ping -q -c 3 -i 0.3 -W 10 -s $size 2001:db8::216:3eff:fe00:2
done
