# SPDX-License-Identifier: MIT OR Apache-2.0
# What changes a guest's memory: of its name, as a restored one has another number.

# Waits until the guest has no less than $1 MiB and no more than $2, as Xen counts them.
has() {
    i=0
    while :; do
        now=$(xl list $GUEST | awk 'NR == 2 { print $3 }')
        [ "$now" -ge $1 ] && [ "$now" -le $2 ] && return
        [ $i -lt 240 ] || { echo "it has $now MiB, not $1 to $2"; return 1; }
        sleep 0.5
        i=$((i + 1))
    done
}

# Has the guest have $1 MiB, of which Xen counts up to $2 more, those of devices.
set_memory() {
    xl mem-set $GUEST $1 && has $(($1 - 1)) $(($1 + ${2:-1}))
}

# What `xl mem-set` would not write.
write_target() {
    xenstore-write /local/domain/$(xl domid $GUEST)/memory/target "$1"
}

# Makes the node in which a guest may say that it heeds its target, which not every toolstack does.
ask_for_feature() {
    feature=/local/domain/$DOMID/control/feature-balloon
    xenstore-write $feature '' && xenstore-chmod $feature n0 b$DOMID
}

# Whether toolstacks find how much memory there is, and how much of it is free.
tells_memory() {
    for word in total free; do
        i=0
        until said=$(xenstore-read /local/domain/$DOMID/data/meminfo_$word 2>/dev/null); do
            [ $i -lt 240 ] || { echo "meminfo_$word is not told"; return 1; }
            sleep 0.5
            i=$((i + 1))
        done
        echo "meminfo_$word: $said KiB"
        [ "$said" -gt $1 ] && [ "$said" -le $2 ] || return 1
    done
}

# Lets the guest look at all of its memory, and end.
end() {
    xenstore-write /local/domain/$(xl domid $GUEST)/data/done 1
}

set -e
# A guest that waits for what does not come is not waited for.
trap '[ $? = 0 ] || xl destroy $GUEST' EXIT
