# SPDX-License-Identifier: MIT OR Apache-2.0
# Two guests have the driver domain's disk. One is destroyed in the middle of I/O, again and again; the other one, and
# after all a last one, find every block as they wrote it.
called one
front 'mix=xvda,3,1000000' "'vdev=xvda,format=raw,backend=$GUEST,target=xvda'" || exit 1
said mixing || exit 2
for time in 1 2 3; do
    called two
    front 'hammer=xvda' "'vdev=xvda,format=raw,access=r,backend=$GUEST,target=xvda'" || exit 3
    said hammering || exit 4
    two=$(xl domid two)
    sleep 0.5
    xl destroy two
    until_it_holds "! xenstore-ls $served/vbd/$two >/dev/null 2>&1" || { xenstore-ls $served; exit 5; }
done
called one
xl shutdown one
said 'Test result' 800 || exit 6
cat $log
grep -q 'all checked' $log && grep -q 'Test result: SUCCESS' $log || exit 7
echo "one is served while the other one comes and goes"
xl destroy one

# A frontend that asks for as much as it can does not keep the other one from its end.
called two
front 'hammer=xvda' "'vdev=xvda,format=raw,access=r,backend=$GUEST,target=xvda'" || exit 8
said hammering || exit 9
called one
front 'mix=xvda,3,32' "'vdev=xvda,format=raw,backend=$GUEST,target=xvda'" || exit 10
said 'Test result: SUCCESS' || exit 11
grep '32 MiB, all checked' $log || exit 12
echo "one is served while the other one asks for all that it can"
xl destroy one
xl destroy two
nothing_is_served || exit 13
