# SPDX-License-Identifier: MIT OR Apache-2.0
# Two hundred connections one after the other, and others that say nothing meanwhile.
set -e
for silent in 1 2 3 4 5 6 7 8; do
    sleep 60 | busybox nc 192.0.2.2 80 >/dev/null &
done
printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >/tmp/request
i=0
while [ $i -lt 200 ]; do
    busybox nc 192.0.2.2 80 </tmp/request >/tmp/answer
    grep -q doctype /tmp/answer || { echo "connection $i failed"; cat /tmp/answer; exit 1; }
    i=$((i + 1))
done
kill $(jobs -p) 2>/dev/null || true
