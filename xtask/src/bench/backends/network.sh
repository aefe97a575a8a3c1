# SPDX-License-Identifier: MIT OR Apache-2.0
front serve '' "'mac=00:16:3e:00:00:07,backend=$GUEST'"
said 'linux-baseline: ready'
# Until the bridges know of both.
i=0
until ping -q -c 1 -W 1 192.0.2.2 >/dev/null; do
    [ $i -lt 60 ] || { echo "it does not answer"; tail -n 30 $log; xenstore-ls $served; exit 3; }
    i=$((i + 1))
done
