# SPDX-License-Identifier: MIT OR Apache-2.0
# Waits until nothing is served any more, then takes from the storage domain what was lent to it.
storage=/local/domain/$(xl domid storage)
i=0
while xenstore-ls $storage/backend 2>/dev/null | grep -q frontend ||
    xenstore-ls /local/domain/$(xl domid router)/backend 2>/dev/null | grep -q frontend; do
    [ $i -lt 1200 ] || {
        xenstore-ls $storage/backend
        xenstore-ls /local/domain/$(xl domid router)/backend
        tail -n 40 /var/log/xen/guest-storage.log /var/log/xen/guest-router.log
        exit 1
    }
    sleep 0.1
    i=$((i + 1))
done
number=8
for letter in i j k l m n o p; do
    ! xenstore-exists $storage/device/vbd/$((51712 + 16 * number)) || xl block-detach storage xvd$letter || exit 2
    number=$((number + 1))
done
