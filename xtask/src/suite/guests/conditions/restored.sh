# SPDX-License-Identifier: MIT OR Apache-2.0
# A server that was saved and restored serves as before, and then costs no more than before. Its network is that of
# `served.sh`.
meet_dom0_only
xl save $DOMID /tmp/$GUEST.save && xl restore /tmp/$GUEST.save && rm /tmp/$GUEST.save || exit 1
DOMID=$(xl domid $GUEST)
check 'after a restore a file arrives whole' arrives 1 "$eight" curl -gsS -m 300 "$url/eight.bin"
sleep 30 # in which it looks for routers, as when it booted
bears_idleness $guest
end
