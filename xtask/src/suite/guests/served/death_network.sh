# SPDX-License-Identifier: MIT OR Apache-2.0
# A driver domain is destroyed while files are fetched through it from the guest under test, and from dom0 through an
# interface of its Linux's; another one serves both.
modprobe xen-netfront || exit 1
ip netns add far
vif="vif = [ 'mac=00:16:3e:00:00:09,bridge=xenbr0,script=/tmp/vif-lab' ]"
fetch() { curl -sS -m 20 --retry 12 --retry-delay 1 --retry-all-errors -o /dev/null "$@"; }

attach() {
    xl network-attach $DOMID mac=00:16:3e:00:00:02 backend=driver || fail "no interface for the guest"
    xl network-attach 0 mac=00:16:3e:00:01:01 backend=driver || fail "no interface for Linux"
    until_it_holds 'grep -qs 00:16:3e:00:01:01 /sys/class/net/*/address' || fail "Linux has no interface"
    far=$(basename "$(dirname "$(grep -l 00:16:3e:00:01:01 /sys/class/net/*/address)")")
    ip link set $far netns far name front && ip -n far addr add 192.0.2.77/24 dev front && ip -n far link set front up || fail "no interface"
}

is_served() {
    fetch http://192.0.2.2/ || fail "the guest is not served, $1"
    ip netns exec far ping -q -c 1 -W 60 192.0.2.1 >/dev/null || fail "Linux is not served, $1"
    ip netns exec far curl -sS -m 60 -o /dev/null http://192.0.2.2/ || fail "they do not reach each other, $1"
}

fetch http://192.0.2.2/ || fail "not served at all"
xl network-detach $DOMID 0 || fail "its interface does not go"
for time in 1 2; do
    start_driver "$vif" || fail "no driver domain"
    attach
    is_served "time $time"
    ip netns exec far ping -q -i 0.05 192.0.2.1 >/dev/null 2>&1 &
    pings=$!
    sleep 0.5
    xl destroy driver
    has_said $((time + 1)) 'device/vif/0: removed' || fail "the guest does not notice"
    xl network-detach $DOMID 0 || fail "not detached from the guest"
    xl network-detach 0 0 || fail "not detached from Linux"
    kill $pings
    until_it_holds '! ip -n far link show front >/dev/null 2>&1' || fail "Linux keeps its interface"
done
start_driver "$vif" || fail "no driver domain"
attach
is_served "in the end"
echo "both go on with the third one"
xl network-detach 0 0 || fail "not detached"
xl network-detach $DOMID 0 || fail "not detached"
xl destroy driver
xenstore-ls -f /local/domain | grep -v "^/local/domain/\(0\|$DOMID\)\(/\| \)"
true
