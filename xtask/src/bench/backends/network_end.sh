# SPDX-License-Identifier: MIT OR Apache-2.0
measure flood-in iperf3 -c 192.0.2.2 -t 2 -J -u -b 0 -l 1400
xl destroy front
