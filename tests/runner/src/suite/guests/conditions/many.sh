# SPDX-License-Identifier: MIT OR Apache-2.0
# Forty disks, of which the last one has the files, and sixteen interfaces, of which the guest is told how to use one.
# Trivial scripts serve the others, as it is not the toolstack that is tested.
bridge 10.0.0.1/24
cat >/tmp/connected <<'EOF'
#!/bin/sh
case $1 in
    online) ip link set "$vif" up ;;
    add)
        disk=$(xenstore-read "$XENBUS_PATH/params")
        xenstore-write "$XENBUS_PATH/physical-device" "$(stat -c %t:%T "$disk")"
        ;;
esac
xenstore-write "$XENBUS_PATH/hotplug-status" connected
EOF
chmod +x /tmp/connected
truncate -s 1M /tmp/empty.disk
empty=$(losetup -f --show -r /tmp/empty.disk)
for letters in a b c d e f g h i j k l m n o p q r s t u v w x y z aa ab ac ad ae af ag ah ai aj ak al am; do
    xl block-attach $DOMID format=raw,vdev=xvd$letters,access=r,script=/tmp/connected,target="$empty" || exit 1
done
site xvdan
connect
for number in $(seq 15); do
    xl network-attach $DOMID bridge=plain script=/tmp/connected || exit 1
done
begin 10.0.0.2
check 'all disks are told of' [ "$(grep -o 'xvd[a-z]*' "$said" | sort -u | wc -l)" -ge 40 ]
check 'a file off the fortieth disk arrives whole' arrives 1 "$eight" curl -sS -m 60 http://10.0.0.2/eight.bin
# The other interfaces look for a DHCP server, each every ten seconds or less often.
bears_silence 10.0.0.2 200
end
