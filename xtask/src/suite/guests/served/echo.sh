# SPDX-License-Identifier: MIT OR Apache-2.0
# Starts a guest whose interface is the driver domain's to serve, by DHCP at the address that other tests visit. The
# driver domain's own interface has the same Ethernet address, and does not use it.
front '' '' "'mac=00:16:3e:00:00:02,backend=$GUEST'" || exit 1
said ': ready' || exit 2
cat $log
