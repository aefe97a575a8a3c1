# SPDX-License-Identifier: MIT OR Apache-2.0
# On a host without the bridge `xl` says so, and the file is as good as before; where the guest has no interface at all,
# it lives without, and takes one that comes.
serves() {
    curl -sS -m 120 -o /dev/null http://192.0.2.2/
}
serves && xl save $GUEST $image || fail 'not saved'
! restore_poorly vif 'vif = [ "mac=00:16:3e:00:00:02,bridge=nowhere" ]' >/tmp/refused 2>&1 ||
    fail 'restored where there is no such bridge'
grep nowhere /tmp/refused || cat /tmp/refused
! xl domid $GUEST || fail 'a guest is left that was not restored'
restore_poorly vif || fail 'not restored without an interface'
said 'device/vif/0' || fail 'that the interface is gone is not told of'
! curl -sS -m 3 http://192.0.2.2/ || fail 'somebody else serves'
xl network-attach $GUEST mac=00:16:3e:00:00:02 bridge=xenbr0 script=/tmp/vif-lab && serves || fail 'no new interface'
rm $image
echo 'served by a new interface'
