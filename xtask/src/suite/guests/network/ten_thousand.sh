# SPDX-License-Identifier: MIT OR Apache-2.0
# Connections of one request each, sixteen at a time, until there were ten thousand; none is left open.
set -e
metric() { curl -sS -m 120 http://192.0.2.2/metrics | sed -n "s/^$1 \([0-9]*\)$/\1/p"; }
count=0
while [ "$count" -lt 10000 ]; do
    wrk -t 1 -c 16 -d 30 -H 'Connection: close' http://192.0.2.2/ >/tmp/wrk
    ! grep -E 'Socket errors|Non-2xx' /tmp/wrk || { cat /tmp/wrk; exit 1; }
    count=$(metric prism_http_connections_total)
    echo "$count connections"
done
open=$(metric prism_http_connections)
[ "$open" -eq 1 ] || { echo "$open are still open"; exit 1; }
echo '10000 connections and more'
