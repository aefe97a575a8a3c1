# SPDX-License-Identifier: MIT OR Apache-2.0
# Two guests and dom0's Linux are on the driver domain's network. One is flooded and destroyed meanwhile, the Linux
# floods and loses its interface meanwhile; the other guest is served all the time.
modprobe xen-netfront || exit 1
ip netns add far
rm -rf /tmp/site && mkdir /tmp/site && head -c 1000000 /dev/urandom >/tmp/site/large
tar -C /tmp/site -cf /tmp/site.tar large
web() {
    called $1
    write_front root=ramdisk '' "'mac=00:16:3e:00:00:0$2,backend=$GUEST'"
    echo "ramdisk = '/tmp/site.tar'" >>/tmp/$1.cfg
    xl create -q /tmp/$1.cfg && said ': ready'
}
is_served() {
    curl -sS -m 100 --retry 5 --retry-all-errors -o /tmp/fetched http://192.0.2.2/large && cmp /tmp/fetched /tmp/site/large ||
        { echo "one is not served, $1"; xenstore-ls $served; cat /var/log/xen/guest-one.log; exit 2; }
}
web one 2 || exit 3
for time in 1 2 3; do
    web two 3 || exit 4
    address=$(sed -n 's/.*network 0: .*\(192\.0\.2\.[0-9]*\)\/24.*/\1/p' $log | head -n 1)
    ping -q -f -s 1400 $address >/tmp/flood &
    ping=$!
    for number in 1 2 3 4; do
        while curl -s -m 20 -o /dev/null http://$address/large; do :; done &
    done
    is_served "while the other one is flooded"
    xl destroy two
    is_served "while nobody takes the flood"
    kill -INT $ping
    wait
    cat /tmp/flood
done
echo "one is served while the other one is flooded and destroyed"
for time in 1 2 3; do
    xl network-attach 0 mac=00:16:3e:00:01:01 backend=$GUEST || exit 5
    until_it_holds 'grep -qs 00:16:3e:00:01:01 /sys/class/net/*/address' || exit 6
    far=$(basename "$(dirname "$(grep -l 00:16:3e:00:01:01 /sys/class/net/*/address)")")
    ip link set $far netns far name front && ip -n far addr add 192.0.2.77/24 dev front && ip -n far link set front up || exit 7
    ip netns exec far ping -q -c 1 -W 60 192.0.2.1 >/dev/null || exit 8
    ip netns exec far ping -q -f -s 1400 192.0.2.1 >/tmp/flood &
    ping=$!
    is_served "while Linux floods"
    xl network-detach 0 0 || { xenstore-ls $served; exit 9; }
    kill -INT $ping
    wait
    is_served "after the flood"
done
echo "one is served while another one floods and goes"
xl destroy one
nothing_is_served || exit 10
