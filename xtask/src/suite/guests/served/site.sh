# SPDX-License-Identifier: MIT OR Apache-2.0
# A web server whose interface is the driver domain's to serve has its address by DHCP from dom0, and is visited from
# there. The driver domain's own interface has the same Ethernet address, and does not use it.
fetch() { curl -sS -m 100 --retry 5 --retry-all-errors "$@"; }
rm -rf /tmp/site && mkdir /tmp/site && head -c 1000000 /dev/urandom >/tmp/site/large
tar -C /tmp/site -cf /tmp/site.tar large
write_front root=ramdisk '' "'mac=00:16:3e:00:00:02,backend=$GUEST'"
echo "ramdisk = '/tmp/site.tar'" >>/tmp/front.cfg
xl create -q /tmp/front.cfg || exit 1
said ': ready' || exit 2
cat $log
grep -q 'network 0: .*192.0.2.2/24' $log || exit 3
fetch -o /tmp/fetched http://192.0.2.2/large && cmp /tmp/fetched /tmp/site/large || exit 4
fetch -g -o /tmp/fetched 'http://[2001:db8::216:3eff:fe00:2]/large' && cmp /tmp/fetched /tmp/site/large || exit 5
echo "1 MB is the same, by IPv4 and IPv6"
for number in 1 2 3 4; do
    (fetch -r 0-99999 -o /tmp/part$number http://192.0.2.2/large && cmp -n 100000 /tmp/part$number /tmp/site/large &&
        touch /tmp/same$number) &
done
wait
ls /tmp/same1 /tmp/same2 /tmp/same3 /tmp/same4 || exit 6
