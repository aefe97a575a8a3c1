# SPDX-License-Identifier: MIT OR Apache-2.0
# An address without neighbors: the gateway, dom0, is outside of the prefix.
bridge 10.9.9.1/32
ip route add 10.1.2.3/32 dev plain
site
connect
begin http://10.1.2.3
check 'a file of 8 MiB arrives whole' arrives 1 "$eight" curl -sS -m 300 http://10.1.2.3/eight.bin
end
