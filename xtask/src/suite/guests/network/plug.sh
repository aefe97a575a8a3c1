# SPDX-License-Identifier: MIT OR Apache-2.0
# The interface is unplugged and plugged in, and its backend restarted, while packets flow.
set -e
ping -q -i 0.2 -c 600 192.0.2.2 >/tmp/flood 2>&1 &
diagnose() {
    xenstore-ls /local/domain/$DOMID/device/vif
    xenstore-ls /local/domain/0/backend/vif/$DOMID
    ip -s link show vif$DOMID.0
    bridge link
    dmesg | tail -30
}
answers() {
    i=0
    until ping -q -c 1 -W 1 192.0.2.2 >/dev/null; do
        i=$((i + 1))
        [ $i -lt 90 ] || { echo "no answer after $1"; diagnose; exit 1; }
    done
    printf hello | busybox nc 192.0.2.2 7 | grep -q hello || { echo "no echo after $1"; exit 1; }
}
answers start
for round in 1 2; do
    xl network-detach $DOMID 0
    xl network-attach $DOMID mac=00:16:3e:00:00:02 bridge=xenbr0
    answers "plugging in"
done
for round in 1 2; do
    echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/unbind
    echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/bind
    i=0
    until ip link set vif$DOMID.0 master xenbr0 up 2>/dev/null; do
        sleep 0.2; i=$((i + 1)); [ $i -lt 600 ] || break
    done
    # What the toolstack's hotplug script says when it has done its work.
    xenstore-write /local/domain/0/backend/vif/$DOMID/0/hotplug-status connected
    answers "a restart of the backend"
done
