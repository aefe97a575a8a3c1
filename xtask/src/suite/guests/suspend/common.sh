# SPDX-License-Identifier: MIT OR Apache-2.0
# What suspends a guest: of its name, as a restored one has another number.
image=/tmp/$GUEST.save

# Gives up, and has nobody wait for the guest.
fail() {
    echo "$*"
    tail -n 20 /var/log/xen/guest-$GUEST.log
    xl destroy $GUEST
    exit 1
}

# What xenstored keeps for the guest, and how many ports Xen does.
kept() {
    domid=$(xl domid $GUEST)
    xenstore-control quota $domid | sed -n 's/^\(nodes\|watches\|transactions\) *: *\([0-9]*\).*/\2 \1/p'
    echo "$(lsevtchn $domid | wc -l) ports"
}

# Waits until that is what it was.
keeps_no_more_than() {
    i=0
    until now=$(kept) && [ "$now" = "$1" ]; do
        [ $i -lt 240 ] || { echo "it was: $1"; echo "it is: $now"; return 1; }
        sleep 0.5
        i=$((i + 1))
    done
    echo "kept as before:" $now
}

# Saves the guest, which goes on.
checkpoint() {
    xl save -c $GUEST $image && rm $image
}

save_and_restore() {
    xl save $GUEST $image && xl restore $image && rm $image
}

migrate() {
    xl migrate -s '' $GUEST 'xl migrate-receive'
}

# Restores the guest each time but the third, sixth and so on, when it goes on.
either() {
    if [ $((time % 3)) -eq 0 ]; then checkpoint; else save_and_restore; fi
}

checkpoint_first() {
    if [ $time -eq 1 ]; then checkpoint; else save_and_restore; fi
}

# Suspends the guest again and again, each time that it is ready.
again() {
    time=1
    while [ $time -le $1 ]; do
        # Lines of the console have a carriage return in the end.
        said "ready to be suspended, time $time[^0-9]" && $2 || {
            echo "not the ${time}th time"
            xl destroy $GUEST
            return 1
        }
        time=$((time + 1))
    done
}

# Asks the guest, which refuses, and withdraws the request as libxl does after a minute.
refused() {
    xenstore-write /local/domain/$DOMID/control/shutdown suspend
    said "the application refuses"
    [ "$(xenstore-read /local/domain/$DOMID/control/shutdown)" = suspend ] || return 1
    xenstore-write /local/domain/$DOMID/control/shutdown ""
    said "ready to be suspended, time 1"
}

# Has the guest end, which waits for that. xl's monitor of a restored domain now and then dies of a
# segmentation fault when the domain is over before the monitor is there, and `xl restore` fails.
finish() {
    said "ready to end" && xl shutdown $GUEST
}
