# SPDX-License-Identifier: MIT OR Apache-2.0
# Guests are destroyed while they boot and connect to their disk and their interface, at random moments, and while one
# waits for a backend that says nothing. Nothing of them is left. The test's own guest is paused meanwhile.
sed 's/^name.*/name = "cut"/' /tmp/$GUEST.cfg >/tmp/cut.cfg
log=/var/log/xen/guest-cut.log
: >>$log
# Whether nothing is left of domain $1.
is_gone() {
    ! xl list $1 >/dev/null 2>&1 && ! xl list | grep '(null)' &&
        ! xenstore-ls /local/domain/$1 >/dev/null 2>&1 && ! xenstore-ls /libxl/$1 >/dev/null 2>&1 &&
        [ -z "$(xenstore-list /local/domain/0/backend/vbd/$1 /local/domain/0/backend/vif/$1 2>/dev/null)" ] &&
        [ ! -e /sys/class/net/vif$1.0 ]
}
goes() {
    i=0
    until is_gone $1; do
        [ $i -lt 1200 ] || {
            xl list
            xenstore-ls /local/domain/0/backend
            return 1
        }
        sleep 0.1
        i=$((i + 1))
    done
}
fail() {
    echo "$*"
    xl destroy cut
    xl destroy $GUEST
    exit 1
}
free() {
    xl info free_memory
}
for round in $(seq 8); do
    xl create -q /tmp/cut.cfg || fail "not made in round $round"
    cut=$(xl domid cut)
    random=$(od -An -N2 -tu2 /dev/urandom)
    sleep $((random % 2)).$(printf %03d $((random % 1000)))
    xl destroy cut && goes $cut || fail "something is left of round $round"
    [ $round -ne 1 ] || before=$(free)
done
echo "$(free) MiB are free, after the first round $before"
[ $(free) -ge $((before - 1)) ] || fail 'memory is missing'

xl create -q /tmp/cut.cfg || fail 'not made'
cut=$(xl domid cut)
front=/local/domain/$cut/device/vbd/51744
back=/local/domain/0/backend/nobody/$cut
xenstore-write $back '' $back/state 2 $back/online 1
xenstore-chmod -r $back n0 b$cut
xenstore-write $front ''
xenstore-chmod $front n$cut r0
xenstore-write $front/backend $back $front/backend-id 0 $front/virtual-device 51744 $front/device-type disk $front/state 1
i=0
until [ "$(xenstore-read $front/state)" = 3 ]; do
    [ $i -lt 1200 ] || fail 'the guest does not publish its ring'
    sleep 0.1
    i=$((i + 1))
done
xl destroy cut && goes $cut || fail 'something is left of a guest that waited for a backend'
xenstore-rm /local/domain/0/backend/nobody
xl unpause $GUEST
said ': ready' || fail 'the last guest does not work'
xl shutdown $GUEST
