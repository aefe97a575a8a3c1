# SPDX-License-Identifier: MIT OR Apache-2.0
# A Linux behind a router asks it for its address and for names, fetches a file from dom0, and finds its way.
initramfs xen-netfront <<'INIT' || exit 1
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set lo up
ip link set eth0 up
mkdir -p /etc
cat >/leased <<'LEASED'
#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo "nameserver $dns" >/etc/resolv.conf
echo "linux: $ip/$mask by $router, names by $dns"
LEASED
chmod +x /leased
udhcpc -f -q -n -t 20 -i eth0 -s /leased
nslookup guest.test | grep -A 1 guest.test | grep -q 192.0.2.2 && echo "linux: a name is known"
wget -q -O /fetched http://192.0.2.1:8000/large && echo "linux: $(sha256sum /fetched | cut -c-64)"
ping -c 3 -W 10 -s 8000 192.0.2.1 | grep -q ' 3 packets received' && echo "linux: long pings are answered"
traceroute -n -m 3 -w 10 -q 1 192.0.2.1 >/trace
grep -q '^ *1 *10.137.0.1 ' /trace && grep -q '^ *2 *192.0.2.1 ' /trace && echo "linux: two hops" || cat /trace
i=0
until ping -6 -c 1 -W 1 2001:db8::1 >/dev/null || [ $i -gt 60 ]; do i=$((i + 1)); done
ping -6 -c 3 -W 10 2001:db8::1 | grep -q ' 3 packets received' && echo "linux: pings by IPv6"
ping -6 -c 3 -W 10 -s 8000 2001:db8::1 | grep -q ' 3 packets received' && echo "linux: long ones by IPv6"
wget -q -O - 'http://192.0.2.1:25/' 2>&1 | grep -q . && echo "linux: port 25 is refused"
echo "linux: done"
sleep 1000
INIT
rm -rf /tmp/site && mkdir /tmp/site && head -c 8000000 /dev/urandom >/tmp/site/large
python3 -m http.server -b 192.0.2.1 -d /tmp/site 8000 >/tmp/http.log 2>&1 &
server=$!
ip -6 route replace 2001:db8:1::/64 via 2001:db8::216:3eff:fe00:2
restore() {
    kill $server
    ip -6 route del 2001:db8:1::/64
}
trap restore EXIT
linux '' "'mac=00:16:3e:00:00:07,backend=$GUEST'" || exit 2
said 'linux: done'
cat $log
for line in '10.137.0.2/24 by 10.137.0.1, names by 10.137.0.1' 'a name is known' 'long pings are answered' 'two hops' \
    'pings by IPv6' 'long ones by IPv6' 'port 25 is refused' "$(sha256sum /tmp/site/large | cut -c-64)"; do
    grep -q "linux: .*$line" $log || { echo "not told: $line"; exit 3; }
done
echo "linux has found its way"
xl destroy front
nothing_is_served || exit 4
