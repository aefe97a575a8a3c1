# SPDX-License-Identifier: MIT OR Apache-2.0
# A line comes back.
[ "$(echo hello | busybox nc -w 20 192.0.2.2 7)" = hello ]
