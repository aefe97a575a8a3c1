# SPDX-License-Identifier: MIT OR Apache-2.0
# A frontend of dom0's does anything to the driver domain, and honest ones in between are served; as much is left as after
# the first moves, in which as much is in flight as there may be.
$PEER front $kind $DOMID 1 4000 || fail "an honest frontend is not served"
left >/tmp/before
$PEER front $kind $DOMID 1000000 $moves || fail "an honest frontend is not served any more"
nothing_is_left && echo "nothing is left of $moves moves"
