# SPDX-License-Identifier: MIT OR Apache-2.0
# A frontend of dom0's does anything to the driver domain, and honest ones in between are served; as much is left as after
# the first moves, but for the pages that stay granted for the driver domain's own disk: as many as were ever in use at
# once.
left_by_all() {
    left | sed -E 's/[0-9]+ pages granted/pages granted/'
}
$PEER front $kind $DOMID 1 4000 || fail "an honest frontend is not served"
left_by_all >/tmp/before
$PEER front $kind $DOMID 1000000 $moves || fail "an honest frontend is not served any more"
left_by_all >/tmp/after
diff /tmp/before /tmp/after && echo "nothing is left of $moves moves"
