# SPDX-License-Identifier: MIT OR Apache-2.0
# DHCP, with a router or (if `router` is empty) without one, and no router advertisements. The guest's interface goes
# and comes back while a file is on its way.
bridge 10.0.0.1/24
rm -f /run/plain.leases
dnsmasq --interface=plain --bind-interfaces --except-interface=lo --no-resolv --no-hosts --user=root --port=0 \
    --dhcp-range=10.0.0.2,10.0.0.2,5m --dhcp-option=option:router$router --dhcp-leasefile=/run/plain.leases \
    --pid-file=/run/plain.pid || exit 1
site
connect
begin 10.0.0.2
bears_half_a_request 10.0.0.2

check 'five files of 8 MiB arrive whole' arrives 5 "$eight" curl -sS -m 60 http://10.0.0.2/eight.bin
bears_silence 10.0.0.2

# At 2 MB/s the file is on its way for four seconds.
curl -sS -m 100 --limit-rate 2M http://10.0.0.2/eight.bin 2>/tmp/interrupted | sha256sum >/tmp/sum &
download=$!
sleep 1
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/unbind
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/bind
for time in $(seq 50); do
    ip link set vif$DOMID.0 master plain up 2>/dev/null && break
    sleep 0.2
done
# What the toolstack's hotplug script says when it has done its work.
xenstore-write /local/domain/0/backend/vif/$DOMID/0/hotplug-status connected
wait $download
check 'a file arrives whole though the interface went and came back' \
    sh -c "cat /tmp/interrupted; [ '$(cat /tmp/sum)' = '$eight' ]"
check 'the interface has its address' arrives 1 "$one" curl -sS -m 60 http://10.0.0.2/one.bin
kill "$(cat /run/plain.pid)"
end
