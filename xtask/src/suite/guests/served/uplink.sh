# SPDX-License-Identifier: MIT OR Apache-2.0
# The driver domain's own interface goes while guests are connected, who reach each other all the same, and comes back.
modprobe xen-netfront || exit 1
ip netns add far
console=/var/log/xen/guest-$GUEST.log
rm -rf /tmp/site && mkdir /tmp/site && head -c 2000000 /dev/urandom >/tmp/site/large
tar -C /tmp/site -cf /tmp/site.tar large
fail() {
    echo "$1"
    xenstore-ls $served
    xenstore-ls /local/domain/$DOMID/device
    cat $console $log
    bridge fdb
    exit 2
}
write_front root=ramdisk '' "'mac=00:16:3e:00:00:02,backend=$GUEST'"
echo "ramdisk = '/tmp/site.tar'" >>/tmp/front.cfg
xl create -q /tmp/front.cfg || exit 3
said ': ready' || exit 4
xl network-attach 0 mac=00:16:3e:00:01:01 backend=$GUEST || exit 5
until_it_holds 'grep -qs 00:16:3e:00:01:01 /sys/class/net/*/address' || exit 6
far=$(basename "$(dirname "$(grep -l 00:16:3e:00:01:01 /sys/class/net/*/address)")")
ip link set $far netns far name front && ip -n far addr add 192.0.2.77/24 dev front && ip -n far link set front up || exit 7
fetch() { curl -sS -m 100 --retry 5 --retry-all-errors -o /tmp/fetched http://192.0.2.2/large && cmp /tmp/fetched /tmp/site/large; }
from_the_other() { ip netns exec far curl -sS -m 100 -o /tmp/fetched http://192.0.2.2/large && cmp /tmp/fetched /tmp/site/large; }
fetch && from_the_other || fail "not served at all"
for time in 1 2; do
    xl network-detach $GUEST 0 || fail "it does not go"
    ! curl -sS -m 5 -o /dev/null http://192.0.2.2/ || fail "who has no network is served"
    from_the_other || fail "they do not reach each other any more"
    xl network-attach $GUEST mac=00:16:3e:00:00:02 bridge=xenbr0 script=/tmp/vif-lab || fail "it does not come back"
    fetch || fail "not served any more"
    from_the_other || fail "they do not reach each other after all"
done
echo "the network has gone and come back"
xl network-detach 0 0 || fail "not detached"
xl destroy front
nothing_is_served || exit 8
