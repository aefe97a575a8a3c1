# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest like the driver domain, and a Linux, are saved, restored and checkpointed while they write and read its disk.
disk="'vdev=xvda,format=raw,backend=$GUEST,target=xvda'"

# Waits until the one that is meant has its disk.
is_connected() {
    until_it_holds '[ "$(xenstore-read $served/vbd/$(xl domid $name)/51712/state 2>/dev/null)" = 4 ]'
}

front 'mix=xvda,9,1000000' "$disk" || exit 1
said mixing || exit 2
save_and_restore && is_connected || exit 3
checkpoint && is_connected || exit 4
save_and_restore && is_connected || exit 5
xl shutdown front
said 'Test result' 800 || exit 6
cat $log
grep -q 'all checked' $log && grep -q 'Test result: SUCCESS' $log || exit 7
[ "$(grep -c 'the domain was restored' $log)" -eq 2 ] || exit 8
xl destroy front
nothing_is_served || exit 9

initramfs xen-blkfront <<'END' || exit 10
until [ -b /dev/xvda ]; do sleep 0.1; done
echo "linux: ready"
round=0
while :; do
    place=$((round % 15 * 16))
    dd if=/dev/urandom of=/sent bs=64k count=16 2>/dev/null
    dd if=/sent of=/dev/xvda bs=64k count=16 seek=$place oflag=direct 2>/dev/null || echo "damaged: not written"
    dd if=/dev/xvda of=/back bs=64k count=16 skip=$place iflag=direct 2>/dev/null || echo "damaged: not read"
    cmp /sent /back && echo "whole: round $round" || echo "damaged: round $round"
    round=$((round + 1))
done
END
more_rounds() {
    now=$(grep -c '^whole' $log)
    until_it_holds "[ \"\$(grep -c '^whole' $log)\" -ge $((now + 3)) ]"
}
linux "$disk" '' || exit 11
said 'linux: ready' && more_rounds || exit 12
for how in save_and_restore checkpoint save_and_restore cannot_be_saved; do
    $how && more_rounds || { tail -n 30 $log; xenstore-ls $served; exit 13; }
done
tail -n 3 $log
! grep damaged $log || exit 14
echo "linux goes on"
xl destroy front
nothing_is_served || exit 15
