# SPDX-License-Identifier: MIT OR Apache-2.0
# Writes and checks a disk of the driver domain's, attaches and detaches it, and looks at what is left.
disk="vdev=xvda,format=raw,backend=$GUEST,target=xvda"
front 'mix=xvda,1,64 fill=xvda,7 verify=xvda,7 mix=xvda,2,16 flush=xvda sha256=xvda' "'$disk'" || exit 1
said 'Test result' || exit 2
cat $log
grep -q 'Test result: SUCCESS' $log || exit 3
h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64)
grep -q "sha256 xvda $h" $log || { echo "it is not what dom0 finds: $h"; exit 4; }
xl destroy front
nothing_is_served || exit 5

front 'await=xvdb hammer=xvdb await=xvdb hammer=xvdb await=xvdb hammer=xvdb' "'$disk'" || exit 6
for time in 1 2 3; do
    xl block-attach front "vdev=xvdb,format=raw,access=r,backend=$GUEST,target=xvda" || exit 7
    i=0
    until [ "$(grep -c hammering $log)" -eq $time ] || [ $i -gt 1200 ]; do
        sleep 0.1
        i=$((i + 1))
    done
    xl block-detach front xvdb || { xenstore-ls $served; exit 8; }
done
said 'Test result: SUCCESS' || exit 9
echo "detached 3 times"
xl destroy front
nothing_is_served || exit 10
