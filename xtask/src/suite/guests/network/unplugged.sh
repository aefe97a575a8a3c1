# SPDX-License-Identifier: MIT OR Apache-2.0
# A line comes back, and the emulated card's end is not there any more.
[ "$(echo hello | busybox nc -w 20 192.0.2.2 7)" = hello ] || exit 1
! ip link show vif$DOMID.0-emu
