# SPDX-License-Identifier: MIT OR Apache-2.0
# Attaches and detaches a second interface, and looks at what is left in the end.
set +e
vif=$served/vif/$(xl domid front)/1
for time in 1 2 3; do
    xl network-attach front mac=00:16:3e:00:00:03 "backend=$GUEST" || exit 11
    i=0
    until [ "$(xenstore-read $vif/state 2>/dev/null)" = 4 ]; do
        [ $i -lt 1200 ] || { xenstore-ls $served; exit 12; }
        sleep 0.1
        i=$((i + 1))
    done
    [ "$(xenstore-read $vif/hotplug-status)" = connected ] || exit 13
    xl network-detach front 1 || { xenstore-ls $served; exit 14; }
done
echo "attached and detached 3 times"
xl destroy front
nothing_is_served || exit 15
