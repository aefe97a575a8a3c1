# SPDX-License-Identifier: MIT OR Apache-2.0
# A real iperf3 measures both directions, and several streams, by TCP and UDP.
set -e
iperf3 -c 192.0.2.2 -t 3
iperf3 -c 192.0.2.2 -t 3 -R
iperf3 -c 192.0.2.2 -t 2 -P 3
iperf3 -c 192.0.2.2 -t 2 -R -P 3
iperf3 -c 192.0.2.2 -t 2 -u -b 4M
iperf3 -c 192.0.2.2 -t 2 -u -b 4M -P 2 -R
! iperf3 -c 192.0.2.2 -t 1 --bidir
