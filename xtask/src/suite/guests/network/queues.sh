# SPDX-License-Identifier: MIT OR Apache-2.0
# The backend serves four queues from now on; the interface is plugged in anew.
set -e
most=/sys/module/xen_netback/parameters/max_queues
before=$(cat $most)
echo 4 >$most
xl network-detach $DOMID 0
xl network-attach $DOMID mac=00:16:3e:00:00:02 bridge=xenbr0
echo "$before" >$most
i=0
until ping -q -c 1 -W 1 192.0.2.2 >/dev/null; do
    i=$((i + 1))
    [ $i -lt 90 ] || { echo 'no answer'; exit 1; }
done
[ "$(ls -d /sys/class/net/vif$DOMID.0/queues/rx-* | wc -l)" -eq 4 ]
echo '4 queues'
