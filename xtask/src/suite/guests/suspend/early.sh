# SPDX-License-Identifier: MIT OR Apache-2.0
# A request that is there before the guest runs; others while a disk's backend says nothing, and at last a host whose
# xenstored does not answer for eight seconds when the guest arrives. What the guest serves, it serves afterwards.
serves() {
    for second in $(seq 60); do
        [ "$(curl -sS -m 20 http://192.0.2.2/file.bin | sha256sum)" = "$sum  -" ] && return
        sleep 1
    done
    return 1
}
# A disk with a backend that never does anything.
add_silent_disk() {
    front=/local/domain/$(xl domid $GUEST)/device/vbd/51744
    back=/local/domain/0/backend/nobody/$GUEST
    xenstore-write $back '' $back/state 1 $back/online 1
    xenstore-chmod -r $back n0 b$(xl domid $GUEST)
    xenstore-write $front ''
    xenstore-chmod $front n$(xl domid $GUEST) r0
    xenstore-write $front/backend $back $front/backend-id 0 $front/virtual-device 51744 $front/device-type disk \
        $front/state 1
    sleep 2
}
asked=/local/domain/$DOMID/control/shutdown
xl suspend $GUEST &
suspend=$!
i=0
until [ "$(xenstore-read $asked)" = suspend ]; do
    [ $i -lt 1200 ] || fail 'xl does not ask'
    sleep 0.1
    i=$((i + 1))
done
xl unpause $DOMID
wait $suspend || fail 'not suspended while it boots'
[ "$(xl list -v $GUEST | awk 'END { print $8 }')" = 2 ] || fail 'it goes on by itself'
xl resume $GUEST && serves || fail 'nothing is served after it was suspended in boot'
echo 'served after it was suspended in boot'

add_silent_disk
checkpoint && serves || fail 'nothing is served after a checkpoint in a handshake'
xenstore-rm $front
echo 'served after a checkpoint in a handshake'

add_silent_disk
xl save $GUEST $image || fail 'not saved in a handshake'
xenstore-rm $back
(
    said 'resume: the domain was restored'
    kill -STOP $(pidof xenstored)
    sleep 8
    kill -CONT $(pidof xenstored)
) &
xl restore $image && rm $image && wait && serves || fail 'nothing is served after a restore in a handshake'
echo 'served after a restore in a handshake, and without xenstored'
xl shutdown $GUEST
