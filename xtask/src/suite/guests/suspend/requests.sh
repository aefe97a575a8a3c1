# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest that takes two seconds to make itself ready gets requests that are withdrawn, and that come while it is at one.
shutdown=/local/domain/$DOMID/control/shutdown
said 'ready to be suspended, time 1' || exit 1
xenstore-write $shutdown suspend
said 'not ready for request 1 yet' && xenstore-write $shutdown "" || fail 'not asked'
said 'the toolstack has withdrawn its request' || fail 'not withdrawn'

xl save -c $GUEST $image &
save=$!
said 'not ready for request 2 yet' || fail 'not asked by xl'
for time in 1 2 3; do xenstore-write $shutdown suspend; done
wait $save && rm $image || fail 'not saved'
said 'time 1: Cancelled' || fail 'not suspended'
[ -z "$(xenstore-read $shutdown)" ] || fail 'a request is left'
said 'ready to be suspended, time 2' && save_and_restore || fail 'not saved and restored'
